import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Client } from 'pg';
import { Difference } from './difference.ts';
import type { Row } from './replay.ts';
import { keys } from './schema.ts';
import type { TableName } from './schema.ts';
import { views } from './views.ts';

/** Of tables and views. */
const keyOf: ReadonlyMap<string, readonly string[]> = new Map([
  ...Object.entries(keys),
  ...views.map(({ name, key }) => [name, key] as const),
]);
const shownMax = 5;
const shownCharacters = 160;

/** Rows as PostgreSQL prints them (`text`), or as to_json does, which is what sinks hold (`json`). */
export async function databaseRows(client: Client, table: TableName, form: 'text' | 'json'): Promise<Row[]> {
  const { rows: columns } = await client.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [`public.${table}`],
  );
  const list = columns.map(({ name }) =>
    form === 'text' ? `"${name}"::text` : `to_json("${name}") #>> '{}' AS "${name}"`,
  );
  const { rows } = await client.query<Record<string, string | null>>(`SELECT ${list.join(', ')} FROM ${table}`);
  return rows.map((row) => new Map(Object.entries(row)));
}

/** Rows of a sink's table; null while there is none. */
export function sinkRows(db: DatabaseSync, table: string): Row[] | null {
  if (db.prepare(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?`).get(table) === undefined) return null;
  const statement = db.prepare(`SELECT * FROM "${table}"`);
  statement.setReadBigInts(true);
  return statement.all().map((row) => {
    const values = Object.entries(row).filter(([name]) => name !== '_seq');
    return new Map(values.map(([name, value]) => [name, value === null ? null : String(value)]));
  });
}

/** How far each sink of the file has come. */
export function sinkCursors(db: DatabaseSync): ReadonlyMap<string, number> {
  if (db.prepare(`SELECT 1 FROM sqlite_master WHERE name = '_tidemark'`).get() === undefined) return new Map();
  return new Map(
    db
      .prepare('SELECT sink, seq FROM _tidemark')
      .all()
      .map(({ sink, seq }) => [String(sink), Number(seq)]),
  );
}

export function openSink(path: string): DatabaseSync | null {
  return existsSync(path) ? new DatabaseSync(path) : null;
}

/** The text of timestamps as to_json has it, which is the only type of the run whose two forms differ. */
export function asJson(rows: readonly Row[]): Row[] {
  return rows.map((row) =>
    row.has('at') ? new Map(row).set('at', row.get('at')?.replace(' ', 'T').replace(/\+00$/, '+00:00') ?? null) : row,
  );
}

/** Fails with the first rows that differ. Columns are compared by name; both sides must have the same. */
export function expectSame(what: string, table: string, expected: readonly Row[], actual: readonly Row[]): void {
  const left = byKey(table, expected, `${what}: the database`);
  const right = byKey(table, actual, what);
  const differences: string[] = [];
  for (const [key, row] of left) {
    const other = right.get(key);
    if (other === undefined) differences.push(`missing  ${show(row)}`);
    else if (canonical(other) !== canonical(row)) {
      differences.push(
        `expected ${show(onlyDifferent(row, other))}\n  found    ${show(onlyDifferent(other, row))} at ${key}`,
      );
    }
  }
  for (const [key, row] of right) if (!left.has(key)) differences.push(`extra    ${show(row)}`);
  if (differences.length === 0) return;
  throw new Difference(
    `${what}, table ${table}: ${differences.length} of ${left.size} rows differ\n  ${differences.slice(0, shownMax).join('\n  ')}`,
  );
}

function byKey(table: string, rows: readonly Row[], what: string): Map<string, Row> {
  const map = new Map<string, Row>();
  const key = keyOf.get(table) ?? [];
  for (const row of rows) map.set(key.map((name) => row.get(name)).join('|'), row);
  if (map.size !== rows.length)
    throw new Difference(`${what}, table ${table}: ${rows.length} rows have ${map.size} keys`);
  return map;
}

function canonical(row: Row): string {
  return JSON.stringify([...row].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function onlyDifferent(row: Row, other: Row): Row {
  return new Map([...row].filter(([name, value]) => !other.has(name) || other.get(name) !== value));
}

function show(row: Row): string {
  const text = [...row].map(
    ([name, value]) =>
      `${name}=${value === null ? 'NULL' : value.length > 48 ? `${value.slice(0, 40)}…(${value.length})` : value}`,
  );
  return text.join(' ').slice(0, shownCharacters);
}
