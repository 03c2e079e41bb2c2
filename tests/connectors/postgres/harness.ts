import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { expect, onTestFinished } from 'vitest';
import { present } from '../../../base/assert.ts';
import { systemClock } from '../../../base/clock.ts';
import { isTidemarkError, messageOf } from '../../../base/errors.ts';
import type { TidemarkError } from '../../../base/errors.ts';
import { PostgresSource } from '../../../connectors/postgres/postgres-source.ts';
import type { PostgresOptions, TableSelection } from '../../../connectors/postgres/options.ts';
import { identifier, sourceError } from '../../../connectors/postgres/session.ts';
import { openEmbeddedLog } from '../../../log/embedded/embedded-log.ts';
import type { PipelineEvent } from '../../../model/events.ts';
import type { Log } from '../../../model/log.ts';
import { lsnOrder } from '../../../model/position.ts';
import { until } from '../../servers/process.ts';
import { connectTo } from '../../servers/suite.ts';
import { CrashingFiles, HeldClock } from './harness-parts.ts';
import { eventsOf, foldOf } from './harness-replay.ts';
import type { LoggedEvent, TextRow } from './harness-replay.ts';

export type TableChoice = string | (Partial<TableSelection> & { readonly name: string });

export interface PipelineOptions {
  readonly url: string;
  /** `schema.table`, with `*` for patterns; or objects with what differs from the defaults. */
  readonly tables: readonly TableChoice[];
  readonly snapshot?: Partial<PostgresOptions['snapshot']>;
  /** How often the catalog is looked at. Default 100 ms. */
  readonly heartbeatMs?: number;
  readonly startAt?: string;
  readonly timeouts?: PostgresOptions['timeouts'];
  /** Length of the log's segments, after which it is also compacted over readers that lag behind. */
  readonly segmentBytes?: number;
}

export const sourceName = 'shop';

let pipelines = 0;

/**
 * A PostgresSource over a real embedded log in a folder of its own, with a slot and a publication of its own. Stopped, and
 * its slot dropped, after the test.
 */
export class TestPipeline {
  readonly slot: string;
  readonly directory: string;
  /** Everything that was reported, over all starts. */
  readonly reports: PipelineEvent[] = [];
  readonly clock: HeldClock = new HeldClock(systemClock);
  options: PipelineOptions;
  #sql: Client;
  readonly #sqlUrl: string;
  #log: Log | null = null;
  #source: PostgresSource | null = null;
  #files = new CrashingFiles();
  #stop = new AbortController();
  #running: Promise<void> | null = null;
  #failure: TidemarkError | null = null;
  #connections = 0;

  private constructor(options: PipelineOptions, directory: string, sql: Client) {
    this.options = options;
    this.directory = directory;
    this.#sql = sql;
    this.#sqlUrl = options.url;
    this.slot = `tm_${process.pid}_${++pipelines}`;
  }

