import type { File, Files } from '../../base/files.ts';
import type { ValueReader } from './codec.ts';

/** An entry: u32 bytes of all that follows, u32 bytes of the key, the key, the payload. Little-endian. */
export const entryHeadBytes = 8;

/** Where sorters put what they cannot hold. */
export interface SortFolder {
  readonly files: Files;
  readonly directory: string;
}

/** Entries in the order of their keys, one at a time. */
export interface RunCursor {
  /** Where the entry's bytes are: `keyStart` up to `keyEnd` its key, and from there on the payload. */
  readonly buffer: Buffer;
  readonly keyStart: number;
  readonly keyEnd: number;
  /** After `next` has said no: it is not the end, `load` must be awaited first. */
  readonly isWaiting: boolean;
  /** Moves to the next entry, if there is one at hand. */
  next(): boolean;
  load(): Promise<void>;
}

/** What has been sorted in memory: entries lie in slabs, `positions` says where (slab × 2^32 + offset), `order` in which order. */
export class MemoryRun implements RunCursor {
  readonly isWaiting = false;
  buffer: Buffer = Buffer.alloc(0);
  keyStart = 0;
  keyEnd = 0;
  readonly #slabs: readonly Buffer[];
  readonly #positions: Float64Array;
  readonly #order: Uint32Array;
  #at = 0;

  constructor(slabs: readonly Buffer[], positions: Float64Array, order: Uint32Array) {
    this.#slabs = slabs;
    this.#positions = positions;
    this.#order = order;
  }

  get entryStart(): number {
    return this.keyStart - entryHeadBytes;
  }

  get entryEnd(): number {
    return this.entryStart + 4 + this.buffer.readUInt32LE(this.entryStart);
  }

  next(): boolean {
    if (this.#at === this.#order.length) return false;
    const position = this.#positions[this.#order[this.#at++] as number] as number;
    const slab = Math.floor(position / slabFactor);
    const start = position - slab * slabFactor;
    this.buffer = this.#slabs[slab] as Buffer;
    this.keyStart = start + entryHeadBytes;
    this.keyEnd = this.keyStart + this.buffer.readUInt32LE(start + 4);
    return true;
  }

  async load(): Promise<void> {}
}

export const slabFactor = 2 ** 32;
const readBytes = 64 * 1024;
const writeBytes = 256 * 1024;

/** A run in a file, read in blocks. */
export class FileRun implements RunCursor {
  isWaiting = true;
  buffer: Buffer = Buffer.allocUnsafeSlow(readBytes);
  keyStart = 0;
  keyEnd = 0;
  readonly #file: File;
  readonly #end: number;
  #filled = 0;
  /** Of the next entry, in the buffer. */
  #at = 0;
  /** Of the next block, in the file. */
  #offset: number;

  constructor(file: File, start: number, end: number) {
    this.#file = file;
    this.#offset = start;
    this.#end = end;
  }

