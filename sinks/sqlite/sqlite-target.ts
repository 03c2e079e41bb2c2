import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { assert, present } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { TidemarkError, isTidemarkError, messageOf } from '../../base/errors.ts';
import type { Files } from '../../base/files.ts';
import type { Log } from '../../model/log.ts';
import type { ChangeSet } from '../change-set.ts';
import { makeParent } from '../make-parent.ts';
import { fingerprintOf } from '../options.ts';
import type { SqliteSinkOptions } from '../options.ts';
import { noneRejected } from '../port.ts';
import type { Cursor, RejectedRow, SinkDocument, SinkShape, SinkState, Target } from '../port.ts';
import { Catalog, forget, readEntries } from './catalog.ts';
import type { SinkEntry } from './catalog.ts';
import { Expectation, deleteKeys, scanTable } from './inspection.ts';
import { copyName, emptyLayout, layoutOf, tablesOf } from './layout.ts';
import type { Layout } from './layout.ts';
import { alterTable, createTable, dropTable, renameCopy } from './rebuild.ts';
import { TableWriter } from './table-writer.ts';

/** How long a statement waits for another writer of the file. Short, since the process waits with it; delivery tries again later. */
const busyTimeoutMs = 20;
/** How often it is checked that the path still leads to the file that is open. */
const identityCheckMs = 1_000;
/** Bounds the pages that one transaction keeps in memory; the others spill into the WAL. */
const cacheKiB = 4 * 1024;

/**
 * SQLite's result codes (https://sqlite.org/rescode.html) that tell of a value rather than of the file: TOOBIG, CONSTRAINT, MISMATCH,
 * RANGE.
 */
const rowCodes = new Set([18, 19, 20, 25]);
const notADatabase = 26;

interface SqliteDependencies {
  readonly log: Log;
  readonly clock: Clock;
  readonly files: Files;
  readonly random: () => number;
}

/**
 * A SQLite file. Rows, full-text index and cursor change in one SQLite transaction, which stays open over the pieces of a large source
 * transaction; in WAL mode readers see the state before it until it commits, and never wait.
 *
 * synchronous=NORMAL: a power cut may take the newest commits, rows and cursor together, and delivery goes on from the older cursor. The
 * log has been synced before it hands anything over, so the file is never ahead of it.
 */
export class SqliteTarget implements Target {
  readonly type = 'sqlite';
  readonly wants = 'net';
  readonly #path: string;
  readonly #sinks: ReadonlyMap<string, SqliteSinkOptions>;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #files: Files;
  readonly #token: string;
  #db: DatabaseSync | null = null;
  #catalog: Catalog | null = null;
  #entries = new Map<string, SinkEntry>();
  #writers = new Map<string, TableWriter>();
  /** By sink, for the layout that its table had when it was last compared. */
  readonly #expectations = new Map<string, Expectation>();
  #inode = 0n;
  #checkedAt = 0;

  constructor(sinks: readonly SqliteSinkOptions[], deps: SqliteDependencies) {
    this.#path = sinks[0]?.path ?? '';
    this.#sinks = new Map(sinks.map((sink) => [sink.name, sink]));
    this.#log = deps.log;
    this.#clock = deps.clock;
    this.#files = deps.files;
    this.#token = Array.from({ length: 4 }, () => Math.floor(deps.random() * 2 ** 32).toString(16)).join('-');
  }

