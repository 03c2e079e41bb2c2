import { TidemarkError } from '../../base/errors.ts';
import { fieldNull, fieldUnchanged } from '../../model/row.ts';
import type { FieldPositions } from '../../model/row.ts';
import { fieldPositions } from '../../model/row.ts';

/**
 * pgoutput, protocol versions 1 to 4
 * (https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html). Integers are big-endian, strings end with
 * a zero byte. Between Stream Start and Stream Stop the messages Relation, Type, Insert, Update, Delete, Truncate and Message
 * carry, right after their type byte, the xid of the (sub-)transaction that made them.
 */
export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typeModifier: number;
  /** Part of the replica identity. */
  readonly identity: boolean;
}

export interface RelationMessage {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `d` default, `n` nothing, `f` full, `i` index. */
  readonly replicaIdentity: string;
  readonly columns: readonly RelationColumn[];
}

/** What a row change refers to: offsets into `PgoutputReader.buffer`. */
export type OldTuple = 'none' | 'key' | 'full';

/** Receives the messages in order. A promise holds the stream back until it settles. */
export interface PgoutputHandler {
  begin(xid: number, finalLsn: bigint, commitTimeMs: number): void;
  commit(commitLsn: bigint, endLsn: bigint, commitTimeMs: number): Promise<void> | undefined;
  relation(relation: RelationMessage): Promise<void> | undefined;
  /** The row is in `reader.newTuple`. */
  insert(relationOid: number, reader: PgoutputReader): Promise<void> | undefined;
  /** The rows are in `reader.newTuple` and, unless `old` is `none`, `reader.oldTuple`. */
  update(relationOid: number, old: OldTuple, reader: PgoutputReader): Promise<void> | undefined;
  /** The row is in `reader.oldTuple`. */
  delete(relationOid: number, old: OldTuple, reader: PgoutputReader): Promise<void> | undefined;
  truncate(relationOids: readonly number[]): Promise<void> | undefined;
  streamStart(xid: number): void;
  /** A message of a transaction in progress, `buffer[start..end)` without its xid, for later; `xid` is the sub-transaction's. */
  streamed(xid: number, type: number, buffer: Buffer, start: number, end: number): Promise<void> | undefined;
  streamStop(): void;
  streamCommit(xid: number, commitLsn: bigint, endLsn: bigint, commitTimeMs: number): Promise<void> | undefined;
  /** `subXid` equals `xid` when the whole transaction is gone. */
  streamAbort(xid: number, subXid: number): Promise<void> | undefined;
}

/** PostgreSQL's own limit (MaxTupleAttributeNumber). */
const columnsMax = 1664;
/** Milliseconds from 1970-01-01 to PostgreSQL's epoch, 2000-01-01. */
const epochMs = 946_684_800_000;

const type = {
  begin: 0x42,
  commit: 0x43,
  origin: 0x4f,
  relation: 0x52,
  type: 0x59,
  insert: 0x49,
  update: 0x55,
  delete: 0x44,
  truncate: 0x54,
  message: 0x4d,
  streamStart: 0x53,
  streamStop: 0x45,
  streamCommit: 0x63,
  streamAbort: 0x41,
} as const;

export class PgoutputReader {
  /** The buffer that the tuples' positions refer to. */
  buffer: Buffer = Buffer.alloc(0);
  readonly newTuple: FieldPositions = fieldPositions(columnsMax);
  readonly oldTuple: FieldPositions = fieldPositions(columnsMax);
  /** Columns in the tuple read last. */
  newColumns = 0;
  oldColumns = 0;
  readonly #handler: PgoutputHandler;
  #streaming = false;
  #end = 0;

  constructor(handler: PgoutputHandler) {
    this.#handler = handler;
  }

  /** Forgets a stream block that a broken connection left open. */
  reset(): void {
    this.#streaming = false;
  }

