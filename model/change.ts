import { assert } from '../base/assert.ts';
import { keyBytesMax } from '../base/constants.ts';
import { TidemarkError } from '../base/errors.ts';

/**
 * Changes travel as records packed one after the other in a buffer, from the connector to the log's file and on to the sinks,
 * without being decoded on the way. Integers are little-endian.
 *
 *   0   u32  bytes that follow this field
 *   4   u8   op: 1 create, 2 update, 3 delete, 4 read (a row of a snapshot)
 *   5   u8   flags: 1 has before, 2 has after, 4 before holds the key's columns only (the others are NULL)
 *   6   u16  length of the key
 *   8   u32  schema id (the log's number for one version of one table)
 *   12  u32  length of before (0 when absent)
 *   16  key, before, after: ordered bytes (key.ts) and packed rows (row.ts); after takes what is left
 *
 * A delete always carries `before`, at least with the key's columns, so that the key can be told without decoding its bytes.
 * A table without a key has an empty key.
 */
export const opCreate = 1;
export const opUpdate = 2;
export const opDelete = 3;
export const opRead = 4;
export type Op = typeof opCreate | typeof opUpdate | typeof opDelete | typeof opRead;

export const flagBefore = 1;
export const flagAfter = 2;
export const flagKeyOnly = 4;

export const changeHeaderBytes = 16;

/** One buffer of change records, none of them cut. */
export interface ChangeBatch {
  readonly bytes: Buffer;
  readonly count: number;
}

export const emptyBatch: ChangeBatch = { bytes: Buffer.alloc(0), count: 0 };

/** Reads a batch record by record: its fields describe the current one, and nothing is allocated per record. */
export class ChangeCursor {
  bytes: Buffer = emptyBatch.bytes;
  op: Op = opCreate;
  flags = 0;
  schemaId = 0;
  keyStart = 0;
  keyEnd = 0;
  /** Start of the packed row before the change; meaningful when `hasBefore`. */
  beforeStart = 0;
  beforeEnd = 0;
  /** Start of the packed row after the change; meaningful when `hasAfter`. */
  afterStart = 0;
  afterEnd = 0;
  /** Where the current record begins. */
  start = 0;
  #next = 0;

  /** Goes to the record at `at`, which `next` then reads. */
  reset(bytes: Buffer, at = 0): this {
    this.bytes = bytes;
    this.#next = at;
    return this;
  }

  /** Moves to the next record; false at the end of the batch. INTERNAL for a record that does not fit its batch. */
  next(): boolean {
    const { bytes } = this;
    const at = this.#next;
    if (at >= bytes.length) return false;
    if (at + changeHeaderBytes > bytes.length) this.#damaged(at);
    this.start = at;
    this.#next = at + 4 + bytes.readUInt32LE(at);
    this.op = bytes[at + 4] as Op;
    this.flags = bytes[at + 5] as number;
    this.keyStart = at + changeHeaderBytes;
    this.keyEnd = this.keyStart + ((bytes[at + 6] as number) | ((bytes[at + 7] as number) << 8));
    this.schemaId = bytes.readUInt32LE(at + 8);
    this.beforeStart = this.keyEnd;
    this.beforeEnd = this.keyEnd + bytes.readUInt32LE(at + 12);
    this.afterStart = this.beforeEnd;
    this.afterEnd = this.#next;
    if (this.beforeEnd > this.#next || this.#next > bytes.length || this.op < opCreate || this.op > opRead) {
      this.#damaged(at);
    }
    return true;
  }

  #damaged(at: number): never {
    throw new TidemarkError('INTERNAL', `change record at ${at} is damaged, in a batch of ${this.bytes.length} bytes`);
  }

  get hasBefore(): boolean {
    return (this.flags & flagBefore) !== 0;
  }
  get hasAfter(): boolean {
    return (this.flags & flagAfter) !== 0;
  }
  /** The key's bytes; a view, valid while the batch is. */
  key(): Buffer {
    return this.bytes.subarray(this.keyStart, this.keyEnd);
  }
  /** The whole record; a view, valid while the batch is. */
  record(): Buffer {
    return this.bytes.subarray(this.start, this.#next);
  }
}

