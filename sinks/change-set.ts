import type { ChangeCursor } from '../model/change.ts';
import { changeHeaderBytes } from '../model/change.ts';

/**
 * Changes of one topic on their way to a target: references into the batches that the log gave, with the number of each one's
 * transaction. Folding keeps the newest change of each key, at the place of its first, in an open-addressing table over the key's
 * bytes: no string and no object per change (benchmarks/sinks-sqlite.ts). Valid while those batches are.
 */
export class ChangeSet {
  readonly topic: string;
  count = 0;
  /** Schema id of the newest row: the last one's, or the highest where rows come in no order. 0 when there is none. */
  schemaId = 0;
  /** Schema id of the last delete, which may quote a row under an older version of its table. 0 when there is none. */
  deleteSchemaId = 0;
  /** Changes seen since `resetCounts`, before folding. */
  upserts = 0;
  deletes = 0;
  /** Changes seen since `clear`, before folding. */
  seen = 0;
  #buffers: Buffer[] = [];
  #buffer = new Int32Array(256);
  #offset = new Float64Array(256);
  #seq = new Float64Array(256);
  /** Index + 1 of the change at a hash; 0 is free. Twice as many as changes at least. */
  #slots = new Int32Array(512);
  /** Changes that were added without being folded have no slot, so that later ones cannot be folded with them. */
  #hashed = 0;

  constructor(topic: string) {
    this.topic = topic;
  }

  /**
   * Adds the cursor's record. With `fold`, it takes the place of an earlier change of the same key. `ordered` says that records come
   * in the order of their commits, and not as a net transaction's do.
   */
  add(cursor: ChangeCursor, seq: number, fold: boolean, ordered: boolean): void {
    const { schemaId } = cursor;
    this.seen++;
    if (cursor.hasAfter) {
      this.upserts++;
      if (schemaId !== this.schemaId && (ordered || schemaId > this.schemaId)) this.schemaId = schemaId;
    } else {
      this.deletes++;
      this.deleteSchemaId = schemaId;
    }
    if (this.#buffers.at(-1) !== cursor.bytes) this.#buffers.push(cursor.bytes);
    let index = this.count;
    if (fold && cursor.keyEnd > cursor.keyStart) {
      this.#hashEarlier();
      const slot = this.#find(cursor.bytes, cursor.keyStart, cursor.keyEnd);
      const held = this.#slots[slot] as number;
      if (held > 0) index = held - 1;
      else this.#slots[slot] = index + 1;
    }
    if (index === this.count) {
      this.count++;
      if (fold) this.#hashed = this.count;
      if (this.count === this.#buffer.length) this.#grow();
    }
    this.#buffer[index] = this.#buffers.length - 1;
    this.#offset[index] = cursor.start;
    this.#seq[index] = seq;
  }

  /** Moves the cursor to the change `index`. */
  locate(index: number, cursor: ChangeCursor): void {
    cursor.reset(this.#buffers[this.#buffer[index] as number] as Buffer, this.#offset[index]);
    cursor.next();
  }

  /** Number of the transaction of the change `index`. */
  seqAt(index: number): number {
    return this.#seq[index] as number;
  }

  clear(): void {
    if (this.#hashed > 0) this.#slots.fill(0);
    this.count = 0;
    this.seen = 0;
    this.#hashed = 0;
    this.schemaId = 0;
    this.deleteSchemaId = 0;
    this.#buffers = [];
  }

  resetCounts(): void {
    this.upserts = 0;
    this.deletes = 0;
  }

  /** Gives slots to changes that were added without folding, before the first one that is folded. */
  #hashEarlier(): void {
    for (; this.#hashed < this.count; this.#hashed++) this.#place(this.#hashed);
  }

  #place(index: number): void {
    const bytes = this.#buffers[this.#buffer[index] as number] as Buffer;
    const at = this.#offset[index] as number;
    const start = at + changeHeaderBytes;
    const end = start + bytes.readUInt16LE(at + 6);
    if (end > start) this.#slots[this.#find(bytes, start, end)] = index + 1;
  }

  /** The slot that holds the key, or the free one where it goes. */
  #find(bytes: Buffer, start: number, end: number): number {
    let hash = 0x811c9dc5; // FNV-1a
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
    const mask = this.#slots.length - 1;
    let slot = (hash ^ (hash >>> 15)) & mask;
    for (let held = this.#slots[slot] as number; held > 0; held = this.#slots[slot] as number) {
      if (this.#hasKey(held - 1, bytes, start, end)) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #hasKey(index: number, bytes: Buffer, start: number, end: number): boolean {
    const other = this.#buffers[this.#buffer[index] as number] as Buffer;
    const at = this.#offset[index] as number;
    if (other.readUInt16LE(at + 6) !== end - start) return false;
    const shift = at + changeHeaderBytes - start;
    for (let position = start; position < end; position++) {
      if (bytes[position] !== other[position + shift]) return false;
    }
    return true;
  }

  #grow(): void {
    const size = this.#buffer.length * 2;
    const buffer = new Int32Array(size);
    const offset = new Float64Array(size);
    const seq = new Float64Array(size);
    buffer.set(this.#buffer);
    offset.set(this.#offset);
    seq.set(this.#seq);
    this.#buffer = buffer;
    this.#offset = offset;
    this.#seq = seq;
    this.#slots = new Int32Array(size * 2);
    const hashed = this.#hashed;
    for (let index = 0; index < hashed; index++) this.#place(index);
  }
}