  next(): boolean {
    const left = this.#filled - this.#at;
    const bytes = left < 4 ? Infinity : 4 + this.buffer.readUInt32LE(this.#at);
    if (bytes > left) {
      this.isWaiting = this.#offset < this.#end;
      return false;
    }
    this.keyStart = this.#at + entryHeadBytes;
    this.keyEnd = this.keyStart + this.buffer.readUInt32LE(this.#at + 4);
    this.#at += bytes;
    return true;
  }

  /** Reads the next block behind what is left of this one. */
  async load(): Promise<void> {
    const left = this.buffer.subarray(this.#at, this.#filled);
    const needed = left.length < 4 ? 0 : 4 + left.readUInt32LE(0);
    const into = needed > this.buffer.length ? Buffer.allocUnsafeSlow(needed + readBytes) : this.buffer;
    left.copy(into);
    const wanted = Math.min(into.length - left.length, this.#end - this.#offset);
    const read = await this.#file.read(into.subarray(left.length, left.length + wanted), this.#offset);
    this.#offset = read < wanted ? this.#end : this.#offset + read;
    this.buffer = into;
    this.#at = 0;
    this.#filled = left.length + read;
    this.isWaiting = false;
  }
}

/** Runs of one sorter as one: entries by key, those of one key in the order of the runs. */
export class MergedRuns {
  /** There are no more entries. */
  isOver = false;
  /** The entry's key is that of the one before it. */
  isSameKey = false;
  /** The run whose entry it is. */
  current: RunCursor;
  readonly #runs: readonly RunCursor[];
  /** Runs with an entry; none comes before its parent. */
  readonly #heap: RunCursor[] = [];
  /** To be moved on before the next entry is known: at first all, then the one at the top. */
  readonly #pending: RunCursor[];
  #isBegun = false;
  #key = Buffer.allocUnsafe(64);
  #keyLength = -1;

  constructor(runs: readonly [RunCursor, ...RunCursor[]]) {
    this.#runs = runs;
    this.#pending = [...runs];
    this.current = runs[0];
  }

  /** Moves to the next entry, the first one at first. False: `load` must be awaited and `next` called again. */
  next(): boolean {
    if (this.#pending.length > 0) return this.#moveOn();
    const top = this.#heap[0] as RunCursor;
    if (!this.isSameKey) this.#keepKey(top);
    if (!top.next()) {
      if (top.isWaiting) {
        this.#pending.push(top);
        return false;
      }
      this.#dropTop();
    }
    this.#settle();
    return true;
  }

  async load(): Promise<void> {
    for (const run of this.#pending) if (run.isWaiting) await run.load();
  }

  /** The reader at the entry's payload. */
  payload(reader: ValueReader): ValueReader {
    return reader.reset(this.current.buffer, this.current.keyEnd);
  }

  #moveOn(): boolean {
    for (let run = this.#pending[0]; run !== undefined; run = this.#pending[0]) {
      if (run.isWaiting) return false;
      const has = run.next();
      if (!has && run.isWaiting) return false;
      this.#pending.shift();
      if (!this.#isBegun && has) this.#insert(run);
      else if (this.#isBegun && !has) this.#dropTop();
    }
    this.#isBegun = true;
    this.#settle();
    return true;
  }

  #dropTop(): void {
    const last = this.#heap.pop() as RunCursor;
    if (this.#heap.length > 0) this.#heap[0] = last;
  }

  #insert(run: RunCursor): void {
    const heap = this.#heap;
    let at = heap.push(run) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#isBefore(heap[parent] as RunCursor, run)) break;
      heap[at] = heap[parent] as RunCursor;
      at = parent;
    }
    heap[at] = run;
  }

  /** Puts the run at the top where it belongs. */
  #settle(): void {
    const heap = this.#heap;
    const top = heap[0];
    if (top === undefined) {
      this.isOver = true;
      return;
    }
    let at = 0;
    for (let child = 1; child < heap.length; child = at * 2 + 1) {
      if (child + 1 < heap.length && this.#isBefore(heap[child + 1] as RunCursor, heap[child] as RunCursor)) child++;
      if (this.#isBefore(top, heap[child] as RunCursor)) break;
      heap[at] = heap[child] as RunCursor;
      at = child;
    }
    heap[at] = top;
    this.current = heap[0] as RunCursor;
    this.isSameKey = this.#hasKeptKey(this.current);
  }

  #isBefore(a: RunCursor, b: RunCursor): boolean {
    const order = compareKeys(a, b);
    return order < 0 || (order === 0 && this.#runs.indexOf(a) < this.#runs.indexOf(b));
  }

  #keepKey({ buffer, keyStart, keyEnd }: RunCursor): void {
    const length = keyEnd - keyStart;
    if (length > this.#key.length) this.#key = Buffer.allocUnsafe(length * 2);
    for (let index = 0; index < length; index++) this.#key[index] = buffer[keyStart + index] as number;
    this.#keyLength = length;
  }

  #hasKeptKey({ buffer, keyStart, keyEnd }: RunCursor): boolean {
    const key = this.#key;
    if (keyEnd - keyStart !== this.#keyLength) return false;
    for (let index = this.#keyLength - 1; index >= 0; index--) {
      if (key[index] !== buffer[keyStart + index]) return false;
    }
    return true;
  }
}

export function compareKeys(a: RunCursor, b: RunCursor): number {
  return a.buffer.compare(b.buffer, b.keyStart, b.keyEnd, a.keyStart, a.keyEnd);
}

/** Writes a run at `offset`; returns where it ends. */
export async function writeRun(run: MemoryRun, file: File, offset: number): Promise<number> {
  let block = Buffer.allocUnsafeSlow(writeBytes);
  let filled = 0;
  let end = offset;
  while (run.next()) {
    const start = run.entryStart;
    const bytes = run.entryEnd - start;
    if (filled + bytes > block.length) {
      await file.write(block.subarray(0, filled), end);
      end += filled;
      filled = 0;
      if (bytes > block.length) block = Buffer.allocUnsafeSlow(bytes);
    }
    filled += run.buffer.copy(block, filled, start, start + bytes);
  }
  await file.write(block.subarray(0, filled), end);
  return end + filled;
}
