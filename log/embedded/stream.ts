import { join } from 'node:path';
import { assert, present } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { TidemarkError, isTidemarkError } from '../../base/errors.ts';
import type { Files } from '../../base/files.ts';
import { replaceFile } from '../../base/files.ts';
import type { Report } from '../../model/events.ts';
import type { Frontier, TopicInfo } from '../../model/log.ts';
import { Base, Cursors, openBase, removeLeftovers, writeBase } from './base.ts';
import type { BaseManifest } from './base.ts';
import { Compactor } from './compactor.ts';
import type { FlushTarget } from './flusher.ts';
import { Flusher } from './flusher.ts';
import type { StateChanges } from './meta.ts';
import { applyState, startOfStream } from './meta.ts';
import { chain, cutBack, newest, recover } from './recovery.ts';
import type { SchemaRegistry } from './schema-registry.ts';
import { encodeSegmentHead, openSegment, Segment, segmentName, segmentOrdinal } from './segment.ts';
import type { SegmentHead } from './segment.ts';
import type { TopicStats } from './topic-stats.ts';
import { statsFromJson, statsToJson } from './topic-stats.ts';
import { writeFailure } from './write-failure.ts';
import { StreamWriter } from './writer.ts';

/** What all streams of a log share. */
export interface LogContext {
  readonly directory: string;
  readonly files: Files;
  readonly clock: Clock;
  readonly report: Report;
  readonly schemas: SchemaRegistry;
  /** A transaction begins a new segment when the present one is at least this long. */
  readonly segmentBytes: number;
  /** Compaction begins by itself when the sealed segments are longer than this and than the base. */
  readonly compactBytes: number;
  /** Cursors hold compaction back until the segments are longer than this. */
  readonly retainBytes: number;
}

/** One stream: its segments, what is durable in them, and who waits for more. */
export class Stream implements FlushTarget {
  readonly name: string;
  readonly directory: string;
  readonly context: LogContext;
  /** From the oldest to the newest; empty until the stream is first written to. */
  readonly segments: Segment[] = [];
  frontier: Frontier = startOfStream;
  state = new Map<string, string>();
  /** Sums per topic since the stream began, up to the frontier at the last opening or roll. */
  stats = new Map<string, TopicStats>();
  failure: TidemarkError | null = null;
  closed = false;
  base: Base | null = null;
  readonly cursors: Cursors;
  /** Readers at work, which need the deletes behind them. */
  readonly readers = new Set<{ readonly reachedSeq: number }>();
  readonly #compactor: Compactor;
  #writer: StreamWriter | null = null;
  #opening = false;
  #waiters = new Set<() => void>();

  constructor(context: LogContext, name: string) {
    this.context = context;
    this.name = name;
    this.directory = join(context.directory, directoryOf(name));
    this.cursors = new Cursors(context.files, this.directory);
    this.#compactor = new Compactor(this);
  }

  /** Reads what the stream's directory holds, repairing the end that a crash left. */
  async open(): Promise<void> {
    const { files } = this.context;
    this.base = await openBase(files, this.directory);
    const names = await removeLeftovers(files, this.directory, this.base, segmentOrdinal);
    await this.cursors.load();
    const segments: Segment[] = [];
    for (const name of names) {
      if (segmentOrdinal(name) !== undefined) segments.push(await openSegment(files, this.directory, name));
    }
    if (segments.length === 0 && !this.base) return;
    await chain(files, this.directory, segments, (this.base?.manifest.ordinal ?? 0) + 1);
    const recovered = await recover(files, newest(segments), (id) => this.topicOf(id));
    this.frontier = recovered.frontier;
    this.state = recovered.state;
    this.stats = recovered.stats;
    this.segments.push(...segments);
  }

  get exists(): boolean {
    return this.segments.length > 0;
  }

  async openWriter(): Promise<StreamWriter> {
    if (this.closed) throw this.closedError();
    if (this.failure && !isTidemarkError(this.failure, 'DISK_FULL')) throw this.failure;
    assert(this.#writer === null && !this.#opening, `stream ${this.name} has a writer already`);
    this.#opening = true;
    try {
      const { files } = this.context;
      if (!this.exists) await this.#create();
      if (this.failure) await this.#cutBack();
      const segment = newest(this.segments);
      const file = await files.open(segment.path, 'write');
      const flusher = new Flusher({ ...this.context, target: this }, segment, file);
      const writer = new StreamWriter(this, flusher, segment, () => {
        this.stats = new Map(writer.handedStats);
        this.#writer = null;
      });
      this.#writer = writer;
      return writer;
    } catch (error) {
      throw writeFailure(error, this.directory);
    } finally {
      this.#opening = false;
    }
  }

  /**
   * After a full disk: what was not acknowledged is taken out of the files, and what is left is read as it is on opening. Unlike
   * after a failed sync for another reason, what had been synced before is as it was.
   */
  async #cutBack(): Promise<void> {
    const { files } = this.context;
    const segment = newest(this.segments);
    await cutBack(files, this.directory, segment);
    const recovered = await recover(files, segment, (id) => this.topicOf(id));
    assert(recovered.frontier.seq === this.frontier.seq, `${segment.path} does not end where it was known to`);
    this.state = recovered.state;
    this.stats = recovered.stats;
    this.failure = null;
  }