/**
 * Builds a batch in place. A record is written between `begin` and `end`; the caller reserves room and writes key and rows
 * straight into `buffer` at `at`, which spares a copy per field.
 */
export class ChangeWriter {
  buffer: Buffer;
  /** Where the next byte goes. */
  at = 0;
  count = 0;
  #start = 0;

  constructor(sizeBytes = 64 * 1024) {
    this.buffer = Buffer.allocUnsafeSlow(sizeBytes);
  }

  /** Bytes written so far. */
  get size(): number {
    return this.at;
  }

  /** Makes room for `bytes` more at `at`. Invalidates references to `buffer`. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }

  /** Starts a record; its key goes at `at` next. */
  begin(op: Op, flags: number, schemaId: number): void {
    this.reserve(changeHeaderBytes);
    this.#start = this.at;
    const { buffer, at } = this;
    buffer[at + 4] = op;
    buffer[at + 5] = flags;
    writeUint32(buffer, schemaId, at + 8);
    writeUint32(buffer, 0, at + 12);
    this.at = at + changeHeaderBytes;
  }

  /** Says that the key ends at `at`; the row before, if any, goes there next. */
  endKey(): void {
    const length = this.at - this.#start - changeHeaderBytes;
    assert(length <= keyBytesMax, `a key of ${length} bytes`);
    this.buffer[this.#start + 6] = length;
    this.buffer[this.#start + 7] = length >>> 8;
  }

  /** Says that the row before ends at `at`; the row after goes there next. Only for records with `flagBefore`. */
  endBefore(): void {
    const start = this.#start;
    const keyLength = (this.buffer[start + 6] as number) | ((this.buffer[start + 7] as number) << 8);
    this.buffer.writeUInt32LE(this.at - start - changeHeaderBytes - keyLength, start + 12);
  }

  /** Completes the record. */
  end(): void {
    assert(this.at <= this.buffer.length, 'a change record was written beyond the room reserved for it');
    writeUint32(this.buffer, this.at - this.#start - 4, this.#start);
    this.count++;
  }

  /** Takes the record ended last out again; a view, valid until the next write. */
  takeBack(): ChangeBatch {
    const bytes = this.buffer.subarray(this.#start, this.at);
    this.at = this.#start;
    this.count--;
    return { bytes, count: 1 };
  }

  /** Forgets the record begun last and not ended. */
  cancel(): void {
    this.at = this.#start;
  }

  /** Appends a record made elsewhere, as it is. */
  copy(record: Buffer): void {
    this.reserve(record.length);
    record.copy(this.buffer, this.at);
    this.at += record.length;
    this.count++;
  }

  /** Appends a record from its parts. For rare records; hot paths write in place. */
  add(change: { op: Op; schemaId: number; key: Buffer; before?: Buffer; after?: Buffer; keyOnly?: boolean }): void {
    const { key, before, after } = change;
    const flags = (before ? flagBefore : 0) | (after ? flagAfter : 0) | (change.keyOnly === true ? flagKeyOnly : 0);
    this.begin(change.op, flags, change.schemaId);
    this.reserve(key.length + (before?.length ?? 0) + (after?.length ?? 0));
    this.at += key.copy(this.buffer, this.at);
    this.endKey();
    if (before) {
      this.at += before.copy(this.buffer, this.at);
      this.endBefore();
    }
    if (after) this.at += after.copy(this.buffer, this.at);
    this.end();
  }

  /** What was written so far; a view, valid until the next write. */
  batch(): ChangeBatch {
    return { bytes: this.buffer.subarray(0, this.at), count: this.count };
  }

  /** Begins anew in the same buffer. */
  reset(): void {
    this.at = 0;
    this.count = 0;
  }
}

/** Little-endian. Buffer's own method checks value and type as well, which costs 10 ns a record. */
function writeUint32(buffer: Buffer, value: number, at: number): void {
  buffer[at] = value;
  buffer[at + 1] = value >>> 8;
  buffer[at + 2] = value >>> 16;
  buffer[at + 3] = value >>> 24;
}
