import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { present } from '../../../base/assert.ts';
import { systemClock } from '../../../base/clock.ts';
import { systemFiles } from '../../../base/files.ts';
import { openEmbeddedLog } from '../../../log/embedded/embedded-log.ts';
import {
  ChangeCursor,
  ChangeWriter,
  flagKeyOnly,
  opCreate,
  opDelete,
  opRead,
  opUpdate,
} from '../../../model/change.ts';
import { scalar } from '../../../model/data-type.ts';
import type { ScalarName } from '../../../model/data-type.ts';
import type { PipelineEvent } from '../../../model/events.ts';
import { keyEncodingOf, keySizeMax, writeKeyPart } from '../../../model/key.ts';
import type { Log, LogWriter } from '../../../model/log.ts';
import { formatPositions } from '../../../model/position.ts';
import { packRow, unpackRow } from '../../../model/row.ts';
import type { Table } from '../../../model/table.ts';
import { viewsStream } from '../../../views/port.ts';
import type { Stage, StageOptions } from '../../../views/port.ts';
import { bindViews } from '../../../views/sql/bind.ts';
import { catalogOf } from '../../../views/sql/catalog.ts';
import { createStage } from '../../../views/stage/stage.ts';
import { fingerprints } from '../../../views/stage/state-folder.ts';
import { sqlTypeOf } from '../../../views/type.ts';

export type Row = Record<string, string | null>;

export interface ViewText {
  readonly name: string;
  readonly sql: string;
  readonly key?: readonly string[];
}

/** A table; its first column is the key, unless `key` says otherwise. */
export function table(topic: string, columns: Record<string, ScalarName>, key: readonly number[] = [0]): Table {
  const [source = '', schema = '', name = ''] = topic.split('.');
  return {
    source,
    schema,
    name,
    topic,
    kind: 'table',
    columns: Object.entries(columns).map(([column, type], index) => ({
      id: index + 1,
      name: column,
      type: scalar(type),
      declared: type,
      nullable: true,
    })),
    key,
  };
}

/** Writes transactions of one source into the log as a connector would. */
export class Feeder {
  readonly writer: LogWriter;
  readonly #changes = new ChangeWriter();
  position = 0;

  constructor(writer: LogWriter) {
    this.writer = writer;
    this.position = writer.last.position === null ? 0 : Number.parseInt(writer.last.position.slice(2), 16) / 16;
  }

  upsert(of: Table, row: Row, op: 'create' | 'update' | 'read' = 'update'): this {
    const ops = { create: opCreate, update: opUpdate, read: opRead } as const;
    this.#changes.add({
      op: ops[op],
      schemaId: this.writer.schemaId(of),
      key: keyOf(of, row),
      after: packRow(of.columns.map(({ name }) => row[name] ?? null)),
    });
    return this;
  }

  /** With the key alone, as PostgreSQL sends it. */
  delete(of: Table, row: Row): this {
    const isKey = (index: number): boolean => of.key.length === 0 || of.key.includes(index);
    this.#changes.add({
      op: opDelete,
      schemaId: this.writer.schemaId(of),
      key: keyOf(of, row),
      before: packRow(of.columns.map(({ name }, index) => (isKey(index) ? (row[name] ?? null) : null))),
      keyOnly: of.key.length > 0,
    });
    return this;
  }

  piece(): this {
    this.writer.append(this.#changes.batch());
    this.#changes.reset();
    return this;
  }

  commit(state?: Record<string, string | null>): number {
    if (this.#changes.count > 0) this.piece();
    return this.writer.commit({
      position: this.#next(),
      commitTimeMs: 1_700_000_000_000 + this.position * 1000,
      snapshot: false,
      txId: '',
      ...(state ? { state } : {}),
    });
  }

  commitConsistent(...tables: readonly Table[]): number {
    const seq = this.writer.last.seq + 1;
    return this.commit(Object.fromEntries(tables.map(({ topic }) => [`consistent:${topic}`, JSON.stringify({ seq })])));
  }

  mark(): string {
    const position = this.#next();
    this.writer.mark({ position, timeMs: 1_700_000_000_000 + this.position * 1000 });
    return position;
  }

  #next(): string {
    return `0/${(++this.position * 16).toString(16).toUpperCase()}`;
  }
}

