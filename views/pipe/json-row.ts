import { TidemarkError } from '../../base/errors.ts';
import {
  JsonLineScanner,
  jsonAbsent,
  jsonEscaped,
  jsonFalse,
  jsonNull,
  jsonNumber,
  jsonString,
  jsonTrue,
} from '../../model/json-line.ts';
import { RowError } from '../expressions/expression.ts';
import { compileInput } from '../expressions/input.ts';
import type { Row, Value } from '../value.ts';
import type { PipeColumn, PipeTable } from './pipe-table.ts';
import { plainRowReader } from './plain-row.ts';
import type { PlainRowReader } from './plain-row.ts';

/**
 * Rows from JSON objects, each value read as PostgreSQL reads the text of it into the column's type: numbers with all their digits,
 * strings by the type's input function, objects and arrays as json. A member that is not there is NULL.
 */
export class JsonRowReader {
  readonly #table: PipeTable;
  readonly #scanner: JsonLineScanner;
  /** For each column that is read, its place in the table. */
  readonly #positions: readonly number[];
  readonly #columns: readonly PipeColumn[];
  readonly #isInteger: readonly boolean[];
  /** `numeric` without a scale: most numbers stand there as PostgreSQL prints them. */
  readonly #isPlainNumeric: readonly boolean[];
  readonly #inputs: readonly ((text: string) => Value)[];
  readonly #plain: PlainRowReader;

  /** Reads the columns at `positions` only. */
  constructor(table: PipeTable, positions: readonly number[]) {
    this.#table = table;
    this.#columns = positions.map((position) => table.columns[position] as PipeColumn);
    this.#positions = positions;
    // Of all columns, since members that are expected are gone over quickly.
    this.#scanner = new JsonLineScanner(table.columns.map(({ name }) => name));
    this.#isInteger = this.#columns.map(({ type }) => type.kind === 'scalar' && /^int[48]$/.test(type.name));
    this.#isPlainNumeric = this.#columns.map(
      ({ type, typmod }) => type.kind === 'scalar' && type.name === 'numeric' && typmod === undefined,
    );
    this.#inputs = this.#columns.map(({ type, typmod }) => compileInput(type, typmod));
    this.#plain = plainRowReader(table, positions, (index, text) => this.#input(index, text));
  }

  /** The row in `bytes[from..to)`, its values in the order of the positions. VALUE_INVALID for what is no such row. */
  read(bytes: Buffer, from: number, to: number): Row {
    return this.#plain(bytes, from, to) ?? this.#scanned(bytes, from, to);
  }

  #scanned(bytes: Buffer, from: number, to: number): Row {
    const scanner = this.#scanner;
    scanner.scan(bytes, from, to);
    const { length } = this.#columns;
    const row: Value[] = [];
    for (let index = 0; index < length; index++) {
      const member = this.#positions[index] as number;
      const kind = scanner.kind[member] as number;
      if (kind === jsonNumber && this.#isInteger[index] === true) {
        const start = scanner.start[member] as number;
        const end = scanner.end[member] as number;
        row.push(smallInteger(bytes, start, end) ?? this.#input(index, scanner.text(member)));
      } else if (kind === jsonNumber && this.#isPlainNumeric[index] === true) {
        const start = scanner.start[member] as number;
        const text = bytes.toString('latin1', start, scanner.end[member]);
        row.push(isPlain(bytes, start, start + text.length) ? text : this.#input(index, text));
      } else if (kind === jsonAbsent || kind === jsonNull) {
        row.push(this.#null(index));
      } else {
        row.push(this.#input(index, this.#text(index, kind)));
      }
    }
    return row;
  }

  #text(index: number, kind: number): string {
    if (kind === jsonTrue) return 'true';
    if (kind === jsonFalse) return 'false';
    const { type } = this.#columns[index] as PipeColumn;
    const isText = kind === jsonString || kind === jsonEscaped;
    const text = this.#scanner.text(this.#positions[index] as number);
    // A string in a json column is a JSON string, not a document to be parsed.
    return isText && type.kind === 'scalar' && (type.name === 'json' || type.name === 'jsonb')
      ? JSON.stringify(text)
      : text;
  }

  #input(index: number, text: string): Value {
    try {
      return (this.#inputs[index] as (text: string) => Value)(text);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      throw this.#invalid(index, error.message);
    }
  }

  #null(index: number): null {
    if (!(this.#columns[index] as PipeColumn).nullable) throw this.#invalid(index, 'it must not be NULL');
    return null;
  }

  #invalid(index: number, why: string): TidemarkError {
    return new TidemarkError('VALUE_INVALID', `column "${this.#columns[index]?.name}" of ${this.#table.name}: ${why}`);
  }
}

/** Whether a JSON number is as PostgreSQL prints it: no exponent, no minus before a zero (which may be all of the number). */
function isPlain(bytes: Buffer, start: number, end: number): boolean {
  if (bytes[start] === 0x2d && bytes[start + 1] === 0x30) return false;
  for (let at = start; at < end; at++) if ((bytes[at] as number) > 0x39) return false;
  return true;
}

/** An integer that surely fits int4; undefined for any other number, which goes the way of the type's input function. */
function smallInteger(bytes: Buffer, start: number, end: number): number | undefined {
  const isNegative = bytes[start] === 0x2d;
  const first = isNegative ? start + 1 : start;
  if (end - first > 9) return undefined;
  let value = 0;
  for (let at = first; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit >>> 0 > 9) return undefined;
    value = value * 10 + digit;
  }
  // Not -0.
  return isNegative && value !== 0 ? -value : value;
}
