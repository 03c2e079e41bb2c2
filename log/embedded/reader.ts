import { assert } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { File } from '../../base/files.ts';
import { ChangeCursor, emptyBatch } from '../../model/change.ts';
import type { ChangeBatch } from '../../model/change.ts';
import type { Frontier, LogReader, Piece, ReadBatch, ReadOptions } from '../../model/log.ts';
import { BaseReader } from './base-reader.ts';
import { corrupt, flagSnapshot, kindCommit, kindMark, kindNote, kindPiece, kindTransaction } from './format.ts';
import { FrameReader, HeaderReader, headerWindowBytes } from './frames.ts';
import type { Meta } from './meta.ts';
import { readMeta } from './meta.ts';
import type { Segment } from './segment.ts';
import type { Stream } from './stream.ts';

const bytesMaxDefault = 1024 * 1024;

/** Reads a stream: the base, when the reader is from before the horizon, then segment by segment. Hands out views of fresh blocks. */
export class StreamReader implements LogReader {
  readonly #stream: Stream;
  readonly #options: ReadOptions;
  readonly #cursor = new ChangeCursor();
  /** Whether records of a schema id are wanted. */
  readonly #wanted: (boolean | undefined)[] = [];
  /** Where a reader that does not follow ends. */
  readonly #stop: { ordinal: number; end: number } | null;
  #segment: Segment | null = null;
  #file: File | null = null;
  #base: BaseReader | null = null;
  #frames: FrameReader | null = null;
  /** Of a reader that uses its block again: the block, while it is between two segments; and room for headers. */
  #block: Buffer | undefined;
  #window: Buffer | undefined;
  #reached: Frontier;
  /** What the transaction that is being handed over in pieces says in its commit. */
  #large: { meta: Meta; snapshot: boolean } | null = null;
  /** Ordinal of the last segment that was read to its end, alone or as a part of a base. */
  #passed = 0;
  #closed = false;
  #busy = false;
  #wake: (() => void) | null = null;
  readonly #onAbort = (): void => this.#wake?.();

