import { join } from 'node:path';
import { Client } from 'pg';
import { systemClock } from '../base/clock.ts';
import { TidemarkError } from '../base/errors.ts';
import { systemFiles } from '../base/files.ts';
import { PostgresSource } from '../connectors/postgres/postgres-source.ts';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import type { Log } from '../model/log.ts';
import { startPostgres } from '../tests/servers/postgres.ts';
import type { PostgresSettings } from '../tests/servers/postgres.ts';
import { until } from '../tests/servers/process.ts';
import { inFolder } from './log-load.ts';

/** The row of the standard load: about 170 bytes, 40 characters in `d`, 60 in `g`. */
const columns = 'id bigint PRIMARY KEY, a int, b bigint, c numeric(12,2), d text, e timestamptz, f bool, g varchar(60)';
const row = (id: string): string =>
  `${id}, ${id} % 1000, ${id} * 7919, (${id} % 1000000) / 100.0, md5((${id})::text) || 'abcdefgh',
   '2026-01-01'::timestamptz + ${id} * interval '1.000001 s', ${id} % 2 = 0, left(repeat(md5((${id})::text), 2), 60)`;

export const sourceName = 'bench';
/** Rows of a chunk and connections: the defaults of the configuration. */
export const chunkRows = 20_000;
export const parallel = 2;

/** A server of its own and a folder on the disk, both gone afterwards. */
export async function onPostgres<T>(
  work: (context: { url: string; client: Client; directory: string }) => Promise<T>,
  settings: PostgresSettings = {},
): Promise<T> {
  const server = await startPostgres({ settings });
  const client = new Client(server.url());
  try {
    await client.connect();
    return await inFolder(async (directory) => work({ url: server.url(), client, directory }));
  } finally {
    await client.end();
    await server.stop('immediate');
  }
}

/** Makes a table of the standard load with rows 1 to `rows`. */
export async function makeTable(client: Client, name: string, rows: number): Promise<void> {
  await client.query(`CREATE TABLE ${name} (${columns})`);
  await insertRows(client, name, 1, rows);
  await client.query(`VACUUM ANALYZE ${name}`);
}

/** Inserts rows `from` to `upTo` in one transaction. */
export async function insertRows(client: Client, name: string, from: number, upTo: number): Promise<void> {
  await client.query(`INSERT INTO ${name} SELECT ${row('i')} FROM generate_series(${from}::bigint, ${upTo}) i`);
}

const inserts = 200;
const updates = 100;
const deletes = 33;
export const changesPerTransaction = inserts + updates + deletes;

/** Rows that a table must have before its first backlog: the first transaction changes the last 200 of them. */
export const rowsBeforeBacklog = inserts;

/**
 * Writes the standard backlog into a table with rows 1 to 200: each transaction inserts the next 200 rows, updates 100 of the 200
 * before and deletes 33 of them. One more insert follows, which tells a reader that there is no more.
 */
export async function writeBacklog(client: Client, name: string, transactions: number): Promise<{ endLsn: string }> {
  await client.query(`DO $$ BEGIN FOR t IN 1..${transactions} LOOP
      INSERT INTO ${name} SELECT ${row('i')} FROM generate_series(t::bigint * ${inserts} + 1, (t + 1) * ${inserts}) i;
      UPDATE ${name} SET a = a + 1, c = c + 1, e = now() WHERE id > (t - 1) * ${inserts} AND id <= (t - 1) * ${inserts} + ${updates};
      DELETE FROM ${name} WHERE id > (t - 1) * ${inserts} + ${updates} AND id <= (t - 1) * ${inserts} + ${updates + deletes};
      COMMIT;
    END LOOP; END $$`);
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  await insertRows(client, name, 0, 0);
  return { endLsn: rows[0]?.lsn ?? '0/0' };
}

/** A PostgresSource that follows one table into an embedded log. */
export class BenchSource {
  readonly source: PostgresSource;
  readonly log: Log;
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  #failure: unknown = null;

  private constructor(source: PostgresSource, log: Log) {
    this.source = source;
    this.log = log;
  }

  /** Opens log and source in `directory`; nothing runs yet. */
  static async open(
    directory: string,
    options: { url: string; table: string; slot: string; catchUpBytes?: number },
  ): Promise<BenchSource> {
    const { url, table, slot, catchUpBytes } = options;
    const log = await openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock });
    const source = new PostgresSource({
      name: sourceName,
      url,
      tables: [
        {
          schema: 'public',
          table,
          isPattern: false,
          kind: 'table',
          key: [],
          exclude: [],
          onSchemaChange: 'reread',
          where: null,
        },
      ],
      slot,
      publication: sourceName,
      snapshot: { mode: 'initial', chunkRows, parallel },
      heartbeatMs: 10_000,
      ...(catchUpBytes === undefined ? {} : { catchUpBytes }),
      directory: join(directory, 'source'),
      log,
      clock: systemClock,
      random: Math.random,
      files: systemFiles,
      report: () => undefined,
    });
    return new BenchSource(source, log);
  }

  start(): void {
    this.#running = this.source.run(this.#stop.signal).catch((error: unknown) => {
      this.#failure = error;
    });
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    await until(
      what,
      () => {
        if (this.#failure !== null) throw this.#failure;
        return condition();
      },
      600_000,
    );
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.log.close();
    if (this.#failure !== null) throw this.#failure;
  }
}

/** Drops a slot as soon as the server has noticed that nobody reads from it any more. */
export async function dropSlot(client: Client, slot: string): Promise<void> {
  await until(`slot ${slot} to be free`, async () => {
    const { rows } = await client.query<{ active: boolean }>(
      'SELECT active FROM pg_replication_slots WHERE slot_name = $1',
      [slot],
    );
    if (rows[0] === undefined) throw new TidemarkError('INTERNAL', `there is no slot ${slot}`);
    return !rows[0].active;
  });
  await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
}
