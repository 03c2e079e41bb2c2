import { assert } from '../base/assert.ts';
import { flagKeyOnly, opCreate, opDelete, opUpdate } from './change.ts';
import type { ChangeCursor, Op } from './change.ts';
import { keyJsonEncoder, rowJsonEncoder } from './json.ts';
import type { RowJsonEncoder } from './json.ts';
import type { ByteWriter } from './json-writer.ts';
import type { Piece } from './log.ts';
import { parseLsn, shownPosition } from './position.ts';
import type { Table } from './table.ts';

/**
 * Change events as JSON, with the fields of Debezium's envelope, in this order:
 *
 *   {"before":{…}|null,"after":{…}|null,
 *    "source":{"version","connector","name","ts_ms","snapshot":"true"|"false","db","schema","table","txId","lsn"},
 *    "op":"c"|"u"|"d"|"r","ts_ms",
 *    "transaction":{"id","total_order","data_collection_order"}|null,
 *    "seq","position"}
 *
 * `before` has the key's columns alone when the database sent no more. `source.ts_ms` is the commit's time, `ts_ms` the time at
 * which the event was made. `lsn` is the commit's position as a number, as Debezium gives it; other databases' positions are in
 * `position` alone. `transaction` counts from 1 over all tables and within the table; it is null for rows of a snapshot and for
 * net changes, which are no transaction of the database's. `txId` is a number where the database's is, null where there is none.
 * The `position` of a view over several sources is an object of theirs.
 */
export interface EventOrigin {
  /** Version of the program. */
  readonly version: string;
  /** Type of the source: `postgres`. */
  readonly connector: string;
  /** Name of the source in the configuration. */
  readonly name: string;
  readonly database: string;
}

/**
 * Writes the events of one stream, transaction after transaction. Every change goes through `value` or `skip`, in order, so that
 * the counts of `transaction` are right. A value that has no JSON is written as its text: a topic is not where a row may get stuck.
 */
export class EventEncoder {
  readonly #origin: EventOrigin;
  readonly #singleLine: boolean;
  readonly #tables = new Map<number, TableEvents>();
  /** Changes per topic in the transaction under way. */
  readonly #counts = new Map<string, { count: number }>();
  #total = 0;
  /** Counts pieces, so that a table's shared bytes are made anew for each. */
  #generation = 0;
  #isTransaction = false;
  #sourceHead = '';
  #sourceTail = '';
  /** What follows the op, up to the counts (or up to `seq`, where there are none). */
  #middle: Buffer = Buffer.alloc(0);
  #end: Buffer = Buffer.alloc(0);

  /** With `singleLine`, no event holds a line end. */
  constructor(origin: EventOrigin, options: { readonly singleLine?: boolean } = {}) {
    this.#origin = origin;
    this.#singleLine = options.singleLine ?? false;
  }

  /** Turns to a piece, whose changes come next. `nowMs`: milliseconds since 1970. */
  begin(piece: PieceInfo, nowMs: number): void {
    if (piece.first) {
      this.#total = 0;
      this.#counts.clear();
    }
    this.#generation++;
    const { version, connector, name, database } = this.#origin;
    const lsn = connector === 'postgres' ? parseLsn(piece.position).toString() : null;
    this.#sourceHead =
      `,"source":{"version":${JSON.stringify(version)},"connector":${JSON.stringify(connector)}` +
      `,"name":${JSON.stringify(name)},"ts_ms":${piece.commitTimeMs},"snapshot":"${piece.snapshot}"` +
      `,"db":${JSON.stringify(database)}`;
    this.#sourceTail = `,"txId":${numberOrText(piece.txId)}${lsn === null ? '' : `,"lsn":${lsn}`}},"op":"`;
    this.#isTransaction = piece.kind === 'transaction' && !piece.snapshot;
    const position = shownPosition(piece.position);
    // What several sources have come to is no name for a step of views; its number is.
    const id = JSON.stringify(`${piece.txId}:${lsn ?? (typeof position === 'string' ? position : piece.seq)}`);
    const transaction = this.#isTransaction ? `{"id":${id},"total_order":` : 'null';
    this.#middle = Buffer.from(`","ts_ms":${nowMs},"transaction":${transaction}`);
    this.#end = Buffer.from(`,"seq":${piece.seq},"position":${JSON.stringify(position)}}`);
  }