  constructor(stream: Stream, options: ReadOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#reached = { seq: options.fromSeq, position: null, timeMs: 0 };
    const newest = stream.segments.at(-1);
    this.#stop = options.follow ? null : { ordinal: newest?.ordinal ?? 0, end: newest?.durableEnd ?? 0 };
    options.signal?.addEventListener('abort', this.#onAbort);
    stream.readers.add(this);
  }

  /** The newest transaction that the reader has whole. */
  get reachedSeq(): number {
    return this.#reached.seq;
  }

  async next(bytesMax = bytesMaxDefault): Promise<ReadBatch | null> {
    assert(!this.#busy, 'next of a reader while another is under way');
    this.#busy = true;
    try {
      return await this.#next(bytesMax);
    } finally {
      this.#busy = false;
      if (this.#closed) await this.#leave();
    }
  }

  async #next(bytesMax: number): Promise<ReadBatch | null> {
    for (;;) {
      if (this.#closed || this.#options.signal?.aborted === true) return null;
      if (this.#stream.closed) throw this.#stream.closedError();
      if (!this.#segment && !this.#base) await this.#enter();
      if (this.#base) return await this.#nextOfBase(this.#base, bytesMax);
      const frames = this.#frames;
      if (frames) {
        const limit = this.#limit();
        if (frames.nextOffset < limit) {
          if (!frames.next() && !((await frames.fill(limit, bytesMax)) && frames.next())) throw frames.corruption();
          const pieces = await this.#take(frames, limit, bytesMax);
          return { pieces, reached: this.#reached };
        }
        if (this.#atSegmentsEnd(frames)) {
          await this.#leave();
          continue;
        }
      }
      if (this.#stop) return null;
      await this.#stream.changed((wake) => {
        this.#wake = wake;
        if (this.#closed || this.#options.signal?.aborted === true || this.#hasMore()) wake();
      });
      this.#wake = null;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stream.readers.delete(this);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#wake?.();
    if (!this.#busy) await this.#leave();
  }

  /** Finds the reader's place: the base or a segment; neither while the stream does not exist, or behind the stop. */
  async #enter(): Promise<void> {
    const { base, segments, frontier } = this.#stream;
    const { seq } = this.#reached;
    if (segments.length === 0) return;
    if (seq > frontier.seq) throw aheadOfLog(this.#stream, seq);
    if (base && seq < base.seq) {
      const file = await base.shared.acquire();
      this.#base = new BaseReader(base, file, seq, (topic) => this.#wants(topic));
      return;
    }
    // Marks may fill whole segments: of those that begin at the same transaction, go on behind the one read last.
    const found = segments.find(
      (segment) => segment.ordinal > this.#passed && (!segment.sealed || segment.lastSeq > seq || this.#passed > 0),
    );
    if (!found || (this.#stop && found.ordinal > this.#stop.ordinal)) return;
    const isNext = this.#passed > 0 && found.ordinal === this.#passed + 1;
    this.#segment = found;
    const file = await found.shared.acquire();
    this.#file = file;
    if (found.head.frontier.seq === seq) this.#reached = found.head.frontier;
    this.#frames = this.#framesOf(found, file, isNext ? found.start : await found.seek(file, seq));
  }

  async #nextOfBase(reader: BaseReader, bytesMax: number): Promise<ReadBatch> {
    const pieces = await reader.next(bytesMax);
    if (pieces.at(-1)?.last === true) {
      const { frontier, ordinal } = reader.base.manifest;
      this.#reached = frontier;
      this.#passed = ordinal;
      await this.#leave();
    }
    return { pieces, reached: this.#reached };
  }

  #framesOf(segment: Segment, file: File, offset: number): FrameReader {
    const place = { file, path: segment.path, salt: segment.salt };
    return new FrameReader(place, offset, this.#options.reuse === true, this.#block);
  }

  async #leave(): Promise<void> {
    const segment = this.#segment;
    const base = this.#base?.base;
    this.#segment = null;
    this.#base = null;
    if (this.#options.reuse === true) this.#block = this.#frames?.buffer ?? this.#block;
    this.#frames = null;
    this.#file = null;
    await segment?.shared.release();
    await base?.shared.release();
  }

  /** Whether the segment is read to its end, and is not the last for this reader. */
  #atSegmentsEnd(frames: FrameReader): boolean {
    const segment = this.#segment;
    if (segment?.sealed !== true || frames.nextOffset < segment.durableEnd) return false;
    if (this.#stop && segment.ordinal >= this.#stop.ordinal) return false;
    this.#passed = segment.ordinal;
    return true;
  }

  #limit(): number {
    const end = this.#segment?.durableEnd ?? 0;
    if (!this.#stop || this.#stop.ordinal !== this.#segment?.ordinal) return end;
    return Math.min(end, this.#stop.end);
  }

  #hasMore(): boolean {
    const { segments, closed } = this.#stream;
    if (closed) return true;
    if (!this.#segment || !this.#frames) return segments.length > 0;
    return this.#segment.sealed || this.#frames.nextOffset < this.#segment.durableEnd;
  }

  /** Takes the frames that are in memory, from the current one on, until they make `bytesMax`. */
  async #take(frames: FrameReader, limit: number, bytesMax: number): Promise<Piece[]> {
    const pieces: Piece[] = [];
    let bytes = 0;
    do {
      const { kind, bodyBytes, piece, seq } = frames.header;
      if (kind === kindMark) {
        this.#reach(seq, this.#metaOf(frames));
      } else if (kind === kindTransaction || kind === kindCommit) {
        pieces.push(this.#last(frames));
      } else if (kind === kindPiece) {
        if (piece === 0) this.#large = await this.#findCommit(frames, limit);
        pieces.push(this.#part(frames));
      } else if (kind !== kindNote) {
        throw corrupt(frames.path, frames.offset, `a frame of kind ${kind} within a segment`);
      }
      bytes += bodyBytes;
    } while (bytes < bytesMax && frames.nextOffset < limit && frames.next());
    return pieces;
  }

  #last(frames: FrameReader): Piece {
    const { header } = frames;
    const meta = this.#metaOf(frames);
    this.#reach(header.seq, meta);
    this.#large = null;
    const piece = {
      seq: header.seq,
      position: meta.position,
      commitTimeMs: meta.timeMs,
      snapshot: (header.flags & flagSnapshot) !== 0,
      txId: meta.txId,
      first: header.piece === 0,
      last: true,
      kind: 'transaction' as const,
      changes: this.#changesOf(frames),
    };
    return meta.state ? { ...piece, state: meta.state } : piece;
  }

  #part(frames: FrameReader): Piece {
    const { header } = frames;
    if (!this.#large) throw corrupt(frames.path, frames.offset, 'a transaction without its beginning');
    const { meta, snapshot } = this.#large;
    return {
      seq: header.seq,
      position: meta.position,
      commitTimeMs: meta.timeMs,
      snapshot,
      txId: meta.txId,
      first: header.piece === 0,
      last: false,
      kind: 'transaction',
      changes: this.#changesOf(frames),
    };
  }

  /** Hops from a transaction's first piece to its commit, which every piece handed out quotes. */
  async #findCommit(frames: FrameReader, limit: number): Promise<{ meta: Meta; snapshot: boolean }> {
    const file = this.#file;
    const { attempt } = frames.header;
    if (file) {
      const { path, offset } = frames;
      this.#window ??= Buffer.allocUnsafeSlow(headerWindowBytes);
      const headers = new HeaderReader({ file, path, salt: this.#segment?.salt ?? 0 }, offset, this.#window);
      while (await headers.next(limit)) {
        const { header } = headers;
        if (header.attempt !== attempt) break;
        if (header.kind !== kindCommit) continue;
        const meta = Buffer.alloc(header.metaBytes);
        await file.read(meta, headers.nextOffset - header.metaBytes);
        return { meta: readMeta(meta, 0, meta.length), snapshot: (header.flags & flagSnapshot) !== 0 };
      }
    }
    throw corrupt(frames.path, frames.offset, 'a transaction without its end');
  }

  #metaOf(frames: FrameReader): Meta {
    const end = frames.bodyStart + frames.header.bodyBytes;
    return readMeta(frames.buffer, end - frames.header.metaBytes, end);
  }

  #reach(seq: number, meta: Meta): void {
    this.#reached = { seq, position: meta.position, timeMs: meta.timeMs };
  }

  /** The records of the current frame that the reader wants: a view when it wants them all. */
  #changesOf(frames: FrameReader): ChangeBatch {
    const { buffer, bodyStart, header } = frames;
    const bytes = buffer.subarray(bodyStart, bodyStart + header.bodyBytes - header.metaBytes);
    if (!this.#options.topics) return { bytes, count: header.count };
    return this.#filter(bytes, header.count);
  }

  #filter(bytes: Buffer, count: number): ChangeBatch {
    const cursor = this.#cursor.reset(bytes);
    let kept = 0;
    let keptBytes = 0;
    while (cursor.next()) {
      if (!this.#wants(cursor.schemaId)) continue;
      kept++;
      keptBytes += cursor.afterEnd - cursor.start;
    }
    if (kept === count) return { bytes, count };
    if (kept === 0) return emptyBatch;
    const into = Buffer.allocUnsafe(keptBytes);
    let at = 0;
    cursor.reset(bytes);
    while (cursor.next()) {
      if (this.#wants(cursor.schemaId)) at += bytes.copy(into, at, cursor.start, cursor.afterEnd);
    }
    return { bytes: into, count: kept };
  }

  #wants(schemaId: number): boolean {
    return (this.#wanted[schemaId] ??= this.#options.topics?.has(this.#stream.topicOf(schemaId)) ?? true);
  }
}

function aheadOfLog(stream: Stream, seq: number): TidemarkError {
  const path = stream.segments.at(-1)?.path ?? stream.directory;
  return new TidemarkError(
    'LOG_BEHIND',
    `transaction ${seq} of ${stream.name} was asked for, but the log ends at ${stream.frontier.seq}, in ${path}`,
    {
      hint: 'If the number is right, the log has lost its end: it was replaced by an older copy, or that file was cut. Restore data_dir from a newer copy, or stop the service, delete the log directory and start again: the tables are then read anew from the source.',
      place: { source: stream.name, file: path },
    },
  );
}
