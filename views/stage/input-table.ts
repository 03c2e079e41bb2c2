import { present } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { ChangeCursor } from '../../model/change.ts';
import { flagKeyOnly, opDelete } from '../../model/change.ts';
import type { Log } from '../../model/log.ts';
import type { Table } from '../../model/table.ts';
import { Delta } from '../delta.ts';
import type { EngineInput } from '../engine.ts';
import { RowError } from '../expressions/expression.ts';
import { ValueReader } from '../state/codec.ts';
import type { Records, StateStore } from '../state/port.ts';
import type { MergedRuns } from '../state/sorted-runs.ts';
import { noKey } from '../state/sorter.ts';
import type { Sorter, SortSpace } from '../state/sorter.ts';
import { sameRow } from '../value.ts';
import type { Row, Value } from '../value.ts';
import { RowDecoder, lacking } from './row-decoder.ts';
import type { WantedColumn } from './row-decoder.ts';

/** A record put aside: what came of its key, then the row's values, or the reason why there are none. */
const tagGone = 0;
const tagRow = 1;
const tagUnread = 2;
/** Rows given at a time. */
const partRows = 1_000;
const none: Value[] = [];

/** Told of a row that cannot be read (weight 1), and that it has gone (−1). */
export type RejectInput = (relation: string, key: string, weight: 1 | -1, error: RowError | null) => void;

/**
 * Change records of one table → what changed in the columns that the views use.
 *
 * Of a table with a key the newest row of every key is kept, so that what a record says counts and not what it replaces: a record
 * that comes again, an update without its old row, a net transaction change exactly what they should. Rows of a table without a key
 * are taken as they come.
 */
export class InputTable {
  readonly relation: string;
  readonly stream: string;
  /** What changed in the step that is being collected. */
  delta: Delta;
  readonly #columns: readonly WantedColumn[];
  readonly #log: Log;
  /** Newest row by the bytes of its key. */
  readonly #rows: Records;
  /** Keys whose newest row cannot be read. */
  readonly #unread: Records;
  readonly #reject: RejectInput;
  readonly #boundSchema: number;
  readonly #reader = new ValueReader();
  #spool: Sorter | null = null;
  /** What `build` has read last: the key (null: there is none), what came of it, and its values. */
  #newestOf: string | null = null;
  #newestTag = 0;
  #newest: Value[] = none;
  readonly #decoders: (RowDecoder | undefined)[] = [];

