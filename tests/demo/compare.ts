import { DatabaseSync } from 'node:sqlite';
import type { Client } from 'pg';
import { connectTo } from './connection.ts';

const pageRows = 5_000;
const shownMax = 5;

/** A table of the index and the query in the database whose rows it must hold, `SELECT * FROM` the table of its name if none is given. */
export interface Compared {
  readonly table: string;
  readonly sql?: string;
}

export interface Comparison {
  readonly table: string;
  /** Rows of the database. */
  readonly rows: number;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** A few of the differences, in words. */
  readonly shown: readonly string[];
}

/**
 * Compares tables with an integer key `id`, row by row and column by column, as text: what PostgreSQL's to_json prints (of json the
 * document itself) against what SQLite holds. Each side is read in one transaction. Nothing may write meanwhile, and the index must have come to the database's position.
 */
export async function compare(
  databaseUrl: string,
  indexFile: string,
  tables: readonly Compared[],
): Promise<Comparison[]> {
  const client = await connectTo(databaseUrl);
  const index = new DatabaseSync(indexFile, { readOnly: true });
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    index.exec('BEGIN');
    const comparisons: Comparison[] = [];
    for (const table of tables) comparisons.push(await compareTable(client, index, table));
    return comparisons;
  } finally {
    index.close();
    await client.end();
  }
}

export function isEqual({ missing, extra, different }: Comparison): boolean {
  return missing + extra + different === 0;
}

type Row = readonly (string | null)[];

async function compareTable(
  client: Client,
  index: DatabaseSync,
  { table, sql = `SELECT * FROM "${table}"` }: Compared,
): Promise<Comparison> {
  const columns = await columnsOf(client, sql);
  const held = indexRows(index, table, columns);
  const counts = { rows: 0, missing: 0, extra: 0, different: 0 };
  const shown: string[] = [];
  const tell = (kind: 'missing' | 'extra' | 'different', words: string): void => {
    counts[kind]++;
    if (shown.length < shownMax) shown.push(words);
  };
  let mine = held.next();
  for await (const row of databaseRows(client, sql, columns)) {
    counts.rows++;
    const id = idOf(row);
    for (; !mine.done && idOf(mine.value) < id; mine = held.next()) {
      tell('extra', `${table} ${idOf(mine.value)} is in the index only`);
    }
    if (mine.done || idOf(mine.value) > id) {
      tell('missing', `${table} ${id} is not in the index`);
      continue;
    }
    const { value: copy } = mine;
    const wrong = columns.findIndex((_, column) => row[column] !== copy[column]);
    if (wrong >= 0) {
      tell('different', `${table} ${id}: ${columns[wrong]} is ${row[wrong]}, and in the index ${copy[wrong]}`);
    }
    mine = held.next();
  }
  for (; !mine.done; mine = held.next()) tell('extra', `${table} ${idOf(mine.value)} is in the index only`);
  return { table, ...counts, shown };
}

/** `id` first. */
async function columnsOf(client: Client, sql: string): Promise<string[]> {
  const { fields } = await client.query(`SELECT * FROM (${sql}) compared LIMIT 0`);
  return ['id', ...fields.map(({ name }) => name).filter((name) => name !== 'id')];
}

async function* databaseRows(client: Client, sql: string, columns: readonly string[]): AsyncGenerator<Row> {
  const values = columns.map((name) => `to_json("${name}") #>> '{}'`).join(', ');
  await client.query(`DECLARE compared CURSOR FOR SELECT ${values} FROM (${sql}) compared ORDER BY id`);
  for (;;) {
    const { rows } = await client.query<(string | null)[]>({
      text: `FETCH ${pageRows} FROM compared`,
      rowMode: 'array',
    });
    if (rows.length === 0) break;
    yield* rows;
  }
  await client.query('CLOSE compared');
}

function* indexRows(index: DatabaseSync, table: string, columns: readonly string[]): Generator<Row, undefined> {
  const values = columns.map((name) => `CAST("${name}" AS TEXT) AS "${name}"`).join(', ');
  for (const row of index.prepare(`SELECT ${values} FROM "${table}" ORDER BY "${table}"."id"`).iterate()) {
    yield columns.map((name) => {
      const value = row[name];
      return typeof value === 'string' ? value : null;
    });
  }
}

function idOf(row: Row): bigint {
  return BigInt(row[0] ?? 0);
}