  /** Makes a pipeline that does not run yet. */
  static async create(options: PipelineOptions): Promise<TestPipeline> {
    const directory = await mkdtemp(join(tmpdir(), 'tidemark-pg-'));
    const sql = await connectTo(options.url);
    const pipeline = new TestPipeline(options, directory, sql);
    onTestFinished(async () => pipeline.#remove());
    return pipeline;
  }

  /** Makes a pipeline and starts it. */
  static async started(options: PipelineOptions): Promise<TestPipeline> {
    const pipeline = await TestPipeline.create(options);
    await pipeline.start();
    return pipeline;
  }

  get log(): Log {
    return present(this.#log, 'the log of a pipeline that was started');
  }

  get source(): PostgresSource {
    return present(this.#source, 'the source of a pipeline that was started');
  }

  /** What ended the source by itself, or null. */
  get failure(): TidemarkError | null {
    return this.#failure;
  }

  /** Begins to run without waiting for anything but the log. */
  async launch(): Promise<void> {
    expect(this.#running, 'the pipeline runs already').toBeNull();
    this.#files = new CrashingFiles();
    this.#stop = new AbortController();
    this.#failure = null;
    const log = await openEmbeddedLog({
      directory: join(this.directory, 'log'),
      files: this.#files,
      clock: systemClock,
      ...(this.options.segmentBytes === undefined
        ? {}
        : { segmentBytes: this.options.segmentBytes, retainBytes: this.options.segmentBytes }),
    });
    this.#log = log;
    this.#source = new PostgresSource(this.#sourceOptions(log));
    this.#running = this.#source.run(this.#stop.signal).catch((error: unknown) => {
      this.#failure = isTidemarkError(error) ? error : sourceError(error, sourceName);
    });
  }

  /** Runs; returns once the stream is connected. Fails with what ended the source before. */
  async start(): Promise<void> {
    const before = this.#connections;
    await this.launch();
    await this.until('the stream to be connected', () => this.#connections > before);
  }

  /** Stops cleanly; the log can still be read. Fails with what had ended the source by itself. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#running = null;
    await this.#log?.close();
    if (this.#failure !== null && !this.#files.crashed) throw this.#failure;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Ends as kill -9 would: from this moment on nothing more reaches the disk, nor is acknowledged. */
  async crash(): Promise<void> {
    this.#files.crash();
    this.#stop.abort();
    await this.#running;
    this.#running = null;
    await this.#log?.close().catch(() => undefined);
    this.#failure = null;
  }

  /** Waits for a condition; fails at once when the source ends by itself. */
  async until<T>(what: string, ask: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
    try {
      return await until(what, async () => {
        if (this.#failure !== null) throw this.#failure;
        return ask();
      });
    } catch (error) {
      const status = JSON.stringify(this.#source?.status(), null, 1);
      throw new Error(`${messageOf(error)}; the source says ${status}`, { cause: error });
    }
  }

  /** Waits until the source ends by itself; returns why. */
  async failed(): Promise<TidemarkError> {
    return until('the source to fail', () => this.#failure ?? undefined);
  }

  /** Waits until every topic equals its table (as the source says). */
  async consistent(): Promise<void> {
    await this.until('the source to be consistent', () => this.source.status().consistent);
  }

  /** Waits until everything committed before the call is durable in the log, and the source is consistent. */
  async caughtUp(): Promise<string> {
    const position = await this.source.currentPosition();
    await this.reached(position);
    await this.consistent();
    return position;
  }

  /** Waits until the log holds everything up to a position. */
  async reached(position: string): Promise<void> {
    await this.until(`the log to reach ${position}`, () => {
      const held = this.log.frontier(sourceName).position;
      return held !== null && lsnOrder.covers(held, position);
    });
  }

  /** A topic's changes in the log, oldest first. */
  async events(topic: string): Promise<LoggedEvent[]> {
    return eventsOf(this.log, sourceName, `${sourceName}.${topic}`);
  }

  /** What the topic's changes add up to: rows by their key's bytes (latin1), values as the source's text by column number. */
  async replay(topic: string): Promise<Map<string, TextRow>> {
    return foldOf(await this.events(topic));
  }

  /** Compares the topic, folded, with its table: all columns, as text. */
  async expectEqual(table: string): Promise<void> {
    const columns = await this.query(
      `SELECT attnum AS id, attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum`,
      [quoted(table)],
    );
    const partitioned = await this.query(`SELECT relkind = 'p' AS yes FROM pg_class WHERE oid = $1::regclass`, [
      quoted(table),
    ]);
    const only = partitioned[0]?.['yes'] === 't' ? '' : 'ONLY ';
    const rows = await this.query(
      `SELECT ${columns.map(({ name }, index) => `${identifier(String(name))} AS c${index}`).join(', ')} FROM ${only}${quoted(table)}`,
    );
    const wanted = rows.map((row) => columns.map((_, index) => row[`c${index}`] ?? null));
    const replayed = await this.replay(table);
    const held = [...replayed.values()].map((row) => columns.map(({ id }) => row.get(Number(id)) ?? null));
    expect(sorted(held)).toEqual(sorted(wanted));
  }

  /** Catches up, then compares. Nothing may write to the tables meanwhile. */
  async settled(...tables: string[]): Promise<void> {
    await this.caughtUp();
    for (const table of tables) await this.expectEqual(table);
  }

  /** SQL on a connection of the harness. Values arrive as text. */
  async query(sql: string, values?: readonly unknown[]): Promise<Record<string, string | null>[]> {
    // A server that was restarted, or whose connections were ended, has taken ours along.
    const connected = await this.#sql.query('SELECT 1').catch(() => null);
    if (connected === null) this.#sql = await connectTo(this.#sqlUrl);
    const result = await this.#sql.query<Record<string, string | null>>(sql, values ? [...values] : undefined);
    return Array.isArray(result) ? [] : result.rows;
  }

  notices(): string[] {
    return this.reports.flatMap((event) => (event.type === 'source.notice' ? [event.message] : []));
  }

  #sourceOptions(log: Log): PostgresOptions {
    const { url, tables, snapshot, heartbeatMs, startAt, timeouts } = this.options;
    return {
      name: sourceName,
      url,
      tables: tables.map(selectionOf),
      slot: this.slot,
      publication: this.slot,
      snapshot: { mode: 'initial', chunkRows: 1_000, parallel: 2, ...snapshot },
      heartbeatMs: heartbeatMs ?? 100,
      ...(startAt === undefined ? {} : { startAt }),
      ...(timeouts === undefined ? {} : { timeouts }),
      directory: join(this.directory, 'source'),
      log,
      clock: this.clock,
      random: Math.random,
      files: this.#files,
      report: (event) => {
        this.reports.push(event);
        if (event.type === 'source.connected') this.#connections++;
      },
    };
  }

  async #remove(): Promise<void> {
    if (this.#running !== null) await this.crash();
    await until('the slot to be free', async () => {
      const rows = await this.query(`SELECT active FROM pg_replication_slots WHERE slot_name = $1`, [this.slot]);
      return rows[0]?.['active'] !== 't';
    });
    await this.query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`, [
      this.slot,
    ]);
    await this.query(`SET synchronous_commit = local; DROP PUBLICATION IF EXISTS ${this.slot}`);
    await this.query(`DROP PUBLICATION IF EXISTS ${this.slot}_streams`);
    await this.#sql.end();
    await rm(this.directory, { recursive: true, force: true });
  }
}

function selectionOf(choice: TableChoice): TableSelection {
  const given = typeof choice === 'string' ? { name: choice } : choice;
  const { name, ...rest } = given;
  const dot = name.indexOf('.');
  return {
    schema: name.slice(0, dot),
    table: name.slice(dot + 1),
    isPattern: name.includes('*'),
    kind: 'table',
    key: [],
    exclude: [],
    onSchemaChange: 'reread',
    where: null,
    ...rest,
  };
}

function quoted(table: string): string {
  const dot = table.indexOf('.');
  return `${identifier(table.slice(0, dot))}.${identifier(table.slice(dot + 1))}`;
}

function sorted(rows: (string | null)[][]): string[] {
  return rows.map((row) => JSON.stringify(row)).toSorted();
}