  /** Appends the key of the cursor's change: an object of the key's columns, `null` for a table without a key. */
  key(change: ChangeCursor, table: Table, into: ByteWriter): void {
    const { key } = this.#events(change.schemaId, table);
    if (key === null) into.raw(textNull);
    else key.write(change.bytes, change.hasAfter ? change.afterStart : change.beforeStart, into);
  }

  /** Appends the event of the cursor's change. */
  value(change: ChangeCursor, table: Table, into: ByteWriter): void {
    assert(this.#generation > 0, 'an event before its piece');
    const events = this.#events(change.schemaId, table);
    if (events.generation !== this.#generation) this.#share(events, table);
    into.raw(textBefore);
    if (!change.hasBefore) into.raw(textNull);
    else {
      const keyOnly = (change.flags & flagKeyOnly) !== 0;
      const encoder = keyOnly && events.key !== null ? events.key : events.row;
      encoder.write(change.bytes, change.beforeStart, into);
    }
    into.raw(textAfter);
    if (change.hasAfter) events.row.write(change.bytes, change.afterStart, into);
    else into.raw(textNull);
    into.raw(events.source);
    into.reserve(1);
    into.buffer[into.at++] = opLetter(change.op);
    into.raw(this.#middle);
    if (this.#isTransaction) {
      into.decimal(++this.#total);
      into.raw(textOrder);
      into.decimal(++events.counter.count);
      into.raw(textClose);
    }
    into.raw(this.#end);
  }

  /** Counts a change whose event nobody wants. */
  skip(change: ChangeCursor, table: Table): void {
    const events = this.#events(change.schemaId, table);
    if (events.generation !== this.#generation) this.#share(events, table);
    this.#total++;
    events.counter.count++;
  }

  #events(schemaId: number, table: Table): TableEvents {
    let events = this.#tables.get(schemaId);
    if (events === undefined) {
      const options = { singleLine: this.#singleLine, poison: 'text' } as const;
      events = {
        row: rowJsonEncoder(table, options),
        key: table.key.length === 0 ? null : keyJsonEncoder(table, options),
        generation: 0,
        source: Buffer.alloc(0),
        counter: { count: 0 },
      };
      this.#tables.set(schemaId, events);
    }
    return events;
  }

  #share(events: TableEvents, table: Table): void {
    const { schema, name, topic } = table;
    events.generation = this.#generation;
    events.source = Buffer.from(
      `${this.#sourceHead},"schema":${JSON.stringify(schema)},"table":${JSON.stringify(name)}${this.#sourceTail}`,
    );
    // Two versions of a table in one transaction count as the one table that they are.
    const counter = this.#counts.get(topic) ?? { count: 0 };
    this.#counts.set(topic, counter);
    events.counter = counter;
  }
}

/** What an encoder keeps per version of a table. */
interface TableEvents {
  readonly row: RowJsonEncoder;
  readonly key: RowJsonEncoder | null;
  /** The piece for which the next two were made. */
  generation: number;
  source: Buffer;
  counter: { count: number };
}

/** What of a piece is told in its events. */
export type PieceInfo = Pick<Piece, 'seq' | 'position' | 'commitTimeMs' | 'snapshot' | 'txId' | 'first' | 'kind'>;

const textNull = Buffer.from('null');
const textBefore = Buffer.from('{"before":');
const textAfter = Buffer.from(',"after":');
const textOrder = Buffer.from(',"data_collection_order":');
const textClose = Buffer.from('}');

function opLetter(op: Op): number {
  switch (op) {
    case opCreate:
      return 0x63; /* c */
    case opUpdate:
      return 0x75; /* u */
    case opDelete:
      return 0x64; /* d */
    default:
      return 0x72; /* r */
  }
}

/** A transaction's name as JSON: PostgreSQL's are numbers; `null` when it has none. */
function numberOrText(txId: string): string {
  if (txId === '') return 'null';
  return /^(0|[1-9]\d{0,17})$/.test(txId) ? txId : JSON.stringify(txId);
}
