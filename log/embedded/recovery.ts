import { join } from 'node:path';
import type { File, Files } from '../../base/files.ts';
import type { Frontier } from '../../model/log.ts';
import { present } from '../../base/assert.ts';
import {
  corrupt,
  frameHeader,
  frameHeaderBytes,
  frameMagicBytes,
  kindCommit,
  kindMark,
  kindNote,
  kindPiece,
  kindTransaction,
  missing,
  readFrameHeader,
} from './format.ts';
import { FrameReader } from './frames.ts';
import { applyState, readMeta } from './meta.ts';
import { segmentName, segmentOrdinal } from './segment.ts';
import type { Segment } from './segment.ts';
import { statsFromJson, Tally } from './topic-stats.ts';
import type { TopicStats } from './topic-stats.ts';

export interface Recovered {
  readonly frontier: Frontier;
  readonly state: Map<string, string>;
  readonly stats: Map<string, TopicStats>;
}

/**
 * Reads a stream's newest segment from its head on, cuts off what a crash left unfinished at its end, and returns what is true
 * after it.
 *
 * Telling a torn tail from damage: every frame claims up to where the file was known to be on disk when it was written. The
 * first frame that is not valid ends the sequence; if anything in the file, before or behind it, claims bytes beyond the last
 * commit found, then bytes that were acknowledged are damaged, and nothing is cut.
 */
export async function recover(
  files: Files,
  segment: Segment,
  topicOf: (schemaId: number) => string,
): Promise<Recovered> {
  const file = await files.open(segment.path, 'write');
  try {
    const size = await file.size();
    const scan = new Scan(segment, topicOf);
    const frames = new FrameReader({ file, path: segment.path, salt: segment.salt }, segment.start, true);
    while (frames.next() || ((await frames.fill(size)) && frames.next())) {
      if (!scan.take(frames)) break;
    }
    if (scan.end < size) {
      const claim = Math.max(scan.claim, await highestClaim(file, segment.salt, scan.end, size));
      if (claim > scan.end) {
        throw corrupt(
          segment.path,
          scan.end,
          `${frames.bad ?? 'a transaction is incomplete'}, and the file was on disk up to byte ${claim}`,
        );
      }
      await file.truncate(scan.end);
      await file.sync();
    }
    segment.durableEnd = scan.end;
    segment.lastSeq = scan.frontier.seq;
    return scan;
  } finally {
    await file.close();
  }
}

/** The state of the sequence while it is read. */
class Scan implements Recovered {
  readonly state: Map<string, string>;
  readonly stats: Map<string, TopicStats>;
  frontier: Frontier;
  /** After the last commit or mark. */
  end: number;
  claim = 0;
  readonly #segment: Segment;
  readonly #topicOf: (schemaId: number) => string;
  readonly #tally = new Tally();
  #pieces = 0;
  #attempt = 0;
  #start = 0;

  constructor(segment: Segment, topicOf: (schemaId: number) => string) {
    this.#segment = segment;
    this.#topicOf = topicOf;
    this.frontier = segment.head.frontier;
    this.state = new Map(Object.entries(segment.head.state));
    this.stats = statsFromJson(segment.head.topics);
    this.end = segment.start;
  }

  /** False when the frame, although whole, does not continue the sequence. */
  take(frames: FrameReader): boolean {
    const { header } = frames;
    this.claim = Math.max(this.claim, header.claim);
    switch (header.kind) {
      case kindPiece:
      case kindTransaction:
      case kindCommit:
        return this.#takeChanges(frames);
      case kindMark:
        if (header.seq !== this.frontier.seq || this.#pieces > 0) return false;
        this.#finish(frames);
        return true;
      case kindNote:
      default:
        return false;
    }
  }

  #takeChanges(frames: FrameReader): boolean {
    const { kind, seq, piece, attempt, bodyBytes, metaBytes, count } = frames.header;
    if (seq !== this.frontier.seq + 1 || piece !== this.#pieces) return false;
    if (piece > 0 && attempt !== this.#attempt) return false;
    if (kind === kindTransaction && piece !== 0) return false;
    if (piece === 0) this.#start = frames.offset;
    const bytes = frames.buffer.subarray(frames.bodyStart, frames.bodyStart + bodyBytes - metaBytes);
    this.#tally.add({ bytes, count });
    this.#attempt = attempt;
    this.#pieces++;
    if (kind === kindPiece) return true;
    this.#segment.note(seq - 1, this.#start);
    this.#tally.settle(seq, this.stats, this.#topicOf);
    this.#finish(frames);
    return true;
  }

  #finish(frames: FrameReader): void {
    const { bodyStart, buffer, header } = frames;
    const bodyEnd = bodyStart + header.bodyBytes;
    const meta = readMeta(buffer, bodyEnd - header.metaBytes, bodyEnd);
    if (meta.state) applyState(this.state, meta.state);
    this.frontier = { seq: header.seq, position: meta.position, timeMs: meta.timeMs };
    this.#pieces = 0;
    this.end = frames.nextOffset;
  }
}

/** The highest claim of any frame header of this file at or behind `from`, wherever it lies. */
async function highestClaim(file: File, salt: number, from: number, size: number): Promise<number> {
  const header = frameHeader();
  const block = Buffer.allocUnsafeSlow(1024 * 1024);
  let highest = 0;
  for (let start = from; start + frameHeaderBytes <= size; start += block.length - frameHeaderBytes) {
    const length = await file.read(block.subarray(0, Math.min(block.length, size - start)), start);
    const read = block.subarray(0, length);
    for (let at = read.indexOf(frameMagicBytes); at >= 0; at = read.indexOf(frameMagicBytes, at + 1)) {
      if (at + frameHeaderBytes > length) break;
      if (readFrameHeader(block, at, salt, header)) highest = Math.max(highest, header.claim);
    }
  }
  return highest;
}

/** Takes away what was written behind the newest segment's durable end, segments that were to follow it included. */
export async function cutBack(files: Files, directory: string, segment: Segment): Promise<void> {
  for (const name of await files.list(directory)) {
    const ordinal = segmentOrdinal(name.replace(/\.new$/, ''));
    if (ordinal !== undefined && (ordinal > segment.ordinal || name.endsWith('.new'))) {
      await files.remove(join(directory, name));
    }
  }
  await files.syncDirectory(directory);
  segment.unnote(segment.durableEnd);
  const file = await files.open(segment.path, 'write');
  try {
    await file.truncate(segment.durableEnd);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Sees to it that the segments follow one another without a gap, each as long as its successor says, and seals all but the newest. */
export async function chain(
  files: Files,
  directory: string,
  segments: readonly Segment[],
  firstOrdinal: number,
): Promise<void> {
  const absent = (ordinal: number, why: string): Error => missing(join(directory, segmentName(ordinal, '*')), why);
  if (segments.length === 0) throw absent(firstOrdinal, 'what follows the compacted part of the log began in it');
  for (const [index, segment] of segments.entries()) {
    if (segment.ordinal !== firstOrdinal + index) throw absent(firstOrdinal + index, `${segment.path} follows it`);
    const previous = segments[index - 1];
    if (!previous) continue;
    const file = await files.open(previous.path, 'read');
    const size = await file.size().finally(async () => file.close());
    const expected = segment.head.previousBytes;
    if (size < expected) throw corrupt(previous.path, size, `the file ends here and was ${expected} bytes long`);
    previous.durableEnd = expected;
    previous.lastSeq = segment.head.frontier.seq;
    previous.sealed = true;
  }
}

export function newest(segments: readonly Segment[]): Segment {
  return present(segments.at(-1), 'the newest segment');
}
