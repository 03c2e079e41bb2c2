import { assert, present } from '../../base/assert.ts';
import { isTidemarkError, messageOf } from '../../base/errors.ts';
import type { TidemarkError } from '../../base/errors.ts';
import { ChangeCursor } from '../../model/change.ts';
import type { ChangeSet } from '../change-set.ts';
import type { RedisSinkOptions } from '../options.ts';
import { noneRejected } from '../port.ts';
import type { Cursor, RejectedRow, SinkDocument, SinkShape, SinkState, Target } from '../port.ts';
import type { SinkDependencies } from '../sink.ts';
import { RedisConnection, defaultTimeouts } from './connection.ts';
import type { RedisTimeouts } from './connection.ts';
import { documentsExpected, documentsOf } from './documents.ts';
import { keyFormOfTemplate } from './key-form.ts';
import { anyKeyOf, fewKeysOf, formsOf, sweepKeys } from './keys-of-sink.ts';
import { broken, columnsChanged, foreignKey, foreignRecord } from './refusals.ts';
import { refuseTemplates } from './refuse-templates.ts';
import { noCursor } from './record.ts';
import type { SinkRecord } from './record.ts';
import { refuseServer, serverFacts } from './server.ts';
import { RedisSession } from './session.ts';
import type { Chunk } from './session.ts';
import { SinkEntry, sameColumns } from './sink-entry.ts';

/** Bytes of rows that one commit changes at once, and that we hold. The server does nothing else for about 1 ms a megabyte. */
const atomicBytesMax = 16 * 1024 * 1024;
/** What nobody sees yet is sent whenever it has come to this. */
const partBytes = 1024 * 1024;
/** An answer that comes at all comes within this, as a rule; the service does not wait longer when it stops. */
const lastAnswerMs = 1_000;
/** How often a target with nothing to do is asked whether it holds what was written: a server may lose everything and stay up. */
const lookEveryMs = 5_000;

/**
 * A database of a Redis server. Rows, deletes and cursors of a commit are one script call, so that no reader sees half of it.
 *
 * What is too much for one step, and the state of a rebuild, is staged in a hash of the server, where no reader looks; it is complete
 * before the first of its rows is made visible, and the record says so: a crash in between is completed by the next `open`, without
 * the log, and no row ever goes back to an older value.
 */
export class RedisTarget implements Target {
  readonly type = 'redis';
  readonly wants = 'net';
  readonly #url: string;
  readonly #deps: SinkDependencies;
  readonly #timeouts: RedisTimeouts;
  readonly #entries: ReadonlyMap<string, SinkEntry>;
  readonly #atomicRows: number;
  readonly #record = new ChangeCursor();
  onBroken: ((error: TidemarkError) => void) | null = null;
  #session: RedisSession | null = null;
  /** Between `begin` and the end of the write, when records are about to change. */
  #isWriting = false;
  /** Aborted when connection and whatever waits for an answer are to end. */
  #ended = new AbortController();

  constructor(members: readonly RedisSinkOptions[], deps: SinkDependencies, timeouts: RedisTimeouts = defaultTimeouts) {
    refuseTemplates(members);
    this.#url = members[0]?.url ?? '';
    this.#deps = deps;
    this.#timeouts = timeouts;
    this.#entries = new Map(members.map((member) => [member.name, new SinkEntry(member, deps.log)]));
    this.#atomicRows = Math.min(...members.map(({ maxAtomicRows }) => maxAtomicRows));
  }

