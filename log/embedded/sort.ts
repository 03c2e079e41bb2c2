import { join } from 'node:path';
import type { File, Files } from '../../base/files.ts';
import { freeBuffer } from '../../base/free-buffer.ts';
import { changeHeaderBytes, ChangeCursor } from '../../model/change.ts';
import { BlockSource, BlockWriter } from './block-file.ts';
import { kindCommit, kindPiece, kindTransaction } from './format.ts';
import { FrameReader } from './frames.ts';
import type { Segment } from './segment.ts';
import type { SortedSource } from './sorted-source.ts';
import { Arena, compareKeys, keyBytesOf } from './sorted-source.ts';

/** Records sorted in memory at a time; more than that goes to a run file. */
const arenaBytesDefault = 4 * 1024 * 1024;
const runBlockBytes = 64 * 1024;
/** A block with its header and meta comes in one read. */
const runReadBytes = runBlockBytes + 16 * 1024;
/** Runs merged at a time: bounds the memory of their blocks, about 100 KB each. */
const fanIn = 40;

export interface SortOptions {
  readonly files: Files;
  /** Run files are made here. */
  readonly directory: string;
  /** Distinguishes the run files of sorts that go on at the same time. */
  readonly name: string;
  /** The topic's number of a schema id, or 0 for one that is not wanted. */
  readonly topicOf: (schemaId: number) => number;
  readonly arenaBytes?: number;
}

/** Sorts the changes of a stretch of a stream in bounded memory. Ages of what it holds count from 1; 0 is left for a base. */
export class ExternalSort {
  readonly #options: SortOptions;
  readonly #arena: Arena;
  readonly #cursor = new ChangeCursor();
  #runs: Run[] = [];
  #made = 0;
  /** What segments are read into, one after the other. */
  #block: Buffer | undefined;

  constructor(options: SortOptions) {
    this.#options = options;
    this.#arena = new Arena(Number.MAX_SAFE_INTEGER, options.arenaBytes ?? arenaBytesDefault);
  }

