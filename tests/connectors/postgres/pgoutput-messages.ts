import { isTidemarkError } from '../../../base/errors.ts';
import { PgoutputReader } from '../../../connectors/postgres/pgoutput.ts';
import type { OldTuple, PgoutputHandler, RelationMessage } from '../../../connectors/postgres/pgoutput.ts';
import { fieldNull, fieldUnchanged } from '../../../model/row.ts';
import type { FieldPositions } from '../../../model/row.ts';

/** A column of a tuple: its text, NULL, or `unchanged` for a value stored out of line that the server left out. */
export type Field = string | null | typeof unchanged;
export const unchanged: unique symbol = Symbol('unchanged');

/** What a reader told its handler, as plain data. */
export type Told =
  | { readonly what: 'begin'; readonly xid: number; readonly lsn: bigint; readonly timeMs: number }
  | { readonly what: 'commit'; readonly lsn: bigint; readonly endLsn: bigint; readonly timeMs: number }
  | { readonly what: 'relation'; readonly relation: RelationMessage }
  | { readonly what: 'insert'; readonly oid: number; readonly row: readonly Field[] }
  | {
      readonly what: 'update';
      readonly oid: number;
      readonly old: OldTuple;
      readonly before: readonly Field[] | null;
      readonly row: readonly Field[];
    }
  | { readonly what: 'delete'; readonly oid: number; readonly old: OldTuple; readonly before: readonly Field[] }
  | { readonly what: 'truncate'; readonly oids: readonly number[] }
  | { readonly what: 'streamStart'; readonly xid: number }
  | { readonly what: 'streamed'; readonly xid: number; readonly message: string }
  | { readonly what: 'streamStop' }
  | {
      readonly what: 'streamCommit';
      readonly xid: number;
      readonly lsn: bigint;
      readonly endLsn: bigint;
      readonly timeMs: number;
    }
  | { readonly what: 'streamAbort'; readonly xid: number; readonly subXid: number };

/** Writes down what a reader tells; a tuple's columns must lie within the message being read. */
export class Recorder implements PgoutputHandler {
  readonly told: Told[] = [];
  /** Bounds of the message being read. */
  start = 0;
  end = 0;

  begin(xid: number, lsn: bigint, timeMs: number): void {
    this.told.push({ what: 'begin', xid, lsn, timeMs });
  }
  commit(lsn: bigint, endLsn: bigint, timeMs: number): undefined {
    this.told.push({ what: 'commit', lsn, endLsn, timeMs });
  }
  relation(relation: RelationMessage): undefined {
    this.told.push({ what: 'relation', relation });
  }
  insert(oid: number, reader: PgoutputReader): undefined {
    this.told.push({ what: 'insert', oid, row: this.#row(reader.buffer, reader.newTuple, reader.newColumns) });
  }
  update(oid: number, old: OldTuple, reader: PgoutputReader): undefined {
    const before = old === 'none' ? null : this.#row(reader.buffer, reader.oldTuple, reader.oldColumns);
    const row = this.#row(reader.buffer, reader.newTuple, reader.newColumns);
    this.told.push({ what: 'update', oid, old, before, row });
  }
  delete(oid: number, old: OldTuple, reader: PgoutputReader): undefined {
    const before = this.#row(reader.buffer, reader.oldTuple, reader.oldColumns);
    this.told.push({ what: 'delete', oid, old, before });
  }
  truncate(oids: readonly number[]): undefined {
    this.told.push({ what: 'truncate', oids });
  }
  streamStart(xid: number): void {
    this.told.push({ what: 'streamStart', xid });
  }
  streamed(xid: number, type: number, buffer: Buffer, start: number, end: number): undefined {
    this.#within(start, end);
    const message = Buffer.concat([Buffer.from([type]), buffer.subarray(start, end)]).toString('latin1');
    this.told.push({ what: 'streamed', xid, message });
  }
  streamStop(): void {
    this.told.push({ what: 'streamStop' });
  }
  streamCommit(xid: number, lsn: bigint, endLsn: bigint, timeMs: number): undefined {
    this.told.push({ what: 'streamCommit', xid, lsn, endLsn, timeMs });
  }
  streamAbort(xid: number, subXid: number): undefined {
    this.told.push({ what: 'streamAbort', xid, subXid });
  }

  #row(buffer: Buffer, { start, end }: FieldPositions, columns: number): Field[] {
    return Array.from({ length: columns }, (_, column) => {
      const to = end[column] ?? 0;
      if (to === fieldNull) return null;
      if (to === fieldUnchanged) return unchanged;
      const from = start[column] ?? 0;
      this.#within(from, to);
      return buffer.toString('latin1', from, to);
    });
  }

  #within(from: number, to: number): void {
    if (from < this.start || to > this.end || from > to) {
      throw new Error(`bytes ${from}..${to} are not within the message ${this.start}..${this.end}`);
    }
  }
}

