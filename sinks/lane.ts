import { TidemarkError, isTidemarkError } from '../base/errors.ts';
import { ChangeCursor } from '../model/change.ts';
import { cursorName } from './cursors.ts';
import type { LogReader, Piece, ReadBatch } from '../model/log.ts';
import { ChangeSet } from './change-set.ts';
import { OpenLetters } from './open-letters.ts';
import type { Cursor, RejectedRow, Target } from './port.ts';
import type { Sink, SinkDependencies } from './sink.ts';
import { isUnfit } from './unfit.ts';

/** A position without data is written to the target no more often than this. */
const positionPersistMs = 10_000;
/** How often the log is told how far a sink has come. */
const registerMs = 1_000;

export type LaneDependencies = SinkDependencies & { readonly onProgress: () => void };

/**
 * The sinks of a group that follow one stream at one position: they read it together and are committed together. A sink that joins
 * later, or is built anew, begins in a lane of its own and is merged when the two positions meet (sink-group.ts).
 */
export class Lane {
  readonly stream: string;
  readonly sinks: Sink[];
  cursor: Cursor;
  reader: LogReader | null = null;
  pending: Promise<ReadBatch | null> | null = null;
  /** A write is open in the target: a transaction whose later pieces are still to come. */
  writing = false;
  readonly #target: Target;
  readonly #deps: LaneDependencies;
  readonly #record = new ChangeCursor();
  readonly #sets = new Map<string, ChangeSet>();
  readonly #setOfSchema = new Map<number, ChangeSet | null>();
  /** The target has changes of a transaction whose end it was not told. */
  #unended = false;
  readonly #letters: OpenLetters;
  /** Changes collected last came in the order of their commits. */
  #ordered = true;
  /** The position of the next lane on the stream, if there is one ahead. */
  #limit: Cursor | null = null;
  /** The cursor moved past what the target holds. */
  #dirty = false;
  #persistedAt = 0;
  #registeredAt = -Infinity;