  async open(): Promise<ReadonlyMap<string, SinkState>> {
    await makeParent(this.#files, this.#path);
    const db = this.#connect();
    this.#run(() => {
      db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -${cacheKiB};
        PRAGMA journal_size_limit = 67108864; PRAGMA legacy_alter_table = ON;`);
      db.exec('BEGIN IMMEDIATE');
      this.#catalog = new Catalog(db, this.#path, this.#token);
      this.#entries = readEntries(db);
      this.#refuseForeign(db);
      db.exec('COMMIT');
    });
    this.#inode = statSync(this.#path, { bigint: true }).ino;
    this.#checkedAt = this.#clock.monotonic();
    return this.#states();
  }

  #connect(): DatabaseSync {
    try {
      this.#db = new DatabaseSync(this.#path, { timeout: busyTimeoutMs });
      return this.#db;
    } catch (error) {
      throw this.#translated(error);
    }
  }

  async begin(): Promise<void> {
    this.#checkIdentity();
    this.#run(() => {
      this.#open().exec('BEGIN IMMEDIATE');
      present(this.#catalog, 'the catalog').checkOwner();
    });
  }

  async beginRebuild(sink: string): Promise<void> {
    const options = this.#options(sink);
    const entry = this.#entries.get(sink);
    const layout = emptyLayout(copyName(options.table), options.search);
    this.#run(() => {
      if (entry?.copy) dropTable(this.#open(), entry.copy.layout);
      const cursor = { epoch: this.#log.epoch, seq: 0, position: null, timeMs: 0 };
      this.#save(sink, {
        fingerprint: fingerprintOf(options),
        visible: entry?.visible ?? null,
        copy: { layout, cursor },
      });
    });
  }

  async reshape(sink: string, shape: SinkShape): Promise<void> {
    const entry = this.#entry(sink);
    const { search, table } = this.#options(sink);
    const current = present(entry.copy ?? entry.visible, `a table of sink ${sink}`);
    const layout = layoutOf(sink, current.layout.table, shape, search);
    this.#run(() => {
      if (current.layout.columns.length === 0) createTable(this.#open(), layout, table);
      else alterTable(this.#open(), current.layout, layout, table);
      current.layout = layout;
      this.#save(sink, entry);
    });
  }

  async apply(sink: string, changes: ChangeSet, from: number, to: number): Promise<readonly RejectedRow[]> {
    this.#run(() => this.#writer(sink).apply(changes, from, to));
    return noneRejected;
  }

  async commitRebuild(sink: string): Promise<void> {
    const { copy, visible, fingerprint } = this.#entry(sink);
    assert(copy !== null, `sink ${sink} has no copy to show`);
    const { table } = this.#options(sink);
    this.#run(() => {
      const db = this.#open();
      this.#takeOver(db, sink, table);
      if (visible) dropTable(db, visible.layout);
      const layout = copy.layout.columns.length === 0 ? { ...copy.layout, table } : renameCopy(db, copy.layout, table);
      this.#save(sink, { fingerprint, visible: { layout, cursor: copy.cursor }, copy: null });
    });
  }

  async commit(sinks: readonly string[], cursor: Cursor): Promise<void> {
    this.#run(() => {
      const catalog = present(this.#catalog, 'the catalog');
      for (const sink of sinks) {
        const entry = this.#entries.get(sink);
        if (entry?.copy) catalog.setCopyCursor(sink, cursor);
        else if (entry?.visible) catalog.setCursor(sink, cursor);
      }
      this.#open().exec('COMMIT');
    });
    for (const sink of sinks) {
      const state = this.#entries.get(sink);
      const current = state?.copy ?? state?.visible;
      if (current) current.cursor = cursor;
    }
  }

  async *scan(sink: string): AsyncGenerator<readonly SinkDocument[]> {
    try {
      yield* scanTable(this.#path, this.#readable(sink));
    } catch (error) {
      throw this.#translated(error);
    }
  }

  expect(sink: string, changes: ChangeSet, from: number, to: number): readonly SinkDocument[] {
    const layout = this.#readable(sink);
    let expectation = this.#expectations.get(sink);
    if (expectation?.layout !== layout) {
      expectation = new Expectation(layout, (schemaId) => this.#log.table(schemaId));
      this.#expectations.set(sink, expectation);
    }
    return expectation.documents(changes, from, to);
  }

  async repair(sink: string, rows: ChangeSet, extra: readonly string[]): Promise<void> {
    const layout = this.#readable(sink);
    this.#run(() => {
      deleteKeys(this.#open(), layout, extra);
      this.#writer(sink).apply(rows, 0, rows.count);
    });
  }

  async rollback(): Promise<void> {
    try {
      if (this.#db?.isOpen === true && this.#db.isTransaction) this.#db.exec('ROLLBACK');
    } catch {
      // Closing the file takes the transaction back as well.
    }
  }

  async close(): Promise<void> {
    this.#writers.clear();
    this.#catalog = null;
    const db = this.#db;
    this.#db = null;
    if (db?.isOpen === true) db.close();
  }

  /** The table that readers of the sink see. */
  #readable(sink: string): Layout {
    const layout = this.#entries.get(sink)?.visible?.layout;
    if (layout !== undefined) return layout;
    throw new TidemarkError('SINK_FAILED', `Sink '${sink}' has nothing yet that could be read`, {
      hint: 'Wait until it is consistent; `tidemark status` shows how far it is.',
      place: { sink, file: this.#path },
    });
  }

  #open(): DatabaseSync {
    return present(this.#db, 'the open file');
  }

  #options(sink: string): SqliteSinkOptions {
    return present(this.#sinks.get(sink), `sink ${sink}`);
  }

  #entry(sink: string): SinkEntry {
    return present(this.#entries.get(sink), `the entry of sink ${sink}`);
  }

  #save(sink: string, entry: SinkEntry): void {
    this.#entries.set(sink, entry);
    present(this.#catalog, 'the catalog').save(sink, entry);
    this.#writers.delete(sink);
  }

  #writer(sink: string): TableWriter {
    let writer = this.#writers.get(sink);
    if (writer === undefined) {
      const entry = this.#entry(sink);
      const { layout } = present(entry.copy ?? entry.visible, `a table of sink ${sink}`);
      writer = new TableWriter(this.#open(), layout, (schemaId) => this.#log.table(schemaId));
      this.#writers.set(sink, writer);
    }
    return writer;
  }

  #states(): Map<string, SinkState> {
    const states = new Map<string, SinkState>();
    for (const sink of this.#sinks.keys()) {
      const entry = this.#entries.get(sink);
      const current = entry?.copy ?? entry?.visible;
      if (entry === undefined || !current) continue;
      states.set(sink, {
        cursor: current.cursor,
        rebuilding: entry.copy !== null,
        visible: entry.visible?.cursor ?? null,
        schemaId: current.layout.schemaId,
        fingerprint: entry.fingerprint,
      });
    }
    return states;
  }

  /** A table that no sink of ours is known to have made stays as it is. */
  #refuseForeign(db: DatabaseSync): void {
    const exists = db.prepare(
      "SELECT 1 FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')",
    );
    const ours = new Set<string>();
    for (const { visible, copy } of this.#entries.values()) {
      for (const layout of [visible?.layout, copy?.layout]) {
        if (layout) for (const own of tablesOf(layout.table, layout.search)) ours.add(own.toLowerCase());
      }
    }
    for (const { name, table, search } of this.#sinks.values()) {
      for (const wanted of [...tablesOf(table, search), ...tablesOf(copyName(table), search)]) {
        if (ours.has(wanted.toLowerCase()) || exists.get(wanted) === undefined) continue;
        throw new TidemarkError('SINK_TARGET', `Table '${wanted}' in ${this.#path} is not of sink '${name}'s making`, {
          hint: 'Give the sink another `table` or another file, or drop that table.',
          place: { sink: name, file: this.#path },
        });
      }
    }
  }

  /** A sink that is no longer configured leaves its table to the one that now has its name. */
  #takeOver(db: DatabaseSync, sink: string, table: string): void {
    for (const [other, { visible, copy }] of this.#entries) {
      if (other === sink || this.#sinks.has(other) || visible?.layout.table !== table) continue;
      dropTable(db, visible.layout);
      if (copy) dropTable(db, copy.layout);
      forget(db, other);
      this.#entries.delete(other);
    }
  }

  /** A file that was replaced while it was open would be written to for nobody. */
  #checkIdentity(): void {
    const now = this.#clock.monotonic();
    if (now - this.#checkedAt < identityCheckMs) return;
    this.#checkedAt = now;
    if (statSync(this.#path, { bigint: true, throwIfNoEntry: false })?.ino === this.#inode) return;
    throw new TidemarkError('SINK_FAILED', `${this.#path} was removed or replaced while it was in use`, {
      hint: 'It is opened again and filled from the log.',
      place: { file: this.#path },
    });
  }

  /** Runs SQLite calls, and says of an error whether it is a row's fault or the file's. */
  #run(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw this.#translated(error);
    }
  }

  #translated(error: unknown): unknown {
    if (isTidemarkError(error)) return error;
    const code = sqliteCode(error);
    if (rowCodes.has(code)) return new TidemarkError('ROW_REJECTED', messageOf(error), { cause: error });
    if (code === notADatabase) {
      return new TidemarkError('SINK_TARGET', `${this.#path} is not a SQLite database`, {
        hint: 'Give the sink another path, or move that file away.',
        place: { file: this.#path },
        cause: error,
      });
    }
    return new TidemarkError('SINK_FAILED', `${this.#path}: ${messageOf(error)}`, {
      hint: 'It is tried again with growing pauses; nothing is lost meanwhile.',
      place: { file: this.#path },
      cause: error,
    });
  }
}

/** The primary result code of a node:sqlite error, or 0. */
function sqliteCode(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return 0;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : 0;
}
