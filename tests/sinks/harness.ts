import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { TidemarkError } from '../../base/errors.ts';
import { systemFiles } from '../../base/files.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import { ChangeWriter, opCreate, opDelete, opRead, opUpdate } from '../../model/change.ts';
import { scalar } from '../../model/data-type.ts';
import type { DataType, ScalarName } from '../../model/data-type.ts';
import type { PipelineEvent } from '../../model/events.ts';
import { keyEncodingOf, keySizeMax, writeKeyPart } from '../../model/key.ts';
import type { Log, LogWriter } from '../../model/log.ts';
import { packRow } from '../../model/row.ts';
import type { Table } from '../../model/table.ts';
import { createSinkGroups } from '../../sinks/create-groups.ts';
import type { SinkOptions } from '../../sinks/options.ts';
import type { SinkGroup } from '../../sinks/sink-group.ts';
import type { SinkDependencies } from '../../sinks/sink.ts';

export type Row = Record<string, string | null>;

/** A table of source `shop`: `{ id: 'int8', name: 'text' }`; the first column is the key unless `key` says otherwise. */
export function table(name: string, columns: Record<string, ScalarName | DataType>, key = [0], ids?: number[]): Table {
  return {
    source: 'shop',
    schema: 'public',
    name,
    topic: `shop.public.${name}`,
    kind: 'table',
    columns: Object.entries(columns).map(([column, type], index) => ({
      id: ids?.[index] ?? index + 1,
      name: column,
      type: typeof type === 'string' ? scalar(type) : type,
      declared: typeof type === 'string' ? type : type.kind,
      nullable: true,
    })),
    key,
  };
}

/** Writes transactions into a log as a connector would. */
export class Feeder {
  readonly log: Log;
  readonly #writer: LogWriter;
  readonly #changes = new ChangeWriter();
  #lsn = 0;

  constructor(log: Log, writer: LogWriter) {
    this.log = log;
    this.#writer = writer;
  }

  upsert(of: Table, row: Row, op: 'create' | 'update' | 'read' = 'create'): this {
    const ops = { create: opCreate, update: opUpdate, read: opRead } as const;
    return this.#add(of, ops[op], row, undefined, packRow(of.columns.map(({ name }) => row[name] ?? null)));
  }

  /** `packed` columns as they are: for values that are not text. */
  upsertPacked(of: Table, row: Row, packed: (string | Buffer | null)[]): this {
    return this.#add(of, opCreate, row, undefined, packRow(packed));
  }

  delete(of: Table, row: Row): this {
    return this.#add(of, opDelete, row, packRow(of.columns.map(({ name }) => row[name] ?? null)), undefined);
  }

  /** Makes the log know tables that have no rows yet. */
  know(...tables: readonly Table[]): this {
    for (const of of tables) this.#writer.schemaId(of);
    return this;
  }

  /** Hands over what was collected as a piece of the open transaction. */
  piece(): this {
    this.#writer.append(this.#changes.batch());
    this.#changes.reset();
    return this;
  }

  commit(state?: Record<string, string | null>, snapshot = false): number {
    if (this.#changes.count > 0) this.piece();
    const position = `0/${(++this.#lsn * 16).toString(16).toUpperCase()}`;
    return this.#writer.commit({ position, commitTimeMs: Date.now(), snapshot, txId: '', ...(state ? { state } : {}) });
  }

  /** Commits and says that the tables are consistent from there on. */
  commitConsistent(...tables: Table[]): number {
    const seq = this.#writer.last.seq + 1;
    return this.commit(Object.fromEntries(tables.map(({ topic }) => [`consistent:${topic}`, JSON.stringify({ seq })])));
  }

  mark(state?: Record<string, string | null>): string {
    const position = `0/${(++this.#lsn * 16).toString(16).toUpperCase()}`;
    this.#writer.mark({ position, timeMs: Date.now(), ...(state ? { state } : {}) });
    return position;
  }

  get seq(): number {
    return this.#writer.last.seq;
  }

  get pendingBytes(): number {
    return this.#changes.size;
  }

  async durable(): Promise<void> {
    await this.#writer.durable();
  }

  async drained(): Promise<void> {
    await this.#writer.drained();
  }

  #add(of: Table, op: 1 | 2 | 3 | 4, row: Row, before: Buffer | undefined, after: Buffer | undefined): this {
    this.#changes.add({
      op,
      schemaId: this.#writer.schemaId(of),
      key: keyOf(of, row),
      ...(before ? { before } : {}),
      ...(after ? { after } : {}),
    });
    return this;
  }
}

export function keyOf(of: Table, row: Row): Buffer {
  const parts = of.key.map((index) => {
    const column = of.columns[index];
    const text = Buffer.from(row[column?.name ?? ''] ?? '');
    const into = Buffer.alloc(keySizeMax(text.length));
    const encoding = keyEncodingOf(column?.type ?? scalar('text'));
    return into.subarray(0, writeKeyPart(encoding, text, 0, text.length, into, 0));
  });
  return Buffer.concat(parts);
}

/** A log, a folder and whatever else a test of sinks needs; gone when the test is. */
export class Harness {
  readonly directory: string;
  readonly events: PipelineEvent[] = [];
  log: Log;
  feeder: Feeder;
  #running: { stop: AbortController; done: Promise<void> }[] = [];

  constructor(directory: string, log: Log, writer: LogWriter) {
    this.directory = directory;
    this.log = log;
    this.feeder = new Feeder(log, writer);
  }

  static async create(
    options: { segmentBytes?: number; compactBytes?: number; retainBytes?: number } = {},
  ): Promise<Harness> {
    const directory = await mkdtemp(join(tmpdir(), 'tidemark-sinks-'));
    const log = await openEmbeddedLog({
      ...options,
      directory: join(directory, 'log'),
      files: systemFiles,
      clock: systemClock,
    });
    return new Harness(directory, log, await log.writer('shop'));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  dependencies(changes: Partial<SinkDependencies> = {}): SinkDependencies {
    return {
      name: 'test',
      log: this.log,
      clock: systemClock,
      files: systemFiles,
      random: Math.random,
      report: (event) => this.events.push(event),
      directory: join(this.directory, 'sinks'),
      onError: 'dead_letter',
      ...changes,
    };
  }

  /** Starts delivery to the sinks. */
  run(options: readonly SinkOptions[], changes: Partial<SinkDependencies> = {}): SinkGroup[] {
    const groups = createSinkGroups(options, this.dependencies(changes));
    for (const group of groups) {
      const stop = new AbortController();
      this.#running.push({ stop, done: group.run(stop.signal) });
    }
    return groups;
  }

  /** Stops delivery cleanly. */
  async stop(): Promise<void> {
    for (const { stop } of this.#running) stop.abort();
    for (const { done } of this.#running) await done;
    this.#running = [];
  }

  async close(): Promise<void> {
    await this.stop();
    await this.log.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Waits until the condition holds. Fails with `what` after thirty seconds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new TidemarkError('INTERNAL', `waited in vain: ${what}`);
    await systemClock.sleep(5);
  }
}

/** Waits until every sink of the groups holds everything up to `seq`, and readers see it. */
export async function caughtUp(groups: readonly SinkGroup[], seq: number): Promise<void> {
  try {
    await until(`sinks reach ${seq}`, () => groups.every((group) => group.status().every((sink) => sink.seq >= seq)));
  } catch (error) {
    const shown = JSON.stringify(groups.flatMap((group) => group.status()));
    throw new TidemarkError('INTERNAL', `${error instanceof Error ? error.message : ''}: ${shown}`, { cause: error });
  }
}