  /** Adds what a segment holds before `limit`, up to transaction `upToSeq`. */
  async addSegment(segment: Segment, file: File, limit: number, upToSeq: number): Promise<void> {
    const frames = new FrameReader({ file, path: segment.path, salt: segment.salt }, segment.start, true, this.#block);
    while (frames.nextOffset < limit) {
      if (!frames.next() && !((await frames.fill(limit)) && frames.next())) throw frames.corruption();
      this.#block = frames.buffer;
      const { kind, seq, bodyBytes, metaBytes } = frames.header;
      if (seq > upToSeq) return;
      if (kind !== kindTransaction && kind !== kindPiece && kind !== kindCommit) continue;
      const { bodyStart, buffer } = frames;
      const cursor = this.#cursor.reset(buffer.subarray(bodyStart, bodyStart + bodyBytes - metaBytes));
      while (cursor.next()) {
        const topic = this.#options.topicOf(cursor.schemaId);
        if (topic === 0 || this.#arena.add(cursor, seq, topic)) continue;
        await this.#spill();
        this.#arena.add(cursor, seq, topic);
      }
    }
  }

  /** What was added, in sorted parts. */
  async sources(): Promise<SortedSource[]> {
    while (this.#runs.length > fanIn) await this.#mergeRuns();
    this.#arena.sort();
    return [...this.#runs.map((run) => run.source()), this.#arena];
  }

  /** Deletes the run files, and gives back the memory. */
  async close(): Promise<void> {
    this.#arena.free();
    if (this.#block) freeBuffer(this.#block);
    for (const run of this.#runs) await run.delete();
    this.#runs = [];
  }

  async #spill(): Promise<void> {
    this.#arena.sort();
    this.#runs.push(await this.#writeRun([this.#arena]));
    this.#arena.reset();
  }

  /** Merges neighbouring runs, as many at a time as memory allows, so that each record is written once more. */
  async #mergeRuns(): Promise<void> {
    const merged: Run[] = [];
    try {
      while (this.#runs.length > 0) {
        const some = this.#runs.slice(0, fanIn);
        merged.push(some.length === 1 && some[0] ? some[0] : await this.#writeRun(some.map((run) => run.source())));
        this.#runs = this.#runs.slice(fanIn);
        if (some.length > 1) for (const run of some) await run.delete();
      }
    } finally {
      this.#runs = [...merged, ...this.#runs];
    }
  }

  async #writeRun(sources: SortedSource[]): Promise<Run> {
    const { files, directory, name } = this.#options;
    const path = join(directory, `${name}-${this.#made++}.run`);
    const writer = await BlockWriter.create(files, path, {}, runBlockBytes);
    const start = writer.length;
    try {
      await writeMerged(sources, writer, () => true);
      await writer.flush();
    } finally {
      await writer.close();
    }
    const age = sources.reduce((oldest, source) => Math.min(oldest, source.age), this.#made);
    return new Run(files, path, writer.salt, { start, end: writer.length }, age, await files.open(path, 'read'));
  }
}

class Run {
  readonly #files: Files;
  readonly #path: string;
  readonly #salt: number;
  readonly #range: { start: number; end: number };
  readonly #age: number;
  readonly #file: File;
  #source: BlockSource | null = null;

  constructor(
    files: Files,
    path: string,
    salt: number,
    range: { start: number; end: number },
    age: number,
    file: File,
  ) {
    this.#files = files;
    this.#path = path;
    this.#salt = salt;
    this.#range = range;
    this.#age = age;
    this.#file = file;
  }

  source(): SortedSource {
    const place = { file: this.#file, path: this.#path, salt: this.#salt };
    this.#source = new BlockSource(place, this.#range, this.#age, runReadBytes);
    return this.#source;
  }

  async delete(): Promise<void> {
    this.#source?.free();
    await this.#file.close();
    await this.#files.remove(this.#path);
  }
}

/** Merges sources and writes the records that `keeps` lets pass. */
export async function writeMerged(
  sources: readonly SortedSource[],
  writer: BlockWriter,
  keeps: (source: SortedSource) => boolean,
): Promise<void> {
  const merger = new Merger(sources);
  await merger.start();
  while (merger.next() || (await merger.fill())) {
    const { source } = merger;
    if (!source || !keeps(source)) continue;
    if (writer.mustFlush(source.topic)) await writer.flush();
    if (writer.add(source)) await writer.flush();
  }
}

/** Merges sorted sources: a binary heap of them by their current records. */
export class Merger {
  readonly #heap: SortedSource[] = [];
  readonly #all: readonly SortedSource[];
  /** The one whose current record is next. */
  source: SortedSource | null = null;
  #topic = -1;
  /** The last record's key and what goes before it, to recognise older records of the same key. */
  #last = Buffer.alloc(256);
  /** Whether the top of the heap must be moved on before it is looked at. */
  #spent = false;

  constructor(sources: readonly SortedSource[]) {
    this.#all = sources;
  }

  async start(): Promise<void> {
    for (const source of this.#all) {
      if (source.next() || ((await source.fill()) && source.next())) this.#push(source);
    }
  }

  /** Moves to the next record that counts; false at the end, and where memory ends: `fill` must be awaited then, which moves on. */
  next(): boolean {
    const heap = this.#heap;
    for (;;) {
      const top = heap[0];
      if (!top) return false;
      if (this.#spent) {
        if (!top.next()) return false;
        this.#spent = false;
        this.#siftDown();
        continue;
      }
      this.#spent = true;
      if (this.#isRepeat(top)) continue;
      this.#remember(top);
      this.source = top;
      return true;
    }
  }

  async fill(): Promise<boolean> {
    for (;;) {
      const top = this.#heap[0];
      if (!top) return false;
      if (this.#spent && !((await top.fill()) && top.next())) {
        const last = this.#heap.pop();
        if (last && last !== top) this.#heap[0] = last;
      }
      this.#spent = false;
      this.#siftDown();
      if (this.next()) return true;
    }
  }

  #isRepeat(source: SortedSource): boolean {
    if (source.topic !== this.#topic || keyBytesOf(source.bytes, source.start) === 0) return false;
    return compareKeys(source.bytes, source.start, this.#last, 0) === 0;
  }

  #remember(source: SortedSource): void {
    const bytes = changeHeaderBytes + keyBytesOf(source.bytes, source.start);
    if (this.#last.length < bytes) this.#last = Buffer.alloc(bytes * 2);
    source.bytes.copy(this.#last, 0, source.start, source.start + bytes);
    this.#topic = source.topic;
  }

  #push(source: SortedSource): void {
    const heap = this.#heap;
    let at = heap.push(source) - 1;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      const above = heap[parent] as SortedSource;
      if (compareSources(above, source) <= 0) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = source;
  }

  #siftDown(): void {
    const heap = this.#heap;
    const source = heap[0];
    if (!source) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = child + 1;
      if (right < heap.length && compareSources(heap[right] as SortedSource, heap[child] as SortedSource) < 0)
        child = right;
      if (compareSources(source, heap[child] as SortedSource) <= 0) break;
      heap[at] = heap[child] as SortedSource;
      at = child;
    }
    heap[at] = source;
  }
}

function compareSources(a: SortedSource, b: SortedSource): number {
  if (a.topic !== b.topic) return a.topic - b.topic;
  if (a.prefix !== b.prefix) return a.prefix - b.prefix;
  const keys = compareKeys(a.bytes, a.start, b.bytes, b.start);
  if (keys !== 0) return keys;
  return keyBytesOf(a.bytes, a.start) === 0 ? a.age - b.age : b.age - a.age;
}
