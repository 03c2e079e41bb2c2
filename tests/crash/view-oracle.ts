import type { Client } from 'pg';
import { present } from '../../base/assert.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { connectTo } from '../servers/suite.ts';
import type { Replay, Row } from './replay.ts';
import { definitions, sourceName, tables } from './schema.ts';
import type { TableName } from './schema.ts';
import { views } from './views.ts';

const database = 'replayed';

/** PostgreSQL's answers to the views' queries over tables as the log had them at some commit: a database of its own, in temporary tables. */
export class ViewOracle {
  readonly #client: Client;
  /** Per table, what fills it with arrays of texts. */
  readonly #fill = new Map<TableName, { columns: readonly string[]; sql: string }>();

  private constructor(client: Client) {
    this.#client = client;
  }

  static async create(server: PostgresServer): Promise<ViewOracle> {
    const admin = await connectTo(server.url());
    await admin.query(`CREATE DATABASE ${database}`);
    await admin.end();
    const oracle = new ViewOracle(await connectTo(server.url(database)));
    await oracle.#prepare();
    return oracle;
  }

  /** Puts the tables to where the replay is. */
  async load(replay: Replay): Promise<void> {
    await this.#client.query(`TRUNCATE ${tables.join(', ')}`);
    for (const table of tables) {
      const { columns, sql } = present(this.#fill.get(table), table);
      const rows = replay.rows(`${sourceName}.public.${table}`);
      await this.#client.query(
        sql,
        columns.map((name) => rows.map((row) => row.get(name) ?? null)),
      );
    }
  }

  async rows(view: string): Promise<Row[]> {
    return viewRows(this.#client, view);
  }

  async close(): Promise<void> {
    await this.#client.end();
  }

  async #prepare(): Promise<void> {
    const client = this.#client;
    await client.query(definitions.replaceAll('CREATE TABLE', 'CREATE TEMP TABLE'));
    await createViews(client);
    for (const table of tables) {
      const { rows } = await client.query<{ name: string; type: string }>(
        `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
         WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum`,
        [table],
      );
      const values = rows.map(({ name, type }) => `"${name}"::${type}`).join(', ');
      const arrays = rows.map((_, index) => `$${index + 1}::text[]`).join(', ');
      const names = rows.map(({ name }) => `"${name}"`).join(', ');
      const sql = `INSERT INTO ${table} (${names}) SELECT ${values} FROM unnest(${arrays}) AS rows(${names})`;
      this.#fill.set(table, { columns: rows.map(({ name }) => name), sql });
    }
  }
}

/** The queries as views of the connection, over its tables by these names. */
export async function createViews(client: Client): Promise<void> {
  for (const { name, sql } of views) await client.query(`CREATE TEMP VIEW ${name} AS ${sql}`);
}

/** The answer in the form that sinks hold. */
export async function viewRows(client: Client, view: string): Promise<Row[]> {
  const { rows: columns } = await client.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum`,
    [`pg_temp.${view}`],
  );
  const list = columns.map(({ name }) => `to_json("${name}") #>> '{}' AS "${name}"`);
  const { rows } = await client.query<Record<string, string | null>>(`SELECT ${list.join(', ')} FROM pg_temp.${view}`);
  return rows.map((row) => new Map(Object.entries(row)));
}