  async open(): Promise<ReadonlyMap<string, SinkState>> {
    const names = [...this.#entries.keys()];
    this.#ended = new AbortController();
    const connection = await RedisConnection.open(this.#url, names[0] ?? '', this.#timeouts, this.#ended.signal);
    const { random, clock, name } = this.#deps;
    const id = Array.from({ length: 4 }, () => Math.floor(random() * 2 ** 32).toString(16)).join('-');
    const session = new RedisSession(connection, name, id);
    this.#session = session;
    refuseServer(await serverFacts(connection), connection.place.label);
    await session.checkPermissions([...this.#entries.values()].map(({ options }) => keyFormOfTemplate(options.key)));
    const records = await session.takeOver(names, new Date(clock.now()).toISOString());
    const states = new Map<string, SinkState>();
    for (const [index, entry] of [...this.#entries.values()].entries()) {
      if (!entry.load(records[index] ?? '')) throw foreignRecord(session.keys.record(entry.name), connection.place);
      if (entry.record?.state === 'sweeping' || entry.record?.state === 'moving') await this.#finish([entry]);
      const state = entry.state();
      if (state !== null) states.set(entry.name, state);
    }
    connection.onEnd(() => this.#tellBroken(session, broken(connection.place)));
    void this.#watch(session, this.#ended.signal);
    return states;
  }

  async begin(): Promise<void> {
    this.#open();
    this.#isWriting = true;
  }

  async beginRebuild(sink: string): Promise<void> {
    const session = this.#open();
    const entry = this.#entry(sink);
    const { record } = entry;
    const empty = entry.emptyVersion();
    const maker = await session.makerOf(entry.options.key);
    const found = await anyKeyOf(session.connection, formsOf(entry));
    if (found !== null && maker === null && record === null)
      throw foreignKey(entry.options, found, session.connection.place);
    const now =
      record === null || record.state === 'filling' ? { ...(record?.now ?? empty), cursor: noCursor } : record.now;
    const begun: SinkRecord =
      found === null
        ? { state: 'filling', consistent: false, now: empty, next: null }
        : { state: 'copying', consistent: record?.consistent ?? false, now, next: empty };
    const chunks: Chunk[] = [
      { kind: 'drop', target: session.keys.staged(sink) },
      { kind: 'made', target: entry.options.key, sink },
    ];
    // A sink that was given another name goes on with its keys; the record of the old name would stand still.
    if (maker !== null && !this.#entries.has(maker)) {
      chunks.push(
        { kind: 'drop', target: session.keys.record(maker) },
        { kind: 'drop', target: session.keys.staged(maker) },
      );
    }
    await session.write([entry.change(begun)], chunks);
    entry.accept(begun);
    entry.load(entry.held);
    entry.stagedRows = 0;
    entry.stagedBytes = 0;
  }

  async reshape(sink: string, shape: SinkShape): Promise<void> {
    const entry = this.#entry(sink);
    const wanted = entry.record?.state === 'live' ? shape : (entry.newestShape(shape) ?? shape);
    const { shape: current } = entry;
    if (current === null) return entry.take(wanted);
    // Rows of older versions are written under the newest.
    if (wanted.schemaId <= current.schemaId) return;
    if (sameColumns(current, wanted)) return entry.take(wanted);
    await this.#startAgain(entry);
  }

  async apply(sink: string, changes: ChangeSet, from: number, to: number): Promise<readonly RejectedRow[]> {
    const entry = this.#entry(sink);
    const record = this.#record;
    const { rows } = entry;
    let rejected: RejectedRow[] | null = null;
    for (let index = from; index < to; index++) {
      changes.locate(index, record);
      try {
        entry.packer(record.schemaId).write(record, rows.into);
        rows.count++;
      } catch (error) {
        if (!isTidemarkError(error, 'VALUE_INVALID')) throw error;
        // A row without a key of text has never been written.
        if (record.hasAfter) (rejected ??= []).push({ index, reason: messageOf(error) });
      }
    }
    await this.#relieve();
    return rejected ?? noneRejected;
  }

  async commitRebuild(sink: string): Promise<void> {
    this.#entry(sink).shown = true;
  }

  async commit(sinks: readonly string[], cursor: Cursor): Promise<void> {
    const entries = sinks.map((sink) => this.#entry(sink));
    const isStaged = entries.some((entry) => entry.staged || isShown(entry));
    // Rows cannot all be changed in one step when some of them are staged already.
    const moved = entries.filter(
      (entry) =>
        isShown(entry) || (isStaged && entry.record?.state === 'live' && (entry.staged || entry.rows.count > 0)),
    );
    const others = entries.filter((entry) => !moved.includes(entry) && entry.record !== null);
    // Where others of the group have to be moved first, the live ones' cursor follows them.
    const followers = moved.length === 0 ? [] : others.filter(({ record }) => record?.state === 'live');
    const direct = others.filter((entry) => !followers.includes(entry));
    const changes = direct.map((entry): Change => ({ entry, record: recordAt(entry, cursor) }));
    if (!(await this.#exchange(moved, direct, followers, cursor))) {
      const moving = moved.map((entry): Change => ({ entry, record: movingRecord(entry, cursor) }));
      await this.#send([...direct, ...moved], (entry) => moved.includes(entry), [...changes, ...moving]);
      if (moved.length > 0) await this.#finish(moved, followers, cursor);
    }
    for (const entry of entries) {
      assert(entry.rows.count === 0, `rows of sink ${entry.name} are left over after a commit`);
      entry.staged = false;
      entry.shown = false;
    }
    this.#isWriting = false;
  }

  async rollback(): Promise<void> {
    this.#isWriting = false;
    for (const entry of this.#entries.values()) {
      entry.rows.clear();
      entry.staged = false;
      entry.shown = false;
    }
  }

  async *scan(sink: string): AsyncGenerator<readonly SinkDocument[]> {
    yield* documentsOf(this.#open().connection, this.#entry(sink));
  }

  expect(sink: string, changes: ChangeSet, from: number, to: number): readonly SinkDocument[] {
    return documentsExpected(this.#entry(sink), changes, from, to);
  }

  async repair(sink: string, rows: ChangeSet, extra: readonly string[]): Promise<void> {
    await this.apply(sink, rows, 0, rows.count);
    const entry = this.#entry(sink);
    for (const key of extra) entry.rows.addDelete(key);
    await this.#relieve();
  }

  interrupt(): void {
    const ended = this.#ended;
    const end = (): void => ended.abort();
    void this.#deps.clock.sleep(lastAnswerMs, ended.signal).then(end, end);
  }

  async close(): Promise<void> {
    this.#ended.abort();
    this.#session = null;
  }

  #open(): RedisSession {
    const session = present(this.#session, 'the connection');
    if (session.connection.isOpen) return session;
    throw broken(session.connection.place);
  }

  /** While nothing is written, looks whether the server still holds the records. Ends with the connection. */
  async #watch(session: RedisSession, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.clock.sleep(lookEveryMs, signal).catch(() => undefined);
      if (signal.aborted || this.#isWriting) continue;
      const held = [...this.#entries.values()].map((entry) => ({ sink: entry.name, held: entry.held, text: '' }));
      try {
        await session.write(held, []);
      } catch (error) {
        this.#tellBroken(session, isTidemarkError(error) ? error : broken(session.connection.place));
        return;
      }
    }
  }

  #tellBroken(session: RedisSession, error: TidemarkError): void {
    if (this.#session === session && !this.#ended.signal.aborted) this.onBroken?.(error);
  }

  #entry(sink: string): SinkEntry {
    return present(this.#entries.get(sink), `sink ${sink}`);
  }

  /** Sends rows ahead that nobody sees before the commit, when there are too many to hold. */
  async #relieve(): Promise<void> {
    let rows = 0;
    let bytes = 0;
    for (const entry of this.#entries.values()) {
      if (entry.record?.state === 'live') {
        rows += entry.rows.count;
        bytes += entry.rows.sizeBytes;
      } else if (entry.rows.sizeBytes >= partBytes) {
        await this.#send([entry], () => false);
      }
    }
    if (rows <= this.#atomicRows && bytes <= atomicBytesMax) return;
    for (const entry of this.#entries.values()) {
      if (entry.record?.state !== 'live' || entry.rows.count === 0) continue;
      await this.#send([entry], () => true);
      entry.staged = true;
    }
  }

  /** The collected rows of a sink as a part of a write: to where they belong, or staged. */
  #chunk(entry: SinkEntry, staged: boolean): Chunk[] {
    const { count } = entry.rows;
    if (count === 0) return [];
    const rows = entry.rows.bytes();
    const target = this.#open().keys.staged(entry.name);
    if (entry.record?.state === 'copying') {
      entry.stagedRows += count;
      entry.stagedBytes += rows.length;
      return [{ kind: 'fill', target, count, rows }];
    }
    return [staged ? { kind: 'stage', target, count, rows } : { kind: 'put', ttlMs: entry.options.ttlMs, count, rows }];
  }

  /** Sends the collected rows of the sinks, and the changes of records, in one step. */
  async #send(
    entries: readonly SinkEntry[],
    isStaged: (entry: SinkEntry) => boolean,
    changes: readonly Change[] = [],
  ): Promise<void> {
    await this.#write(
      changes,
      entries.flatMap((entry) => this.#chunk(entry, isStaged(entry))),
    );
    for (const entry of entries) entry.rows.clear();
  }

  async #write(changes: readonly Change[], chunks: readonly Chunk[]): Promise<void> {
    const records = changes.map(({ entry, record }) => entry.change(record));
    await this.#open().write(records, chunks);
    for (const { entry, record } of changes) entry.accept(record);
  }

  /** Shows rebuilt states that are small in one step; false when they are not. */
  async #exchange(
    moved: readonly SinkEntry[],
    direct: readonly SinkEntry[],
    followers: readonly SinkEntry[],
    cursor: Cursor,
  ): Promise<boolean> {
    const rows = moved.reduce((sum, entry) => sum + entry.stagedRows + entry.rows.count, 0);
    const bytes = moved.reduce((sum, entry) => sum + entry.stagedBytes + entry.rows.sizeBytes, 0);
    if (moved.length === 0 || !moved.every(isShown) || rows > this.#atomicRows || bytes > atomicBytesMax) return false;
    const session = this.#open();
    const all = [...this.#entries.values()];
    const keys = new Map<SinkEntry, string[]>();
    for (const entry of moved) {
      const found = await fewKeysOf(session.connection, entry, all, this.#atomicRows);
      if (found === null) return false;
      keys.set(entry, found);
    }
    const changes = direct.map((entry): Change => ({ entry, record: recordAt(entry, cursor) }));
    await this.#send([...direct, ...moved], () => false, changes);
    const live = [...moved, ...followers].map((entry): Change => ({ entry, record: entry.liveAt(cursor) }));
    await session.exchange(
      live.map(({ entry, record }) => {
        return { ...entry.change(record), version: entry.written, present: keys.get(entry) ?? [] };
      }),
    );
    for (const { entry, record } of live) entry.accept(record);
    return true;
  }

  /** Makes what is staged for `moved` visible, then says that they, and `followers`, are at the commit. */
  async #finish(
    moved: readonly SinkEntry[],
    followers: readonly SinkEntry[] = [],
    cursor: Cursor = noCursor,
  ): Promise<void> {
    const session = this.#open();
    for (const entry of moved) {
      if (entry.record?.state === 'sweeping') {
        await sweepKeys(session, entry, [...this.#entries.values()]);
        await this.#write([{ entry, record: { ...entry.record, state: 'moving' } }], []);
      }
      await session.moveAll(entry.name, entry.written);
    }
    const changes = [
      ...moved.map((entry): Change => ({ entry, record: entry.liveAt(entry.written.cursor) })),
      ...followers.map((entry): Change => ({ entry, record: entry.liveAt(cursor) })),
    ];
    await this.#write(
      changes,
      moved.map((entry) => ({ kind: 'drop', target: session.keys.staged(entry.name) })),
    );
  }

  /** Rows that stay as they are would keep the columns of before: the log has them all. */
  async #startAgain(entry: SinkEntry): Promise<never> {
    const record = present(entry.record, 'a record');
    const forget = <V extends SinkRecord['next']>(version: V): V =>
      version === null ? version : { ...version, fingerprint: '' };
    entry.rows.clear();
    await this.#write([{ entry, record: { ...record, now: forget(record.now), next: forget(record.next) } }], []);
    throw columnsChanged(entry.name);
  }
}

interface Change {
  readonly entry: SinkEntry;
  readonly record: SinkRecord;
}

/** What was rebuilt is to be readable with the commit. */
function isShown({ record, shown }: SinkEntry): boolean {
  return record?.state === 'copying' && shown;
}

/** The record with all rows of the write at their place. */
function recordAt(entry: SinkEntry, cursor: Cursor): SinkRecord {
  const record = present(entry.record, `the record of sink ${entry.name}`);
  if (record.state === 'copying') return { ...record, next: entry.versionAt(cursor) };
  if (record.state === 'live' || entry.shown) return entry.liveAt(cursor);
  return { state: 'filling', consistent: false, now: entry.versionAt(cursor), next: null };
}

function movingRecord(entry: SinkEntry, cursor: Cursor): SinkRecord {
  const record = present(entry.record, `the record of sink ${entry.name}`);
  const state = record.state === 'copying' ? 'sweeping' : 'moving';
  return { ...record, state, consistent: false, next: entry.versionAt(cursor) };
}
