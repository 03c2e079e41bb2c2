import type { PostgresTarget } from './options.ts';
import { hasIdentity, keyOf, readTables } from './catalog.ts';
import { connect, queryOf } from './session.ts';

/** A table that could be captured. */
export interface DiscoveredTable {
  readonly schema: string;
  readonly name: string;
  /** Whether its rows can be told apart in the stream: a primary key, or a replica identity that stands in for it. */
  readonly hasKey: boolean;
  readonly rowsEstimated: number;
  readonly columns: readonly { readonly name: string; readonly isText: boolean }[];
}

/** Oids of text, varchar and char(n): columns that a search would look into. */
const textTypes = new Set([25, 1043, 1042]);

/** The tables of a database, for a first configuration file. */
export async function discoverPostgresTables(url: string): Promise<DiscoveredTable[]> {
  const target: PostgresTarget = { name: 'postgres', url, tables: [], slot: '', publication: '' };
  const client = await connect(target, 'init');
  try {
    const tables = await readTables(queryOf(client, target));
    return tables
      .map((table) => ({
        schema: table.schema,
        name: table.name,
        hasKey: hasIdentity(table) && keyOf(table) !== null,
        rowsEstimated: Math.round(table.rowsEstimated),
        columns: table.columns.map(({ name, typeOid }) => ({ name, isText: textTypes.has(typeOid) })),
      }))
      .toSorted((a, b) => (`${a.schema}.${a.name}` < `${b.schema}.${b.name}` ? -1 : 1));
  } finally {
    await client.end().catch(() => {});
  }
}
