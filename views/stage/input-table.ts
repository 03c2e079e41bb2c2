import { present } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { ChangeCursor } from '../../model/change.ts';
import { flagKeyOnly, opDelete } from '../../model/change.ts';
import type { Log } from '../../model/log.ts';
import type { Table } from '../../model/table.ts';
import type { Delta } from '../delta.ts';
import type { EngineInput } from '../engine.ts';
import { RowError } from '../expressions/expression.ts';
import type { Records, StateStore } from '../state/port.ts';
import { sameRow } from '../value.ts';
import type { Row, Value } from '../value.ts';
import { RowDecoder, lacking } from './row-decoder.ts';
import type { WantedColumn } from './row-decoder.ts';

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
