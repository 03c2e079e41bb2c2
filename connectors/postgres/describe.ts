import type { Table } from '../../model/table.ts';
import type { PostgresTarget } from './options.ts';
import { buildRelation, messageOf } from './relations.ts';
import { connect, queryOf } from './session.ts';
import { Tables } from './tables.ts';
import { TypeCache } from './types.ts';

/** The tables that a source selects, as its topics would have them now. Nothing is changed on the server. */
export async function describePostgresTables(target: PostgresTarget): Promise<Table[]> {
  const client = await connect(target, 'check');
  try {
    const query = queryOf(client, target);
    const tables = new Tables(target, query, () => undefined);
    await tables.refresh();
    const types = new TypeCache(query);
    const found: Table[] = [];
    for (const captured of tables.all) {
      // Nothing is written: no number is taken for the version.
      const context = { types, writer: { schemaId: () => 0 } };
      const { table } = await buildRelation(target.name, captured, messageOf(captured.catalog), undefined, context);
      found.push(table);
    }
    return found;
  } finally {
    await client.end().catch(() => {});
  }
}