function keyOf(of: Table, row: Row): Buffer {
  const parts = of.key.map((index) => {
    const column = present(of.columns[index], 'a key column');
    const text = Buffer.from(row[column.name] ?? '');
    const into = Buffer.alloc(keySizeMax(text.length));
    return into.subarray(0, writeKeyPart(keyEncodingOf(column.type), text, 0, text.length, into, 0));
  });
  return Buffer.concat(parts);
}

export interface StageCommit {
  readonly seq: number;
  readonly position: string;
  readonly changes: readonly { view: string; key: string; before: Row | null; after: Row | null }[];
}

/** A log, a folder and the stage; gone when the test is. */
export class StageHarness {
  readonly directory: string;
  readonly events: PipelineEvent[] = [];
  readonly tables: readonly Table[];
  log: Log;
  #feeders = new Map<string, Feeder>();
  #fingerprints = '';
  #running: { stop: AbortController; done: Promise<void> } | null = null;

  private constructor(directory: string, tables: readonly Table[], log: Log) {
    this.directory = directory;
    this.tables = tables;
    this.log = log;
  }

  static async create(...tables: readonly Table[]): Promise<StageHarness> {
    const directory = await mkdtemp(join(tmpdir(), 'tidemark-stage-'));
    return new StageHarness(directory, tables, await openLog(directory));
  }

  async feeder(source: string): Promise<Feeder> {
    let feeder = this.#feeders.get(source);
    if (feeder === undefined) {
      feeder = new Feeder(await this.log.writer(source));
      this.#feeders.set(source, feeder);
    }
    return feeder;
  }

  options(views: readonly ViewText[], changes: Partial<StageOptions> = {}): StageOptions {
    const relations = this.tables.map(({ topic, columns, key }) => ({
      relation: topic,
      columns: columns.map(({ name, type, declared, nullable }) => ({
        name,
        type: sqlTypeOf(type, declared),
        nullable,
      })),
      key,
    }));
    const texts = views.map(({ name, sql, key }) => ({ name, sql, key: key ?? [] }));
    return {
      views: bindViews(texts, catalogOf(relations)),
      relations: new Map(this.tables.map((one) => [one.topic, one])),
      log: this.log,
      formatPosition: (positions) =>
        formatPositions(positions, new Set(this.tables.map(({ source }) => source)).size === 1),
      directory: join(this.directory, 'views'),
      state: 'disk',
      files: systemFiles,
      clock: systemClock,
      report: (event) => this.events.push(event),
      ...changes,
    };
  }

  /** Starts the stage. */
  start(views: readonly ViewText[], changes: Partial<StageOptions> = {}): Stage {
    const options = this.options(views, changes);
    this.#fingerprints = JSON.stringify(fingerprints(options));
    const stage = createStage(options);
    const stop = new AbortController();
    const done = stage.run(stop.signal);
    // A failure is told by `stop` or `failure`.
    done.catch(() => undefined);
    this.#running = { stop, done };
    return stage;
  }

  /** Stops the stage cleanly; rejects with what it failed with. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    running?.stop.abort();
    await running?.done;
  }

  /** Resolves with what the stage failed with. */
  async failure(): Promise<unknown> {
    const running = this.#running;
    this.#running = null;
    return running?.done.then(
      () => null,
      (error: unknown) => error,
    );
  }

