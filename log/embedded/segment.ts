import { crc32 } from 'node:zlib';
import { join } from 'node:path';
import type { File, Files } from '../../base/files.ts';
import type { Frontier } from '../../model/log.ts';
import { readFileHead } from './file-head.ts';
import { encodeFileHead, kindMark, kindNote } from './format.ts';
import { HeaderReader } from './frames.ts';
import { SharedFile } from './shared-file.ts';
import type { TopicStatsJson } from './topic-stats.ts';

/** What a segment says of itself at its beginning: everything that is true of the stream before its first frame. */
export interface SegmentHead {
  readonly stream: string;
  readonly epoch: number;
  readonly ordinal: number;
  /** Length of the segment before this one, all of which was on disk when this one was made; 0 for the first. */
  readonly previousBytes: number;
  readonly frontier: Frontier;
  readonly state: Readonly<Record<string, string>>;
  readonly topics: TopicStatsJson;
}

/** Distance of two entries of a segment's index. */
const indexBytes = 64 * 1024;

const namePattern = /^(\d{8})-(\d+)\.segment$/;

/** `*` stands for a number that is not known. */
export function segmentName(ordinal: number, firstSeq: number | '*'): string {
  return `${String(ordinal).padStart(8, '0')}-${firstSeq}.segment`;
}

/** The ordinal in a file's name, or undefined when it is not a segment's. */
export function segmentOrdinal(name: string): number | undefined {
  const match = namePattern.exec(name);
  return match ? Number(match[1]) : undefined;
}

/** The encoded head of a segment that is to be made, and its salt. */
export function encodeSegmentHead(head: SegmentHead): { bytes: Buffer; salt: number } {
  const salt = crc32(`${head.epoch}/${head.stream}/${head.ordinal}`);
  return { bytes: encodeFileHead(head, salt), salt };
}

/** One append-only file of a stream. Its readers go by `durableEnd`. */
export class Segment {
  readonly path: string;
  readonly head: SegmentHead;
  readonly salt: number;
  /** Offset of the first frame. */
  readonly start: number;
  readonly shared: SharedFile;
  /** Everything before this offset is whole transactions and marks, and on disk. */
  durableEnd: number;
  /** Number of the newest transaction before `durableEnd`. */
  lastSeq: number;
  /** No more will be written. */
  sealed = false;
  /** Offsets at which a transaction (or a mark) begins, with the seq that was reached before it; ascending. */
  readonly #indexSeq: number[] = [];
  readonly #indexOffset: number[] = [];

  constructor(files: Files, path: string, head: SegmentHead, salt: number, start: number) {
    this.path = path;
    this.head = head;
    this.salt = salt;
    this.start = start;
    this.durableEnd = start;
    this.lastSeq = head.frontier.seq;
    this.shared = new SharedFile(files, path);
  }

  get ordinal(): number {
    return this.head.ordinal;
  }

  /** Tells that what follows `seq` begins at `offset`. */
  note(seq: number, offset: number): void {
    const last = this.#indexOffset.at(-1) ?? this.start;
    if (offset < last + indexBytes) return;
    this.#indexSeq.push(seq);
    this.#indexOffset.push(offset);
  }

  /** Forgets index entries from `offset` on: an aborted transaction's. */
  unnote(offset: number): void {
    while ((this.#indexOffset.at(-1) ?? -1) >= offset) {
      this.#indexOffset.pop();
      this.#indexSeq.pop();
    }
  }

  /** The offset of the first frame of what follows transaction `seq`, which is in this segment or is the last before it. */
  async seek(file: File, seq: number): Promise<number> {
    const { durableEnd } = this;
    if (seq === this.lastSeq && this.sealed) return durableEnd;
    let low = 0;
    let high = this.#indexSeq.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#indexSeq[middle] as number) <= seq) low = middle + 1;
      else high = middle;
    }
    const frames = new HeaderReader({ file, path: this.path, salt: this.salt }, this.#offsetAt(low - 1, durableEnd));
    let reached = -1;
    while (await frames.next(durableEnd)) {
      const { kind, seq: frameSeq } = frames.header;
      if (frameSeq > seq && kind !== kindNote) return frames.offset;
      // Only a sealed segment's index is extended here: the writer keeps that of the newest one.
      if (this.sealed && kind !== kindMark && reached !== frameSeq) this.note(frameSeq - 1, frames.offset);
      reached = frameSeq;
    }
    return durableEnd;
  }

  #offsetAt(entry: number, durableEnd: number): number {
    if (entry < 0) return this.start;
    const offset = this.#indexOffset[entry] as number;
    // The writer's entries may be ahead of what is durable.
    return offset < durableEnd ? offset : this.#offsetAt(entry - 1, durableEnd);
  }
}

/** Reads the head of a segment's file. */
export async function openSegment(files: Files, directory: string, name: string): Promise<Segment> {
  const path = join(directory, name);
  const { salt, start, description } = await readFileHead(files, path);
  return new Segment(files, path, description as SegmentHead, salt, start);
}