  constructor(stream: string, sinks: Sink[], cursor: Cursor, target: Target, deps: LaneDependencies) {
    this.stream = stream;
    this.sinks = sinks;
    this.cursor = cursor;
    this.#target = target;
    this.#deps = deps;
    this.#letters = new OpenLetters(deps);
    for (const { topic } of sinks) if (!this.#sets.has(topic)) this.#sets.set(topic, new ChangeSet(topic));
    this.#persistedAt = deps.clock.monotonic();
  }

  /** Takes what the reader gave, whole transactions no further than `limit`, the position of the next lane on the stream. */
  async process(batch: ReadBatch, limit: Cursor | null): Promise<void> {
    const { epoch } = this.cursor;
    this.#limit = limit;
    let cursor = this.cursor;
    let whole = !this.writing;
    let cut = false;
    for (const piece of batch.pieces) {
      if (limit !== null && piece.kind === 'transaction' && piece.seq > limit.seq) {
        cut = true;
        break;
      }
      if (piece.first && piece.kind === 'full') await this.#startFull();
      this.#collect(piece);
      whole = piece.last;
      if (!piece.last) continue;
      cursor = { epoch, seq: piece.seq, position: piece.position, timeMs: piece.commitTimeMs };
      if (this.#target.wants === 'every') await this.#endTransaction(cursor);
    }
    await this.#flush();
    if (!whole) return;
    if (!cut) cursor = { epoch, ...batch.reached };
    // Transactions of other topics are not handed over, so the limit may lie between two pieces.
    if (limit !== null && (cut || cursor.seq >= limit.seq) && !netBeyond(batch, limit)) cursor = limit;
    await this.#advance(cursor);
  }

  /** The changes of a transaction may have been handed over with an earlier batch, and its last pieces be all of other topics. */
  async #endTransaction(cursor: Cursor): Promise<void> {
    await this.#flush();
    if (this.#unended) await this.#target.endTransaction?.(this.#names(), cursor);
    this.#unended = false;
  }

  /** Writes a position that only memory holds yet; not for a sink that has nothing in the target yet to be at a position. */
  async persist(): Promise<void> {
    if (!this.#dirty || this.writing || this.sinks.some(({ rebuildDue }) => rebuildDue)) return;
    await this.#target.begin();
    this.writing = true;
    await this.#commit(this.cursor);
  }

  /**
   * Writes rows of a sink as they are at the lane's position, in a commit of their own, which leaves the position where it is. What the
   * target rejects again stays a dead letter; those of the other rows are settled.
   */
  async rewrite(sink: Sink, rows: ChangeSet): Promise<void> {
    await this.#begin();
    this.#target.beginRewrite?.();
    if (rows.schemaId > sink.schemaId) await this.#reshape(sink, rows.schemaId);
    await this.#apply(sink, rows, 0, rows.count);
    await this.#target.endTransaction?.([sink.name], this.cursor);
    await this.#commit(this.cursor);
  }

  /** Forgets the copies of the log's state, and tells the log where the sinks are. */
  register(): void {
    const now = this.#deps.clock.monotonic();
    if (now - this.#registeredAt < registerMs) return;
    this.#registeredAt = now;
    for (const sink of this.sinks) this.#deps.log.registerCursor(this.stream, cursorName(sink.name), this.cursor.seq);
  }

  /** Sorts the changes of a piece by topic. */
  #collect(piece: Piece): void {
    const record = this.#record.reset(piece.changes.bytes);
    // Snapshot chunks and net transactions name a key once; folding them would be work for nothing.
    const ordered = piece.kind === 'transaction';
    const fold = this.#target.wants === 'net' && ordered && !piece.snapshot;
    this.#ordered = ordered;
    let schemaId = -1;
    let set: ChangeSet | null = null;
    while (record.next()) {
      if (record.schemaId !== schemaId) {
        schemaId = record.schemaId;
        set = this.#setFor(schemaId);
      }
      set?.add(record, piece.seq, fold, ordered);
    }
  }

  #setFor(schemaId: number): ChangeSet | null {
    let set = this.#setOfSchema.get(schemaId);
    if (set === undefined) {
      const topic = this.#deps.log.table(schemaId)?.topic;
      set = (topic === undefined ? undefined : this.#sets.get(topic)) ?? null;
      this.#setOfSchema.set(schemaId, set);
    }
    return set;
  }

  /** Hands what was collected to the target. */
  async #flush(): Promise<void> {
    for (const set of this.#sets.values()) {
      if (set.count === 0) continue;
      this.#unended = true;
      await this.#begin();
      for (const sink of this.sinks) {
        if (sink.topic !== set.topic) continue;
        if (sink.schemaId === 0 || this.#ordered || set.schemaId > sink.schemaId) {
          await this.#reshape(sink, set.schemaId === 0 && sink.schemaId === 0 ? set.deleteSchemaId : set.schemaId);
        }
        await this.#apply(sink, set, 0, set.count);
        if (sink.rebuilding) sink.rebuiltFrom += set.seen;
      }
      set.clear();
    }
  }

  async #begin(): Promise<void> {
    if (this.writing) return;
    await this.#target.begin();
    this.writing = true;
    for (const sink of this.sinks) {
      if (!sink.rebuildDue) continue;
      await this.#beginRebuild(sink);
    }
  }

  /** The log gives everything that exists, so the sinks begin empty. */
  async #startFull(): Promise<void> {
    await this.#begin();
    for (const sink of this.sinks) await this.#beginRebuild(sink);
  }