  /** Waits until the published results are of everything that the sources have committed. */
  async caughtUp(): Promise<void> {
    const deadline = performance.now() + 15_000;
    for (const { writer } of this.#feeders.values()) await writer.durable();
    for (;;) {
      const vector = JSON.parse(this.log.state(viewsStream).get('vector') ?? 'null') as Vector | null;
      const isReached = [...this.#feeders].every(([source, { writer }]) => {
        const point = vector?.sources[source];
        return point !== undefined && point.seq >= writer.last.seq && point.position === writer.last.position;
      });
      if (isReached && JSON.stringify(vector?.views) === this.#fingerprints) return;
      const failed = await Promise.race([this.#running?.done.then(() => 'stopped'), systemClock.sleep(3)]);
      if (failed === 'stopped') throw new Error('the stage stopped');
      if (performance.now() > deadline) throw new Error(`waited in vain: ${JSON.stringify(vector)}`);
    }
  }

  /** Everything that the stream of views holds, from its beginning. */
  async commits(): Promise<StageCommit[]> {
    const commits: StageCommit[] = [];
    const reader = this.log.read(viewsStream, { fromSeq: 0, follow: false });
    for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
      for (const { seq, position, changes, first } of batch.pieces) {
        if (first) commits.push({ seq, position, changes: [] });
        const into = present(commits.at(-1), 'a commit').changes as StageCommit['changes'][number][];
        const cursor = new ChangeCursor().reset(changes.bytes);
        while (cursor.next()) into.push(this.#change(cursor));
      }
    }
    await reader.close();
    return commits;
  }

  /** The rows of a view's topic, folded from its beginning; `before` of every change is checked against what was there. */
  async rows(view: string): Promise<Row[]> {
    const rows = new Map<string, { row: Row; count: number }>();
    for (const { changes, seq } of await this.commits()) {
      for (const change of changes) {
        if (change.view !== view) continue;
        const { before, after } = change;
        const keyOfRow = (row: Row): string => (change.key === '' ? JSON.stringify(row) : change.key);
        if (before !== null) {
          const held = rows.get(keyOfRow(before));
          if (held === undefined || JSON.stringify(held.row) !== JSON.stringify(before)) {
            throw new Error(`commit ${seq} replaces ${JSON.stringify(before)}, which is ${JSON.stringify(held?.row)}`);
          }
          if (--held.count === 0) rows.delete(keyOfRow(before));
        }
        if (after === null) continue;
        const held = rows.get(keyOfRow(after));
        if (held !== undefined && change.key !== '')
          throw new Error(`commit ${seq} adds ${JSON.stringify(after)} twice`);
        if (held) held.count++;
        else rows.set(keyOfRow(after), { row: after, count: 1 });
      }
    }
    return [...rows.values()].flatMap(({ row, count }) => Array.from({ length: count }, () => row)).toSorted(byText);
  }

  #change(cursor: ChangeCursor): StageCommit['changes'][number] {
    const { bytes, schemaId, hasBefore, hasAfter, beforeStart, afterStart, flags } = cursor;
    const of = present(this.log.table(schemaId), `table ${schemaId}`);
    if ((flags & flagKeyOnly) !== 0) throw new Error('a view published a key without its row');
    const rowAt = (start: number): Row => {
      const values = unpackRow(bytes, start, of.columns.length);
      return Object.fromEntries(of.columns.map(({ name }, index) => [name, values[index] ?? null]));
    };
    return {
      view: of.name,
      key: cursor.key().toString('latin1'),
      before: hasBefore ? rowAt(beforeStart) : null,
      after: hasAfter ? rowAt(afterStart) : null,
    };
  }

  /** Ends log and feeders and opens them again, as another process would find them. */
  async reopen(): Promise<void> {
    await this.log.close();
    this.#feeders = new Map();
    this.log = await openLog(this.directory);
  }

  async close(): Promise<void> {
    await this.stop().catch(() => undefined);
    await this.log.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

interface Vector {
  readonly views: Record<string, string>;
  readonly sources: Record<string, { seq: number; position: string | null }>;
}

export function byText(a: Row, b: Row): number {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

async function openLog(directory: string): Promise<Log> {
  return openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock });
}
