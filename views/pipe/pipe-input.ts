import { present } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import { JsonLineScanner, jsonAbsent, jsonNested, jsonString, jsonTrue } from '../../model/json-line.ts';
import type { Line } from '../../model/lines.ts';
import { Delta } from '../delta.ts';
import { compileKey } from '../expressions/key.ts';
import type { SqlType } from '../type.ts';
import { sameRow } from '../value.ts';
import type { Row, StateKey } from '../value.ts';
import { JsonRowReader } from './json-row.ts';
import type { PipeTable } from './pipe-table.ts';

/** What a line is: a row (or the end of one), or the end of a transaction. */
export type LineKind = 'row' | 'commit';

/** The changes that lines make to one table. With a key the rows are kept, so that updates and deletes know what they replace. */
class TableInput {
  readonly table: PipeTable;
  delta = new Delta();
  readonly #reader: JsonRowReader;
  /** Reads the key's columns alone: a delete need not name others. */
  readonly #keyReader: JsonRowReader;
  readonly #width: number;
  readonly #keyOf: ((row: Row) => StateKey | undefined) | null;
  readonly #keyOfKey: (row: Row) => StateKey | undefined;
  readonly #rows = new Map<StateKey, Row>();

  /** Rows have the columns at `positions` of the table. */
  constructor(table: PipeTable, positions: readonly number[]) {
    this.table = table;
    const unread = table.key.filter((position) => !positions.includes(position));
    const all = [...positions, ...unread];
    this.#width = positions.length;
    this.#reader = new JsonRowReader(table, all);
    this.#keyReader = new JsonRowReader(table, table.key);
    const typeOf = (position: number): SqlType => present(table.columns[position], 'column').type;
    const keyTypes = table.key.map(typeOf);
    this.#keyOfKey = compileKey(keyTypes, [...keyTypes.keys()], 'keep');
    const key = table.key.map((position) => all.indexOf(position));
    this.#keyOf = key.length === 0 ? null : compileKey(all.map(typeOf), key, 'keep');
  }

  get names(): readonly string[] {
    return this.table.columns.map(({ name }) => name);
  }

  take(op: 'c' | 'u' | 'd', bytes: Buffer, from: number, to: number): void {
    if (this.#keyOf === null) {
      if (op !== 'c') throw this.#fail(`needs a PRIMARY KEY in --table for "op": "${op}"`);
      this.delta.push(this.#reader.read(bytes, from, to), 1);
      return;
    }
    if (op === 'd') {
      const key = this.#keyOfKey(this.#keyReader.read(bytes, from, to)) as StateKey;
      const gone = this.#rows.get(key);
      if (!gone) throw this.#unknown(op);
      this.#rows.delete(key);
      this.delta.push(this.#cut(gone), -1);
      return;
    }
    const row = this.#reader.read(bytes, from, to);
    const key = this.#keyOf(row) as StateKey;
    const old = this.#rows.get(key);
    if (op === 'c' && old) throw this.#fail('has a row of this key already');
    if (op === 'u' && !old) throw this.#unknown(op);
    this.#rows.set(key, row);
    if (old && sameRow(old, row)) return;
    if (old) this.delta.push(this.#cut(old), -1);
    this.delta.push(this.#cut(row), 1);
  }

  /** The row without the key columns that only this class needs. */
  #cut(row: Row): Row {
    return row.length === this.#width ? row : row.slice(0, this.#width);
  }

  #unknown(op: string): TidemarkError {
    return this.#fail(`has no row of this key, for "op": "${op}"`);
  }

  #fail(why: string): TidemarkError {
    return new TidemarkError('VALUE_INVALID', `table ${this.table.name} ${why}`);
  }
}

/** Turns lines into the changes of tables. */
export class PipeInput {
  readonly #tables: ReadonlyMap<string, TableInput>;
  /** The one table whose rows may be lines by themselves. */
  readonly #only: TableInput | null;
  readonly #envelope = new JsonLineScanner(['table', 'row', 'op', 'commit']);
  /** Names of columns of the only table that an envelope has too. */
  readonly #isAmbiguous: boolean;

  /** `positions` gives for each table the columns that the views use. */
  constructor(tables: readonly PipeTable[], positions: ReadonlyMap<string, readonly number[]>) {
    const inputs = tables.map((table) => new TableInput(table, positions.get(table.name) ?? []));
    this.#tables = new Map(inputs.map((input) => [input.table.name, input]));
    this.#only = inputs.length === 1 ? present(inputs[0], 'table') : null;
    this.#isAmbiguous = this.#only?.names.some((name) => ['row', 'commit'].includes(name)) === true;
  }

  /** Takes one line. VALUE_INVALID, without the line's number, for one that is malformed. */
  take({ bytes, start, end }: Line): LineKind {
    if (this.#only !== null && !this.#mayBeEnvelope(bytes, start, end)) {
      this.#only.take('c', bytes, start, end);
      return 'row';
    }
    const envelope = this.#envelope;
    envelope.scan(bytes, start, end);
    const [table, row, op, commit] = [0, 1, 2, 3].map((member) => envelope.kind[member] ?? jsonAbsent);
    if (commit === jsonTrue && table === jsonAbsent && row === jsonAbsent) return 'commit';
    if (row !== jsonNested || table !== jsonString) {
      if (this.#only === null) {
        throw new TidemarkError(
          'VALUE_INVALID',
          'with several tables a line is {"table": "…", "row": {…}, "op": "c"|"u"|"d"}',
        );
      }
      this.#only.take('c', bytes, start, end);
      return 'row';
    }
    const name = envelope.text(0);
    const input = this.#tables.get(name);
    if (!input) {
      const known = [...this.#tables.keys()].join(', ');
      throw new TidemarkError('VALUE_INVALID', `there is no table "${name}" (--table declares ${known})`);
    }
    input.take(this.#op(op ?? jsonAbsent), bytes, envelope.start[1] ?? 0, envelope.end[1] ?? 0);
    return 'row';
  }

  #op(kind: number): 'c' | 'u' | 'd' {
    if (kind === jsonAbsent) return 'c';
    const op = kind === jsonString ? this.#envelope.text(2) : '';
    if (op === 'c' || op === 'u' || op === 'd') return op;
    throw new TidemarkError('VALUE_INVALID', '"op" must be "c", "u" or "d"');
  }

  /** A cheap look: whether the first member is one of an envelope's. Rows begin with a column's name as a rule. */
  #mayBeEnvelope(bytes: Buffer, start: number, end: number): boolean {
    if (this.#isAmbiguous) return false;
    for (let at = start; at < end; at++) {
      if (bytes[at] !== 0x22) continue;
      const first = bytes[at + 1];
      // table, row, op, commit
      if (first !== 0x74 && first !== 0x72 && first !== 0x6f && first !== 0x63) return false;
      const name = bytes.toString('latin1', at + 1, bytes.indexOf(0x22, at + 1));
      const isMember = name === 'table' || name === 'row' || name === 'op' || name === 'commit';
      return isMember && this.#only?.names.includes(name) === false;
    }
    return false;
  }

  /** The changes since the last call, by table. */
  deltas(): Map<string, Delta> {
    const deltas = new Map<string, Delta>();
    for (const [name, input] of this.#tables) {
      if (input.delta.length === 0) continue;
      deltas.set(name, input.delta);
      input.delta = new Delta();
    }
    return deltas;
  }
}