  async #beginRebuild(sink: Sink): Promise<void> {
    await this.#target.beginRebuild(sink.name);
    sink.rebuildDue = false;
    sink.building = true;
    sink.buildingSinceMs = this.#deps.clock.now();
    sink.rebuiltFrom = 0;
    sink.schemaId = 0;
    // Where everything may be seen as it comes, and there is nothing older to keep, the copy is shown from its first row on.
    sink.rebuilding = sink.options.start === 'consistent' || sink.visible !== null;
    if (!sink.rebuilding) await this.#target.commitRebuild(sink.name);
  }

  async #reshape(sink: Sink, schemaId: number): Promise<void> {
    if (schemaId === sink.schemaId || schemaId === 0) return;
    try {
      await this.#target.reshape(sink.name, sink.shapeAt(schemaId));
      sink.schemaId = schemaId;
    } catch (error) {
      // The sink may ask for columns that came to the table later than these rows: they are NULL in them.
      const newest = sink.newestSchemaId();
      if (!isUnfit(error) || newest <= schemaId) throw error;
      await this.#reshape(sink, newest);
    }
  }

  async #apply(sink: Sink, set: ChangeSet, from: number, to: number): Promise<void> {
    let rejected: readonly RejectedRow[];
    try {
      rejected = await this.#target.apply(sink.name, set, from, to);
    } catch (error) {
      if (!isTidemarkError(error, 'ROW_REJECTED')) throw error;
      if (to - from === 1) return this.#letters.reject(sink, set, from, this.cursor.epoch, error);
      const middle = (from + to) >>> 1;
      await this.#apply(sink, set, from, middle);
      await this.#apply(sink, set, middle, to);
      return;
    }
    this.#letters.settle(sink, set, from, to);
    for (const { index, reason } of rejected) {
      const cause = new TidemarkError('ROW_REJECTED', reason, { place: { sink: sink.name } });
      this.#letters.reject(sink, set, index, this.cursor.epoch, cause);
    }
  }

  /** All transactions up to `cursor` have been handed over. */
  async #advance(cursor: Cursor): Promise<void> {
    const moved = cursor.seq !== this.cursor.seq || cursor.position !== this.cursor.position;
    if (!this.writing && this.sinks.some((sink) => this.#hasNews(sink, cursor))) await this.#begin();
    if (this.writing) return this.#commit(cursor);
    if (!moved) return;
    this.cursor = cursor;
    this.#dirty = true;
    this.#tell();
    if (this.#deps.clock.monotonic() - this.#persistedAt >= positionPersistMs) await this.persist();
  }

  /** Whether a commit is due although there are no changes: a copy that may be shown now, or a table that is known by now. */
  #hasNews(sink: Sink, cursor: Cursor): boolean {
    if (sink.rebuilding || sink.rebuildDue) return this.#readable(sink, cursor.seq);
    return sink.schemaId === 0 && this.#target.wants === 'net' && sink.newestSchemaId() !== 0;
  }

  /** Whether what was rebuilt up to `seq` may be shown: it is consistent, and readers do not go back, nor see sinks of the group apart. */
  #readable(sink: Sink, seq: number): boolean {
    if (seq < sink.notBefore || (this.#limit !== null && seq < this.#limit.seq)) return false;
    return sink.readableAt(seq);
  }

  async #commit(cursor: Cursor): Promise<void> {
    const swapped: Sink[] = [];
    for (const sink of this.sinks) {
      const shown = sink.rebuilding && this.#readable(sink, cursor.seq);
      // A table that has never had a row is there as well, empty.
      if (sink.schemaId === 0 && (shown || !sink.rebuilding)) await this.#reshape(sink, sink.newestSchemaId());
      if (!shown) continue;
      await this.#target.commitRebuild(sink.name);
      swapped.push(sink);
    }
    if (this.#target.flush) this.#letters.refuse(this.sinks, await this.#target.flush(cursor), cursor.epoch);
    // Dead letters are on disk before the cursor passes their rows.
    await this.#letters.keep(this.sinks);
    await this.#target.commit(this.#names(), cursor);
    this.writing = false;
    this.cursor = cursor;
    this.#dirty = false;
    this.#persistedAt = this.#deps.clock.monotonic();
    for (const sink of swapped) sink.rebuilding = false;
    for (const sink of this.sinks) await this.#fulfil(sink);
    this.#tell();
    this.#reportApplied();
  }

  /** A rebuild that was asked for is over once readers see it. */
  async #fulfil(sink: Sink): Promise<void> {
    if (!sink.building || sink.rebuilding) return;
    sink.building = false;
    sink.rebuiltFrom = 0;
    // Every row that there is has been tried: older letters are of rows that are gone, from what was built as well.
    const older = sink.deadLetters.list().filter(({ atMs }) => atMs < sink.buildingSinceMs);
    await sink.deadLetters.update(
      [],
      older.map(({ row }) => row),
    );
    if (!sink.wishes.rebuild) return;
    await sink.wishes.change({ rebuild: false });
    this.#deps.report({ type: 'sink.rebuild', sink: sink.name, state: 'done' });
  }

  #names(): string[] {
    return this.sinks.map(({ name }) => name);
  }

  #tell(): void {
    for (const sink of this.sinks) {
      sink.progress = this.cursor;
      if (sink.rebuilding || sink.rebuildDue) continue;
      sink.visible = this.cursor;
      if (sink.consistent || !sink.consistentAt(this.cursor.seq)) continue;
      sink.consistent = true;
      const { seq, position } = this.cursor;
      this.#deps.report({ type: 'sink.consistent', sink: sink.name, seq, position: position ?? '' });
    }
    this.register();
    this.#deps.onProgress();
  }

  #reportApplied(): void {
    const { seq } = this.cursor;
    for (const { name, topic } of this.sinks) {
      const set = this.#sets.get(topic);
      if (set === undefined || set.upserts + set.deletes === 0) continue;
      this.#deps.report({ type: 'sink.applied', sink: name, upserts: set.upserts, deletes: set.deletes, seq });
    }
    for (const set of this.#sets.values()) set.resetCounts();
  }
}

/** Whether the batch has a net transaction that ends behind the limit and cannot be cut there. */
function netBeyond(batch: ReadBatch, limit: Cursor): boolean {
  return batch.pieces.some((piece) => piece.kind !== 'transaction' && piece.seq > limit.seq);
}
