import { join } from 'node:path';
import type { File } from '../../base/files.ts';
import { present } from '../../base/assert.ts';
import type { StateKey } from '../value.ts';
import { ValueWriter } from './codec.ts';
import { FileRun, MemoryRun, MergedRuns, entryHeadBytes, slabFactor, writeRun } from './sorted-runs.ts';
import type { SortFolder } from './sorted-runs.ts';

const slabBytes = 1024 * 1024;
/** A slab with less room than this is full: an entry that is larger makes its slab grow. */
const roomMin = 16 * 1024;
/** Memory of an entry beside its bytes: position, order, and both as numbers while they are sorted. */
const entryBytes = 20;
/** Below this, sorting by comparisons costs less. */
const comparedMax = 24;
/** Of entries without a key: bytes that no key begins with, since a string of ASCII (tag 0xff) has no such character. */
export const noKey = 0xffff;

/** Memory that sorters share, and the folder for what goes beyond it. */
export class SortSpace {
  readonly #limitBytes: number;
  readonly #folder: SortFolder;
  readonly #sorters = new Set<Sorter>();
  readonly #free: Buffer[] = [];
  #files = 0;

  constructor(limitBytes: number, folder: SortFolder) {
    this.#limitBytes = limitBytes;
    this.#folder = folder;
  }

  sorter(): Sorter {
    const sorter = new Sorter(this);
    this.#sorters.add(sorter);
    return sorter;
  }