  async #create(): Promise<void> {
    const { files, directory } = this.context;
    await files.makeDirectory(this.directory);
    await files.syncDirectory(directory);
    const { segment, head } = this.#makeSegment({
      stream: this.name,
      epoch: this.context.schemas.epoch,
      ordinal: 1,
      previousBytes: 0,
      frontier: startOfStream,
      state: {},
      topics: {},
    });
    await replaceFile(files, segment.path, head);
    this.segments.push(segment);
  }

  /** Describes the segment that follows `previous`. */
  nextSegment(
    previous: Segment,
    previousBytes: number,
    at: { frontier: Frontier; state: ReadonlyMap<string, string>; stats: ReadonlyMap<string, TopicStats> },
  ): { segment: Segment; head: Buffer } {
    return this.#makeSegment({
      stream: this.name,
      epoch: this.context.schemas.epoch,
      ordinal: previous.ordinal + 1,
      previousBytes,
      frontier: at.frontier,
      state: Object.fromEntries(at.state),
      topics: statsToJson(at.stats),
    });
  }

  #makeSegment(head: SegmentHead): { segment: Segment; head: Buffer } {
    const { bytes, salt } = encodeSegmentHead(head);
    const path = join(this.directory, segmentName(head.ordinal, head.frontier.seq + 1));
    return { segment: new Segment(this.context.files, path, head, salt, bytes.length), head: bytes };
  }

  advance(end: number, frontier: Frontier, states: readonly StateChanges[]): void {
    const segment = newest(this.segments);
    segment.durableEnd = end;
    segment.lastSeq = frontier.seq;
    this.frontier = frontier;
    for (const changes of states) applyState(this.state, changes);
    this.#wake();
  }

  rolled(next: Segment): void {
    newest(this.segments).sealed = true;
    this.stats = statsFromJson(next.head.topics);
    this.segments.push(next);
    this.#wake();
    this.#compactor.consider();
  }

  /** Begins a new segment, so that everything so far can be compacted; not while a transaction is open. */
  async seal(): Promise<void> {
    if (!this.exists || newest(this.segments).durableEnd === newest(this.segments).start) return;
    if (this.#writer) return this.#writer.seal();
    const writer = await this.openWriter();
    try {
      await writer.seal();
    } finally {
      await writer.close();
    }
  }

  /** Puts a new base in the place of the old one and of the segments that it holds. Readers keep what they have open. */
  async switchBase(manifest: BaseManifest): Promise<void> {
    const { files } = this.context;
    await writeBase(files, this.directory, manifest);
    const old = this.base;
    this.base = new Base(files, this.directory, manifest);
    const gone = this.segments.splice(
      0,
      this.segments.findIndex((segment) => segment.ordinal > manifest.ordinal),
    );
    await old?.shared.retire();
    for (const segment of gone) await segment.shared.retire();
  }

  registerCursor(name: string, seq: number | null): void {
    if (this.cursors.set(name, seq) && this.exists) this.#compactor.saveCursors();
    this.#compactor.consider();
  }

  async compact(): Promise<void> {
    if (this.closed) throw this.closedError();
    await this.seal();
    await this.#compactor.run();
  }

  failed(error: TidemarkError): void {
    this.failure = error;
  }

  holds(topic: string): boolean {
    return this.stats.has(topic) || this.#writer?.handedStats.has(topic) === true;
  }

  topics(): TopicInfo[] {
    const { schemas } = this.context;
    const compacted = statsFromJson(this.base?.manifest.topics ?? {});
    return [...(this.#writer?.handedStats ?? this.stats)].map(([topic, now]) => {
      const number = schemas.topicNumber(topic);
      const section = this.base?.manifest.sections.find((one) => one.topic === number);
      const before = compacted.get(topic);
      return {
        topic,
        stream: this.name,
        kind: schemas.latest(topic)?.kind ?? 'table',
        newestSeq: now.newestSeq,
        bytes: now.bytes - (before?.bytes ?? 0) + (section?.bytes ?? 0),
        records: now.records - (before?.records ?? 0) + (section?.records ?? 0),
        compactedSeq: this.base?.seq ?? 0,
      };
    });
  }

  topicOf(schemaId: number): string {
    return present(this.context.schemas.table(schemaId), `the table of schema id ${schemaId}`).topic;
  }

  /** Resolves when more has become durable, the log is closed, or `wake` (given to `onWait`) is called. */
  async changed(onWait: (wake: () => void) => void): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiters.delete(wake);
        resolve();
      };
      this.#waiters.add(wake);
      onWait(wake);
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    try {
      this.#wake();
      await this.#compactor.close();
    } finally {
      await this.#writer?.close();
    }
  }

  closedError(): TidemarkError {
    return new TidemarkError('LOG_CLOSED', `the log of ${this.name} is closed`);
  }

  #wake(): void {
    for (const wake of this.#waiters) wake();
  }
}

/** A stream's directory: its name, with every byte but a-z, 0-9, `_` and `-` as %XX, so that no file system folds two into one. */
function directoryOf(stream: string): string {
  let name = '';
  for (const byte of Buffer.from(stream)) {
    const character = String.fromCharCode(byte);
    name += /[a-z0-9_-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return name;
}

/** The stream whose directory this is. */
export function streamOf(directory: string): string {
  return decodeURIComponent(directory);
}