  /** Reads one message. SOURCE_PROTOCOL when it is not one; what the handler throws goes through. */
  read(buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    this.buffer = buffer;
    this.#end = end;
    return this.#streaming ? this.#readStreamed(start) : this.readChange(buffer, start, end);
  }

  #readStreamed(start: number): Promise<void> | undefined {
    const { buffer } = this;
    const tag = this.#u8(start);
    if (tag === type.streamStop) {
      this.#streaming = false;
      this.#handler.streamStop();
      return undefined;
    }
    switch (tag) {
      case type.origin:
        return undefined;
      case type.relation:
      case type.type:
      case type.insert:
      case type.update:
      case type.delete:
      case type.truncate:
      case type.message:
        return this.#handler.streamed(this.#u32(start + 1), tag, buffer, start + 5, this.#end);
      default:
        throw malformed(`message ${describe(tag)} inside a streamed transaction`);
    }
  }

  /** Reads one message outside a stream block, or one that was kept from such a block (its xid taken out). */
  readChange(buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    this.buffer = buffer;
    this.#end = end;
    const tag = this.#u8(start);
    const at = start + 1;
    switch (tag) {
      case type.insert: {
        if (this.#u8(at + 4) !== 0x4e) throw malformed('an insert without its new row');
        this.#newTuple(at + 5);
        return this.#handler.insert(this.#u32(at), this);
      }
      case type.update:
        return this.#update(at);
      case type.delete: {
        const old = oldTupleOf(this.#u8(at + 4));
        this.#oldTuple(at + 5);
        return this.#handler.delete(this.#u32(at), old, this);
      }
      case type.begin:
        this.#handler.begin(this.#u32(at + 16), this.#u64(at), this.#time(at + 8));
        return undefined;
      case type.commit:
        return this.#handler.commit(this.#u64(at + 1), this.#u64(at + 9), this.#time(at + 17));
      case type.relation:
        return this.#handler.relation(this.#relation(at));
      case type.truncate:
        return this.#truncate(at);
      case type.type:
      case type.origin:
      case type.message:
        return undefined;
      case type.streamStart:
      case type.streamCommit:
      case type.streamAbort:
        return this.#stream(tag, at);
      default:
        throw malformed(`unknown message ${describe(tag)}`);
    }
  }

  #stream(tag: number, at: number): Promise<void> | undefined {
    if (tag === type.streamStart) {
      this.#streaming = true;
      this.#handler.streamStart(this.#u32(at));
      return undefined;
    }
    if (tag === type.streamAbort) return this.#handler.streamAbort(this.#u32(at), this.#u32(at + 4));
    return this.#handler.streamCommit(this.#u32(at), this.#u64(at + 5), this.#u64(at + 13), this.#time(at + 21));
  }

  #update(at: number): Promise<void> | undefined {
    let next = at + 4;
    let old: OldTuple = 'none';
    let kind = this.#u8(next);
    if (kind !== 0x4e /* N */) {
      old = oldTupleOf(kind);
      next = this.#oldTuple(next + 1);
      kind = this.#u8(next);
    }
    if (kind !== 0x4e) throw malformed('an update without its new row');
    this.#newTuple(next + 1);
    return this.#handler.update(this.#u32(at), old, this);
  }

  #truncate(at: number): Promise<void> | undefined {
    const count = this.#u32(at);
    this.#u8(at + 4);
    if (count > (this.#end - at) / 4) throw malformed(`a truncate of ${count} tables`);
    const oids = Array.from({ length: count }, (_, index) => this.#u32(at + 5 + 4 * index));
    return this.#handler.truncate(oids);
  }

  #relation(start: number): RelationMessage {
    const oid = this.#u32(start);
    let at = start + 4;
    const text = (): string => {
      const zero = this.buffer.indexOf(0, at);
      if (zero < 0 || zero >= this.#end) throw malformed('a relation message is cut short');
      const value = this.buffer.toString('utf8', at, zero);
      at = zero + 1;
      return value;
    };
    const schema = text() || 'pg_catalog';
    const name = text();
    const replicaIdentity = String.fromCharCode(this.#u8(at));
    const count = this.#u16(at + 1);
    if (count > columnsMax) throw malformed(`a table of ${count} columns`);
    at += 3;
    const columns: RelationColumn[] = [];
    for (let index = 0; index < count; index++) {
      const identity = (this.#u8(at++) & 1) !== 0;
      const column = text();
      columns.push({ name: column, typeOid: this.#u32(at), typeModifier: this.#u32(at + 4) | 0, identity });
      at += 8;
    }
    return { oid, schema, name, replicaIdentity, columns };
  }

  #newTuple(at: number): number {
    this.newColumns = this.#u16(at);
    return this.#tuple(at + 2, this.newColumns, this.newTuple);
  }

  #oldTuple(at: number): number {
    this.oldColumns = this.#u16(at);
    return this.#tuple(at + 2, this.oldColumns, this.oldTuple);
  }

  /** TupleData: for each column `n` NULL, `u` unchanged TOAST, `t` text or `b` binary with four bytes of length. */
  #tuple(start: number, columns: number, into: FieldPositions): number {
    if (columns > columnsMax) throw malformed(`a row of ${columns} columns`);
    const { buffer } = this;
    let at = start;
    for (let column = 0; column < columns; column++) {
      const kind = buffer[at++];
      if (kind === 0x74 /* t */) {
        const from = at + 4;
        at = from + this.#u32(at);
        if (at > this.#end) throw malformed('a row runs past its message');
        into.start[column] = from;
        into.end[column] = at;
      } else if (kind === 0x6e /* n */) {
        into.end[column] = fieldNull;
      } else if (kind === 0x75 /* u */) {
        into.end[column] = fieldUnchanged;
      } else {
        throw malformed(`a column of unknown kind ${describe(kind)}`);
      }
    }
    // Columns without a value are a byte each, and were not held against the end one by one.
    if (at > this.#end) throw malformed('a row runs past its message');
    return at;
  }

  #u8(at: number): number {
    const byte = this.buffer[at];
    if (at >= this.#end || byte === undefined) throw malformed('a message is cut short');
    return byte;
  }

  #u16(at: number): number {
    if (at + 2 > this.#end) throw malformed('a message is cut short');
    return this.buffer.readUInt16BE(at);
  }

  #u32(at: number): number {
    if (at + 4 > this.#end) throw malformed('a message is cut short');
    return this.buffer.readUInt32BE(at);
  }

  #u64(at: number): bigint {
    if (at + 8 > this.#end) throw malformed('a message is cut short');
    return this.buffer.readBigUInt64BE(at);
  }

  /** A timestamp in milliseconds since 1970. */
  #time(at: number): number {
    if (at + 8 > this.#end) throw malformed('a message is cut short');
    const microseconds = this.buffer.readInt32BE(at) * 0x1_0000_0000 + this.buffer.readUInt32BE(at + 4);
    return epochMs + Math.floor(microseconds / 1000);
  }
}

function oldTupleOf(tag: number | undefined): OldTuple {
  if (tag === 0x4b /* K */) return 'key';
  if (tag === 0x4f /* O */) return 'full';
  throw malformed(`an old row of unknown kind ${describe(tag)}`);
}

function describe(tag: number | undefined): string {
  return tag === undefined
    ? '(nothing)'
    : tag > 0x20 && tag < 0x7f
      ? `'${String.fromCharCode(tag)}'`
      : `0x${tag.toString(16)}`;
}

function malformed(what: string, cause?: unknown): TidemarkError {
  return new TidemarkError('SOURCE_PROTOCOL', `the replication stream cannot be read: ${what}`, {
    hint: 'Report this with the version of the server; the slot keeps the changes.',
    ...(cause === undefined ? {} : { cause }),
  });
}
