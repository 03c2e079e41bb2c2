import { crc32 } from 'node:zlib';
import { assert } from '../../base/assert.ts';
import { pieceBytesMax } from '../../base/constants.ts';
import type { ChangeBatch } from '../../model/change.ts';
import type { CommitInfo, Frontier, LogWriter } from '../../model/log.ts';
import type { Table } from '../../model/table.ts';
import type { Extent, Flusher } from './flusher.ts';
import { extentBytes } from './flusher.ts';
import {
  flagSnapshot,
  frameHeader,
  frameHeaderBytes,
  kindCommit,
  kindMark,
  kindPiece,
  kindTransaction,
  writeFrameHeader,
} from './format.ts';
import type { StateChanges } from './meta.ts';
import { applyState, metaBytesMax, writeMeta } from './meta.ts';
import type { Segment } from './segment.ts';
import type { Stream } from './stream.ts';
import type { TopicStats } from './topic-stats.ts';
import { Tally } from './topic-stats.ts';

/** Bytes that may wait and be written before `drained` makes the caller wait: while half of them are written, the rest is framed. */
const heldBytesMax = 4 * 1024 * 1024;

/** Frames transactions as they are handed over; the flusher writes them. */
export class StreamWriter implements LogWriter {
  readonly #stream: Stream;
  readonly #flusher: Flusher;
  readonly #onClose: () => void;
  readonly #header = frameHeader();
  readonly #tally = new Tally();
  /** State and sums as of the newest commit handed over. */
  readonly #state: Map<string, string>;
  readonly #stats: Map<string, TopicStats>;
  #segment: Segment;
  #extent: Extent;
  /** Where the frame under construction ends, in the extent's buffer. */
  #at = 0;
  /** Change records in it. */
  #count = 0;
  #open = false;
  #pieces = 0;
  #attempt = 0;
  /** Offset in the segment at which the open transaction begins. */
  #start = 0;
  #ticket = 0;
  #seq: number;
  #position: string | null;
  #timeMs: number;
  #closed = false;