  /** Writes to files what is too much for memory; to be awaited every few thousand entries. DISK_FULL is the caller's to tell. */
  async relieve(): Promise<void> {
    for (;;) {
      let bytes = 0;
      let largest: Sorter | null = null;
      for (const sorter of this.#sorters) {
        bytes += sorter.bytes;
        if (!sorter.isRead && sorter.bytes > (largest?.bytes ?? 0)) largest = sorter;
      }
      if (bytes <= this.#limitBytes || largest === null) return;
      await largest.spill();
    }
  }

  /** Closes what is open, and removes the files. */
  async close(): Promise<void> {
    for (const sorter of this.#sorters) await sorter.close();
    if (this.#files > 0) await this.#folder.files.remove(this.#folder.directory);
    this.#files = 0;
  }

  async file(): Promise<File> {
    const { files, directory } = this.#folder;
    await files.makeDirectory(directory);
    return files.open(join(directory, `run-${this.#files++}`), 'create');
  }

  slab(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(slabBytes);
  }

  forget(sorter: Sorter): void {
    this.#sorters.delete(sorter);
  }

  reuse(slabs: readonly Buffer[]): void {
    for (const slab of slabs) if (slab.length === slabBytes) this.#free.push(slab);
  }
}

/**
 * Puts entries into the order of their keys' bytes, which is that of LMDB; entries of one key stay in the order in which they came.
 * They are sorted in memory as numbers, by four bytes of their keys at a time.
 */
export class Sorter {
  /** A cursor has been asked for: what is in memory stays there. */
  isRead = false;
  readonly #space: SortSpace;
  readonly #writer = new ValueWriter(0);
  #slabs: Buffer[] = [];
  #slabBytes = 0;
  #positions = new Float64Array(1024);
  #count = 0;
  #order: Uint32Array | null = null;
  #start = 0;
  #file: File | null = null;
  /** Where the runs of the file end. */
  readonly #ends: number[] = [];

  constructor(space: SortSpace) {
    this.#space = space;
  }

  /** About the memory that it takes. */
  get bytes(): number {
    return this.#slabBytes + this.#count * entryBytes;
  }

  /** Begins an entry; its payload is then written to what is returned. */
  begin(key: StateKey | undefined): ValueWriter {
    const writer = this.#writer;
    if (writer.buffer.length - writer.at < roomMin) {
      writer.buffer = this.#space.slab();
      writer.at = 0;
      this.#slabs.push(writer.buffer);
      this.#slabBytes += slabBytes;
    }
    this.#start = writer.at;
    writer.at += entryHeadBytes;
    if (key === undefined) writer.at = writer.buffer.writeUInt16BE(noKey, writer.at);
    else writer.value(key === 0 ? 0 : key);
    putUint32(writer.buffer, this.#start + 4, writer.at - this.#start - entryHeadBytes);
    return writer;
  }

  end(): void {
    const { buffer, at } = this.#writer;
    const slab = this.#slabs.length - 1;
    const before = this.#slabs[slab] as Buffer;
    if (before !== buffer) {
      this.#slabs[slab] = buffer;
      this.#slabBytes += buffer.length - before.length;
    }
    putUint32(buffer, this.#start, at - this.#start - 4);
    if (this.#count === this.#positions.length) {
      const larger = new Float64Array(this.#count * 2);
      larger.set(this.#positions);
      this.#positions = larger;
    }
    this.#positions[this.#count++] = slab * slabFactor + this.#start;
  }

  /** Moves what is in memory to a file, sorted. */
  async spill(): Promise<void> {
    if (this.#count === 0) return;
    this.#file ??= await this.#space.file();
    this.#ends.push(await writeRun(this.#sorted(), this.#file, this.#ends.at(-1) ?? 0));
    this.#clear();
  }

  /** All entries in order, from the first; of several cursors one at a time is used. */
  read(): MergedRuns {
    this.isRead = true;
    const runs = this.#ends.map(
      (end, index) => new FileRun(present(this.#file, 'the file of runs'), this.#ends[index - 1] ?? 0, end),
    );
    const [first, ...others] = runs;
    const inMemory = this.#sorted();
    return new MergedRuns(first === undefined ? [inMemory] : [first, ...others, inMemory]);
  }

  async close(): Promise<void> {
    this.#clear();
    this.#space.forget(this);
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  #clear(): void {
    this.#space.reuse(this.#slabs);
    this.#slabs = [];
    this.#slabBytes = 0;
    this.#count = 0;
    this.#order = null;
    this.#writer.buffer = noRoom;
    this.#writer.at = 0;
    this.#positions = new Float64Array(1024);
  }

  #sorted(): MemoryRun {
    if (this.#order === null) {
      this.#order = Uint32Array.from({ length: this.#count }, (_, index) => index);
      this.#sort(this.#order, 0, this.#count, 0);
    }
    return new MemoryRun(this.#slabs, this.#positions, this.#order);
  }

  /** Sorts `from` up to `to`, whose keys are the same up to the byte `depth`. */
  #sort(order: Uint32Array, from: number, to: number, depth: number): void {
    if (to - from <= comparedMax) {
      this.#sortFew(order, from, to);
      return;
    }
    const both = new BigUint64Array(to - from);
    // Little-endian: the second half is the one that counts more. Equal keys stay in the order of their entries.
    const halves = new Uint32Array(both.buffer);
    for (let index = from, at = 0; index < to; index++, at += 2) {
      const entry = order[index] as number;
      halves[at] = entry;
      halves[at + 1] = this.#digit(entry, depth);
    }
    both.sort();
    for (let index = from, at = 0; index < to; index++, at += 2) order[index] = halves[at] as number;
    for (let start = from; start < to;) {
      const digit = halves[(start - from) * 2 + 1];
      let end = start + 1;
      while (end < to && halves[(end - from) * 2 + 1] === digit) end++;
      // No key's bytes are the beginning of another's, so that keys which end here are the same.
      const isLonger = this.#keyBytes(order[start] as number) > depth + 4;
      if (end - start > 1 && isLonger) this.#sort(order, start, end, depth + 4);
      start = end;
    }
  }

  #sortFew(order: Uint32Array, from: number, to: number): void {
    for (let index = from + 1; index < to; index++) {
      const entry = order[index] as number;
      let at = index;
      for (; at > from && this.#compare(order[at - 1] as number, entry) > 0; at--) order[at] = order[at - 1] as number;
      order[at] = entry;
    }
  }

  #compare(a: number, b: number): number {
    const left = this.#slabOf(a);
    const right = this.#slabOf(b);
    const leftStart = this.#offsetOf(a);
    const rightStart = this.#offsetOf(b);
    const leftBytes = getUint32(left, leftStart + 4);
    const rightBytes = getUint32(right, rightStart + 4);
    const end = entryHeadBytes + Math.min(leftBytes, rightBytes);
    for (let index = entryHeadBytes; index < end; index++) {
      const order = (left[leftStart + index] as number) - (right[rightStart + index] as number);
      if (order !== 0) return order;
    }
    return leftBytes - rightBytes;
  }

  /** Four bytes of the key as a number; zeros behind its end. */
  #digit(entry: number, depth: number): number {
    const slab = this.#slabOf(entry);
    const start = this.#offsetOf(entry);
    const left = getUint32(slab, start + 4) - depth;
    const at = start + entryHeadBytes + depth;
    const first = left > 0 ? (slab[at] as number) : 0;
    const second = left > 1 ? (slab[at + 1] as number) : 0;
    const third = left > 2 ? (slab[at + 2] as number) : 0;
    const fourth = left > 3 ? (slab[at + 3] as number) : 0;
    return ((first << 24) | (second << 16) | (third << 8) | fourth) >>> 0;
  }

  #keyBytes(entry: number): number {
    return getUint32(this.#slabOf(entry), this.#offsetOf(entry) + 4);
  }

  #slabOf(entry: number): Buffer {
    return this.#slabs[Math.floor((this.#positions[entry] as number) / slabFactor)] as Buffer;
  }

  #offsetOf(entry: number): number {
    return (this.#positions[entry] as number) % slabFactor;
  }
}

const noRoom = Buffer.alloc(0);

function putUint32(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value & 0xff;
  buffer[at + 1] = (value >>> 8) & 0xff;
  buffer[at + 2] = (value >>> 16) & 0xff;
  buffer[at + 3] = value >>> 24;
}

function getUint32(buffer: Buffer, at: number): number {
  const low = (buffer[at] as number) | ((buffer[at + 1] as number) << 8);
  return (low | ((buffer[at + 2] as number) << 16) | ((buffer[at + 3] as number) << 24)) >>> 0;
}