  constructor(input: EngineInput, table: Table, store: StateStore, log: Log, reject: RejectInput, empty: Delta) {
    this.relation = input.relation;
    this.stream = table.source;
    this.delta = empty;
    this.#columns = input.positions.map((position, index) => ({
      id: present(table.columns[position], `column ${position} of ${table.topic}`).id,
      type: present(input.types[index], `the type of column ${position} of ${table.topic}`),
    }));
    this.#log = log;
    this.#rows = store.records(`input:${input.relation}`);
    this.#unread = store.records(`unread:${input.relation}`);
    this.#reject = reject;
    this.#boundSchema = schemaOf(table, log);
  }

  /** From here on `spool` takes records, until `build`. */
  beginBuild(space: SortSpace): void {
    this.#spool = space.sorter();
  }

  /** Puts the cursor's record aside for `build`. */
  spool(record: ChangeCursor): void {
    const spool = present(this.#spool, 'a sorter of records');
    if (record.keyEnd === record.keyStart) {
      this.#takeKeyless(record);
      const { rows, weights } = this.#takeDelta();
      for (const [index, row] of rows.entries()) {
        const writer = spool.begin(undefined);
        writer.byte((weights[index] as number) > 0 ? tagRow : tagGone);
        writer.row(row);
        spool.end();
      }
      return;
    }
    const writer = spool.begin(record.bytes.toString('latin1', record.keyStart, record.keyEnd));
    try {
      const row =
        record.op === opDelete ? null : this.#decoder(record.schemaId).decode(record.bytes, record.afterStart);
      writer.byte(row === null ? tagGone : tagRow);
      if (row !== null) writer.row(row);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      writer.byte(tagUnread);
      writer.value(error.sqlState);
      writer.value(error.message);
    }
    spool.end();
  }

  /** Makes the state of the records put aside, and gives the table's rows, part by part. */
  async *build(store: StateStore): AsyncGenerator<Delta> {
    const spool = present(this.#spool, 'a sorter of records');
    const filling = store.fill?.([`input:${this.relation}`, `unread:${this.relation}`]);
    const cursor = spool.read();
    while (!cursor.next()) await cursor.load();
    while (!cursor.isOver) {
      let isAtHand = this.#takeSorted(cursor);
      while (!isAtHand) {
        await cursor.load();
        isAtHand = cursor.next();
      }
      if (this.#newestOf !== null && (cursor.isOver || !cursor.isSameKey)) this.#takeNewest(this.#newestOf);
      if (this.delta.length < partRows) continue;
      await filling?.settle(true);
      yield this.#takeDelta();
    }
    await filling?.end();
    yield this.#takeDelta();
    this.#spool = null;
    await spool.close();
  }

  /** Takes the cursor's entry and moves it on; whether the next one is at hand. Of each key the newest record counts. */
  #takeSorted(cursor: MergedRuns): boolean {
    const reader = this.#reader;
    const width = this.#columns.length;
    const { buffer, keyStart, keyEnd } = cursor.current;
    const isKeyless = keyEnd - keyStart === 2 && buffer.readUInt16BE(keyStart) === noKey;
    if (!isKeyless && !cursor.isSameKey) this.#newestOf = reader.reset(buffer, keyStart).value() as string;
    const tag = cursor.payload(reader).byte();
    if (isKeyless) {
      this.#newestOf = null;
      this.delta.push(reader.row(width), tag === tagRow ? 1 : -1);
    } else {
      this.#newestTag = tag;
      this.#newest = tag === tagGone ? none : reader.row(tag === tagUnread ? 2 : width);
    }
    return cursor.next();
  }

  #takeNewest(key: string): void {
    const values = this.#newest;
    if (this.#newestTag === tagUnread) {
      this.#setUnread(key, new RowError(String(values[0]), String(values[1])));
    } else if (this.#newestTag === tagRow) {
      this.delta.push(values, 1);
      this.#rows.set(key, values);
    }
  }

  #takeDelta(): Delta {
    const { delta } = this;
    this.delta = new Delta();
    return delta;
  }

  /** Takes the cursor's record, which is one of this table's. */
  take(record: ChangeCursor): void {
    if (record.keyEnd > record.keyStart) this.#takeKeyed(record);
    else this.#takeKeyless(record);
  }

  #takeKeyed(record: ChangeCursor): void {
    const key = record.bytes.toString('latin1', record.keyStart, record.keyEnd);
    const rows = this.#rows;
    const old = rows.get(key);
    let row: Value[] | null = null;
    if (record.op !== opDelete) {
      try {
        row = this.#decoder(record.schemaId).decode(record.bytes, record.afterStart);
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        this.#setUnread(key, error);
      }
    }
    if (this.#unread.size > 0 && (row !== null || record.op === opDelete)) this.#setRead(key);
    if (row === null) {
      if (old === undefined) return;
      this.delta.push(old, -1);
      rows.delete(key);
      return;
    }
    if (old !== undefined) {
      if (sameRow(old, row)) return;
      this.delta.push(old, -1);
    }
    this.delta.push(row, 1);
    rows.set(key, row);
  }

  #takeKeyless(record: ChangeCursor): void {
    if (record.hasBefore && (record.flags & flagKeyOnly) === 0) this.#takeRow(record, record.beforeStart, -1);
    if (record.hasAfter) this.#takeRow(record, record.afterStart, 1);
  }

  #takeRow(record: ChangeCursor, start: number, weight: 1 | -1): void {
    let row: Row;
    try {
      row = this.#decoder(record.schemaId).decode(record.bytes, start);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      this.#reject(this.relation, '', weight, error);
      return;
    }
    this.delta.push(row, weight);
  }

  #setUnread(key: string, error: RowError): void {
    if (this.#unread.get(key) === undefined) this.#reject(this.relation, key, 1, error);
    this.#unread.set(key, [error.message]);
  }

  #setRead(key: string): void {
    if (this.#unread.get(key) === undefined) return;
    this.#unread.delete(key);
    this.#reject(this.relation, key, -1, null);
  }

  #decoder(schemaId: number): RowDecoder {
    let decoder = this.#decoders[schemaId];
    if (decoder !== undefined) return decoder;
    const table = present(this.#log.table(schemaId), `the table of schema id ${schemaId}`);
    const [gone] = schemaId > this.#boundSchema ? lacking(this.#columns, table) : [];
    if (gone !== undefined) throw columnGone(table, gone, this.#log.table(this.#boundSchema));
    decoder = new RowDecoder(this.#columns, table);
    this.#decoders[schemaId] = decoder;
    return decoder;
  }
}

/** Id of the version of the table by which views were bound; 0 when the log does not know it (yet). */
function schemaOf(table: Table, log: Log): number {
  let found = 0;
  for (let id = 1, known = log.table(1); known !== undefined; known = log.table(++id)) {
    if (known.topic === table.topic && JSON.stringify(known.columns) === JSON.stringify(table.columns)) found = id;
  }
  return found === 0 ? Infinity : found;
}

function columnGone(table: Table, id: number, bound: Table | undefined): TidemarkError {
  const name = bound?.columns.find((column) => column.id === id)?.name ?? String(id);
  return new TidemarkError(
    'VIEW_FAILED',
    `a view uses column ${name} of ${table.topic}, which the table no longer has`,
    {
      hint: 'Correct the SQL of the view and start again; it is then built anew from the log.',
      place: { table: table.topic },
    },
  );
}