  constructor(stream: Stream, flusher: Flusher, segment: Segment, onClose: () => void) {
    this.#stream = stream;
    this.#flusher = flusher;
    this.#onClose = onClose;
    this.#segment = segment;
    this.#state = new Map(stream.state);
    this.#stats = new Map([...stream.stats].map(([topic, stats]) => [topic, { ...stats }]));
    ({ seq: this.#seq, position: this.#position, timeMs: this.#timeMs } = stream.frontier);
    this.#extent = this.#newExtent(segment.durableEnd, 0);
  }

  get last(): Frontier {
    return { seq: this.#seq, position: this.#position, timeMs: this.#timeMs };
  }

  /** Sums per topic, a little ahead of what is durable. */
  get handedStats(): ReadonlyMap<string, TopicStats> {
    return this.#stats;
  }

  schemaId(table: Table): number {
    return this.#stream.context.schemas.idOf(table);
  }

  append(changes: ChangeBatch): void {
    this.#check();
    this.#tally.add(changes);
    if (!this.#open) this.#begin();
    const { bytes } = changes;
    const inFrame = this.#at - this.#extent.end - frameHeaderBytes;
    if (inFrame > 0 && inFrame + bytes.length > pieceBytesMax) this.#endPiece();
    this.#reserve(bytes.length);
    this.#at += bytes.copy(this.#extent.buffer, this.#at);
    this.#count += changes.count;
  }

  commit(info: CommitInfo): number {
    this.#check();
    if (!this.#open) {
      assert(info.state !== undefined, 'a commit with neither changes nor state');
      this.#begin();
    }
    const seq = this.#seq + 1;
    this.#tally.settle(seq, this.#stats, (id) => this.#stream.topicOf(id));
    this.#segment.note(this.#seq, this.#start);
    this.#seq = seq;
    const kind = this.#pieces === 0 ? kindTransaction : kindCommit;
    this.#endWithMeta(kind, info.snapshot ? flagSnapshot : 0, info.position, info.commitTimeMs, info.txId, info.state);
    this.#open = false;
    return seq;
  }

  mark(info: { position: string; timeMs: number; state?: StateChanges }): void {
    this.#check();
    assert(!this.#open, 'a mark within a transaction');
    this.#begin();
    this.#segment.note(this.#seq, this.#start);
    this.#endWithMeta(kindMark, 0, info.position, info.timeMs, '', info.state);
    this.#open = false;
  }

  abort(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#tally.clear();
    if (this.#pieces === 0 || this.#flusher.failure) return;
    // Pieces were handed over and may be in the file: it is cut back to where the transaction began.
    this.#flusher.items.push({ type: 'cut', offset: this.#start });
    this.#extent = this.#newExtent(this.#start, 0);
    this.#flusher.kick();
  }

  async drained(): Promise<void> {
    this.#check();
    const flusher = this.#flusher;
    while (flusher.waitingBytes + flusher.writingBytes >= heldBytesMax) await flusher.step();
  }

  async durable(): Promise<Frontier> {
    const ticket = this.#ticket;
    if (this.#flusher.failure) throw this.#flusher.failure;
    while (this.#flusher.durableTicket < ticket) await this.#flusher.step();
    return this.#stream.frontier;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.abort();
    this.#closed = true;
    try {
      await this.durable();
      // A cut that is still to be made would otherwise be left to the next open.
      while (this.#flusher.items.length > 1) await this.#flusher.step();
    } finally {
      await this.#flusher.close().finally(this.#onClose);
    }
  }

  /** Goes on in a new segment unless a transaction is open or the present one is empty; resolves when that is on disk. */
  async seal(): Promise<void> {
    this.#check();
    if (this.#open || this.#offset === this.#segment.start) return;
    this.#roll();
    while (this.#flusher.items.length > 1) await this.#flusher.step();
  }

  #check(): void {
    if (this.#flusher.failure) throw this.#flusher.failure;
    if (this.#closed) throw this.#stream.closedError();
  }

  /** Where the next frame goes in the segment. */
  get #offset(): number {
    return this.#extent.offset + this.#extent.end;
  }

  #begin(): void {
    if (this.#offset >= this.#stream.context.segmentBytes) this.#roll();
    this.#open = true;
    this.#pieces = 0;
    this.#attempt = (this.#attempt + 1) >>> 0;
    this.#start = this.#offset;
    this.#startFrame();
  }

  #startFrame(): void {
    this.#count = 0;
    this.#at = this.#extent.end;
    this.#reserve(frameHeaderBytes);
    this.#at += frameHeaderBytes;
  }

  /** Makes room behind `#at`, in a new extent if need be: the frame under construction moves there. */
  #reserve(bytes: number): void {
    const { buffer, end } = this.#extent;
    if (this.#at + bytes <= buffer.length) return;
    const begun = this.#at - end;
    const next = this.#newExtent(this.#offset, begun + bytes);
    if (begun > 0) buffer.copy(next.buffer, 0, end, this.#at);
    this.#extent = next;
    this.#at = begun;
  }

  #newExtent(offset: number, bytes: number): Extent {
    const extent: Extent = {
      type: 'extent',
      buffer: this.#flusher.takeBuffer(Math.max(bytes, extentBytes)),
      offset,
      end: 0,
      written: 0,
      ticket: 0,
      committedEnd: 0,
      seq: 0,
      position: '',
      timeMs: 0,
      states: [],
    };
    this.#flusher.items.push(extent);
    return extent;
  }

  #endPiece(): void {
    this.#endFrame(kindPiece, 0, 0, this.#seq + 1);
    this.#pieces++;
    if (this.#flusher.waitingBytes >= pieceBytesMax) this.#flusher.kick();
    this.#startFrame();
  }

  #endWithMeta(
    kind: number,
    flags: number,
    position: string,
    timeMs: number,
    txId: string,
    state: StateChanges | undefined,
  ): void {
    const json = state === undefined ? '' : JSON.stringify(state);
    this.#reserve(metaBytesMax(position, txId, json));
    const metaStart = this.#at;
    this.#at = writeMeta(this.#extent.buffer, metaStart, position, timeMs, txId, json);
    this.#endFrame(kind, flags, this.#at - metaStart, this.#seq);
    this.#position = position;
    this.#timeMs = timeMs;
    const extent = this.#extent;
    extent.ticket = ++this.#ticket;
    extent.committedEnd = this.#offset;
    extent.seq = this.#seq;
    extent.position = position;
    extent.timeMs = timeMs;
    if (state) {
      extent.states.push(state);
      applyState(this.#state, state);
    }
    this.#flusher.kick();
  }

  #endFrame(kind: number, flags: number, metaBytes: number, seq: number): void {
    const header = this.#header;
    const { buffer, end } = this.#extent;
    const bodyStart = end + frameHeaderBytes;
    header.bodyBytes = this.#at - bodyStart;
    header.bodyCrc = header.bodyBytes === 0 ? 0 : crc32(buffer.subarray(bodyStart, this.#at));
    header.kind = kind;
    header.flags = flags;
    header.count = this.#count;
    header.metaBytes = metaBytes;
    header.attempt = this.#attempt;
    header.claim = this.#segment.durableEnd;
    header.seq = seq;
    header.piece = this.#pieces;
    writeFrameHeader(buffer, end, this.#segment.salt, header);
    this.#flusher.waitingBytes += this.#at - end;
    this.#extent.end = this.#at;
  }

  #roll(): void {
    const { segment, head } = this.#stream.nextSegment(this.#segment, this.#offset, {
      frontier: this.last,
      state: this.#state,
      stats: this.#stats,
    });
    this.#segment = segment;
    this.#flusher.items.push({ type: 'roll', segment, head });
    this.#extent = this.#newExtent(segment.start, 0);
    this.#flusher.kick();
  }
}