/** Reads messages one by one as the stream brings them, each in the middle of a buffer whose other bytes are `filler`. */
export function readAll(messages: readonly Buffer[], filler = 0): Told[] {
  const recorder = new Recorder();
  const reader = new PgoutputReader(recorder);
  for (const message of messages) readOne(reader, recorder, message, filler);
  return recorder.told;
}

/** Reads one message from the middle of a larger buffer; what lies around it must make no difference. */
export function readOne(reader: PgoutputReader, recorder: Recorder, message: Buffer, filler: number): void {
  const around = 40;
  const buffer = Buffer.alloc(message.length + 2 * around, filler);
  message.copy(buffer, around);
  recorder.start = around;
  recorder.end = around + message.length;
  void reader.read(buffer, recorder.start, recorder.end);
}

/** What one message means, or the code of the error that it is answered with; any other error is thrown on. */
export function outcome(bytes: Buffer, filler: number, streaming: boolean): Told[] | string {
  const recorder = new Recorder();
  const reader = new PgoutputReader(recorder);
  try {
    if (streaming) readOne(reader, recorder, encode.streamStart(1), filler);
    readOne(reader, recorder, bytes, filler);
    return recorder.told;
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return error.code;
  }
}

/** Milliseconds from 1970-01-01 to 2000-01-01, PostgreSQL's epoch. */
const epochMs = 946_684_800_000;

/** pgoutput's encoder (proto.c), the other way round from the reader, written from the documentation of the formats. */
export const encode = {
  begin: (xid: number, lsn: bigint, timeMs: number): Buffer => parts('B', u64(lsn), time(timeMs), u32(xid)),
  commit: (lsn: bigint, endLsn: bigint, timeMs: number): Buffer =>
    parts('C', Buffer.from([0]), u64(lsn), u64(endLsn), time(timeMs)),
  relation: (relation: RelationMessage): Buffer =>
    parts(
      'R',
      u32(relation.oid),
      text(relation.schema === 'pg_catalog' ? '' : relation.schema),
      text(relation.name),
      Buffer.from(relation.replicaIdentity, 'latin1'),
      u16(relation.columns.length),
      ...relation.columns.flatMap((column) => [
        Buffer.from([column.identity ? 1 : 0]),
        text(column.name),
        u32(column.typeOid),
        i32(column.typeModifier),
      ]),
    ),
  insert: (oid: number, row: readonly Field[]): Buffer => parts('I', u32(oid), Buffer.from('N'), tuple(row)),
  update: (oid: number, old: OldTuple, before: readonly Field[] | null, row: readonly Field[]): Buffer =>
    parts(
      'U',
      u32(oid),
      ...(before === null ? [] : [Buffer.from(old === 'key' ? 'K' : 'O'), tuple(before)]),
      Buffer.from('N'),
      tuple(row),
    ),
  delete: (oid: number, old: OldTuple, before: readonly Field[]): Buffer =>
    parts('D', u32(oid), Buffer.from(old === 'key' ? 'K' : 'O'), tuple(before)),
  truncate: (oids: readonly number[], flags = 0): Buffer =>
    parts('T', u32(oids.length), Buffer.from([flags]), ...oids.map(u32)),
  streamStart: (xid: number): Buffer => parts('S', u32(xid), Buffer.from([1])),
  streamStop: (): Buffer => Buffer.from('E'),
  /** A message as it stands inside a stream block: with the xid of its (sub-)transaction after its type. */
  streamed: (xid: number, message: Buffer): Buffer =>
    Buffer.concat([message.subarray(0, 1), u32(xid), message.subarray(1)]),
  streamCommit: (xid: number, lsn: bigint, endLsn: bigint, timeMs: number): Buffer =>
    parts('c', u32(xid), Buffer.from([0]), u64(lsn), u64(endLsn), time(timeMs)),
  /** With `parallel` (protocol 4) position and time of the abort follow. */
  streamAbort: (xid: number, subXid: number, parallel: boolean): Buffer =>
    parts('A', u32(xid), u32(subXid), ...(parallel ? [u64(77n), time(epochMs)] : [])),
};

function parts(type: string, ...rest: Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(type), ...rest]);
}

function tuple(row: readonly Field[]): Buffer {
  const columns = row.flatMap((field) => {
    if (field === null) return [Buffer.from('n')];
    if (field === unchanged) return [Buffer.from('u')];
    const bytes = Buffer.from(field, 'latin1');
    return [Buffer.from('t'), u32(bytes.length), bytes];
  });
  return Buffer.concat([u16(row.length), ...columns]);
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

function time(ms: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigInt64BE(BigInt(ms - epochMs) * 1000n);
  return buffer;
}

function u16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
}

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

function i32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
}

function u64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(value);
  return buffer;
}
