import { present } from '../../../base/assert.ts';
import type { CatalogQuery } from '../../../connectors/postgres/types.ts';
import { loadTypes } from '../../../connectors/postgres/types.ts';
import type { DataType } from '../../../model/data-type.ts';
import { columnJsonEncoder } from '../../../model/json.ts';
import type { Table } from '../../../model/table.ts';

/** As the connector sets its sessions. */
export const sessionSettings = `
  SET client_min_messages = error; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres';
  SET extra_float_digits = 1; SET bytea_output = 'hex'; SET xmloption = 'content';`;

export function oneColumnTable(type: DataType, declared: string): Table {
  return {
    source: 'shop',
    schema: 'public',
    name: 't',
    topic: 'shop.public.t',
    kind: 'table',
    columns: [{ id: 1, name: 'value', type, declared, nullable: true }],
    key: [],
  };
}

/** Types by the name that SQL gives them. */
export async function typesByName(query: CatalogQuery, names: readonly string[]): Promise<Map<string, DataType>> {
  const list = [...new Set(names)];
  const literals = list.map((name) => `'${name.replaceAll("'", "''")}'`);
  const rows = await query(`SELECT name::regtype::oid AS oid FROM unnest(ARRAY[${literals.join(',')}]) AS name`);
  const oids = rows.map((row) => Number(row['oid']));
  const types = await loadTypes(query, oids);
  return new Map(list.map((name, index) => [name, present(types.get(oids[index] ?? 0), name)]));
}

export interface Difference {
  readonly type: string;
  readonly text: string;
  readonly expected: string;
  readonly actual: string;
}

type Query = (sql: string, values?: readonly unknown[]) => Promise<readonly Record<string, string | null>[]>;

/**
 * What the server prints for values given as literals: their text and their JSON. format() calls the type's output function, as
 * COPY and pgoutput do; a cast to text would cut the padding of char(n).
 */
export async function printedBy(
  query: Query,
  declared: string,
  literals: readonly string[],
): Promise<{ text: string; json: string }[]> {
  const rows = await query(
    `SELECT format('%s', v::${declared}) AS text, to_json(v::${declared})::text AS json
     FROM unnest($1::text[]) WITH ORDINALITY AS literal(v, position) ORDER BY position`,
    [literals],
  );
  if (rows.length !== literals.length) throw new Error(`${rows.length} rows for ${literals.length} values`);
  return rows.map(({ text, json }) => ({ text: text ?? '', json: present(json, 'to_json') }));
}

/** The values of which our encoder makes something else, from the text that the server prints, than to_json. */
export async function compareWithToJson(
  query: Query,
  type: DataType,
  declared: string,
  literals: readonly string[],
): Promise<Difference[]> {
  const encoder = columnJsonEncoder(oneColumnTable(type, declared), 0);
  const printed = await printedBy(query, declared, literals);
  return printed.flatMap(({ text, json }) => {
    const bytes = Buffer.from(text);
    const actual = encoder.stringify(bytes, 0, bytes.length);
    return actual === json ? [] : [{ type: declared, text, expected: json, actual }];
  });
}
