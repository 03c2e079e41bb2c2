import { freeBuffer } from '../../base/free-buffer.ts';
import type { ChangeCursor } from '../../model/change.ts';
import { changeHeaderBytes, flagAfter, opDelete, opRead } from '../../model/change.ts';

/** Bytes of a key that `keyPrefix` packs into a number. */
const prefixBytes = 6;

/**
 * A sequence of change records sorted by (topic number, key). Of records with the same key the newest comes first and is the
 * only one that counts; records with an empty key (of tables without one) all count, oldest first.
 * The fields describe the current record.
 */
export interface SortedSource {
  bytes: Buffer;
  start: number;
  end: number;
  topic: number;
  seq: number;
  /** The key's first bytes as a number, which decides most comparisons. */
  prefix: number;
  /** Sources with a higher age hold newer records. */
  readonly age: number;
  /** Moves to the next record if it is in memory. */
  next(): boolean;
  /** Brings more into memory; false at the end. */
  fill(): Promise<boolean>;
}

export function keyBytesOf(bytes: Buffer, start: number): number {
  return (bytes[start + 6] as number) | ((bytes[start + 7] as number) << 8);
}

/** The first six bytes of a key, big-endian, zeros behind a shorter one. */
export function keyPrefix(bytes: Buffer, start: number): number {
  const length = keyBytesOf(bytes, start);
  const at = start + changeHeaderBytes;
  if (length >= prefixBytes) return bytes.readUIntBE(at, prefixBytes);
  let prefix = 0;
  for (let index = 0; index < prefixBytes; index++) {
    prefix = prefix * 256 + (index < length ? (bytes[at + index] as number) : 0);
  }
  return prefix;
}

/** Order of two records of one topic whose prefixes are equal. */
export function compareKeys(a: Buffer, aStart: number, b: Buffer, bStart: number): number {
  const aKey = aStart + changeHeaderBytes;
  const bKey = bStart + changeHeaderBytes;
  return a.compare(b, bKey, bKey + keyBytesOf(b, bStart), aKey, aKey + keyBytesOf(a, aStart));
}

/** Room for records of several topics, to be sorted in memory. */
export class Arena implements SortedSource {
  readonly age: number;
  bytes: Buffer;
  start = 0;
  end = 0;
  topic = 0;
  seq = 0;
  prefix = 0;
  count = 0;
  #at = 0;
  #place = 0;
  readonly #offsets: Uint32Array;
  readonly #topics: Uint32Array;
  readonly #seqs: Float64Array;
  readonly #prefixes: Float64Array;
  readonly #order: Uint32Array;

  constructor(age: number, sizeBytes: number) {
    const records = Math.ceil(sizeBytes / 64);
    this.age = age;
    this.bytes = Buffer.allocUnsafeSlow(sizeBytes);
    this.#offsets = new Uint32Array(records);
    this.#topics = new Uint32Array(records);
    this.#seqs = new Float64Array(records);
    this.#prefixes = new Float64Array(records);
    this.#order = new Uint32Array(records);
  }

  reset(): void {
    this.count = 0;
    this.#at = 0;
  }

  /** Of no more use afterwards. */
  free(): void {
    this.count = 0;
    for (const array of [this.bytes, this.#offsets, this.#topics, this.#seqs, this.#prefixes, this.#order]) {
      freeBuffer(array);
    }
  }

  /** Adds the cursor's record: with a key, only what a compacted topic keeps of it. False when there is no room. */
  add(cursor: ChangeCursor, seq: number, topic: number): boolean {
    const { count } = this;
    const size = cursor.afterEnd - cursor.start;
    if (count === this.#offsets.length) return false;
    if (this.#at + size > this.bytes.length) {
      if (count > 0) return false;
      this.bytes = Buffer.allocUnsafeSlow(size);
      this.#at = 0;
    }
    const start = this.#at;
    this.#at += copyCompact(cursor, this.bytes, start);
    this.#offsets[count] = start;
    this.#topics[count] = topic;
    this.#seqs[count] = seq;
    this.#prefixes[count] = keyPrefix(this.bytes, start);
    this.count = count + 1;
    return true;
  }

  /** Sorts what was added; reading begins at the first record. */
  sort(): void {
    for (let index = 0; index < this.count; index++) this.#order[index] = index;
    this.#order.subarray(0, this.count).sort((a, b) => this.#compare(a, b));
    this.#place = 0;
  }

  next(): boolean {
    if (this.#place === this.count) return false;
    const record = this.#order[this.#place++] as number;
    this.start = this.#offsets[record] as number;
    this.end = this.start + 4 + this.bytes.readUInt32LE(this.start);
    this.topic = this.#topics[record] as number;
    this.seq = this.#seqs[record] as number;
    this.prefix = this.#prefixes[record] as number;
    return true;
  }

  async fill(): Promise<boolean> {
    return false;
  }

  #compare(a: number, b: number): number {
    const topics = (this.#topics[a] as number) - (this.#topics[b] as number);
    if (topics !== 0) return topics;
    const prefixes = (this.#prefixes[a] as number) - (this.#prefixes[b] as number);
    if (prefixes !== 0) return prefixes;
    const aStart = this.#offsets[a] as number;
    const keys = compareKeys(this.bytes, aStart, this.bytes, this.#offsets[b] as number);
    if (keys !== 0) return keys;
    return keyBytesOf(this.bytes, aStart) === 0 ? a - b : b - a;
  }
}

/** Copies a record; one with a key and a row after becomes a read without the row before. Returns its bytes. */
function copyCompact(cursor: ChangeCursor, into: Buffer, at: number): number {
  const { bytes, start, keyStart, keyEnd, beforeEnd, afterEnd } = cursor;
  if (keyStart === keyEnd || cursor.op === opDelete) return bytes.copy(into, at, start, afterEnd);
  let end = at + bytes.copy(into, at, start, keyEnd);
  end += bytes.copy(into, end, beforeEnd, afterEnd);
  into.writeUInt32LE(end - at - 4, at);
  into[at + 4] = opRead;
  into[at + 5] = flagAfter;
  into.writeUInt32LE(0, at + 12);
  return end - at;
}
