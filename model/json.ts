import { isUtf8 } from 'node:buffer';
import { assert, present } from '../base/assert.ts';
import { TidemarkError } from '../base/errors.ts';
import { compileValue, memberPrefixes, writeNullValue, writeValue } from './json-value.ts';
import type { ValuePlan } from './json-value.ts';
import { writeString } from './json-scalar.ts';
import { ByteWriter } from './json-writer.ts';
import { fieldNull, fieldPositions, readFields } from './row.ts';
import type { FieldPositions } from './row.ts';
import type { Table } from './table.ts';

/**
 * Rows as JSON: exactly the bytes that PostgreSQL's to_json prints for the value under TimeZone UTC.
 *
 * A value that has no such JSON – bytes that are not UTF-8, or an array or composite whose text is not of the column's type (the
 * type was altered since) – is an error, VALUE_INVALID, when its JSON is asked for. Where the exact text must get through instead
 * (topics, tail), `poison: 'text'` writes it as a JSON string of those very bytes.
 */
export interface JsonOptions {
  /** Columns to write, in this order, each with the name it is to have. All, by their own names, when absent. */
  readonly columns?: readonly JsonColumn[];
  /** For output by lines: line ends between the tokens of json values become spaces. */
  readonly singleLine?: boolean;
  /** What to do with a value that has no JSON; `error` when absent. */
  readonly poison?: 'error' | 'text';
  /** `string`: numbers that a double cannot hold are written in quotes; `exact` when absent. Values of type json stay as they are. */
  readonly numbers?: 'exact' | 'string';
}

export interface JsonColumn {
  /** Position in `Table.columns`. */
  readonly index: number;
  readonly name: string;
}

/** Writes values of one column. */
export class ColumnJsonEncoder {
  readonly #table: Table;
  readonly #column: number;
  readonly #plan: ValuePlan;
  readonly #strict: boolean;

  constructor(table: Table, column: number, options: Omit<JsonOptions, 'columns'> = {}) {
    const { type } = present(table.columns[column], `column ${column} of ${table.topic}`);
    this.#table = table;
    this.#column = column;
    this.#plan = compileValue(type, {
      singleLine: options.singleLine ?? false,
      quoteNumbers: options.numbers === 'string',
    });
    this.#strict = options.poison !== 'text';
  }

  /** Appends the JSON of the value whose text is `from[start..end)`; see `FieldPositions` for `end` below 0. */
  write(from: Buffer, start: number, end: number, into: ByteWriter): void {
    const begin = into.at;
    into.seen = 0;
    this.writeUnchecked(from, start, end, into);
    if (into.seen > 0x7f) this.check(from, start, end, into, begin);
  }

  /** The JSON as text. */
  stringify(from: Buffer, start: number, end: number): string {
    spareOutput().reset();
    this.write(from, start, end, output);
    return output.buffer.toString('utf8', 0, output.at);
  }

  /** As `write`, but leaves it to the caller to look at `into.seen` and call `check`. */
  writeUnchecked(from: Buffer, start: number, end: number, into: ByteWriter): void {
    if (end < 0) {
      assert(end === fieldNull, `an unchanged value in ${this.#table.topic}, column ${this.#column}`);
      writeNullValue(into);
      return;
    }
    const begin = into.at;
    if (writeValue(this.#plan, from, start, end, into, scratch)) return;
    into.at = begin;
    scratch.reset();
    if (this.#strict) throw this.#invalid(from, start, end, 'is not of that type');
    writeString(from, start, end, into);
  }

  /** Takes back what was written from `begin` on and throws, if the value is not UTF-8 and the encoder is strict. */
  check(from: Buffer, start: number, end: number, into: ByteWriter, begin: number): void {
    if (!this.#strict || end < 0 || isUtf8(from.subarray(start, end))) return;
    into.at = begin;
    throw this.#invalid(from, start, end, 'is not valid UTF-8');
  }

  #invalid(from: Buffer, start: number, end: number, what: string): TidemarkError {
    const { name, declared } = present(this.#table.columns[this.#column], 'column');
    const shown = JSON.stringify(from.toString('latin1', start, Math.min(end, start + 60)));
    return new TidemarkError('VALUE_INVALID', `The value of column '${name}' (${declared}) ${what}: ${shown}`, {
      hint: 'Correct the value in the source; the log holds its exact text.',
      place: { source: this.#table.source, table: this.#table.topic },
    });
  }
}

/** Writes rows as JSON objects. */
export class RowJsonEncoder {
  readonly #indexes: readonly number[];
  readonly #columns: readonly ColumnJsonEncoder[];
  readonly #prefixes: readonly Buffer[];
  readonly #fields: FieldPositions;
  /** Columns from the row's first to the last one wanted. */
  readonly #width: number;

  constructor(table: Table, options: JsonOptions = {}) {
    const columns = options.columns ?? table.columns.map(({ name }, index) => ({ index, name }));
    this.#indexes = columns.map(({ index }) => index);
    this.#columns = columns.map(({ index }) => new ColumnJsonEncoder(table, index, options));
    this.#prefixes = memberPrefixes(columns.map(({ name }) => name));
    this.#width = Math.max(-1, ...this.#indexes) + 1;
    this.#fields = fieldPositions(this.#width);
  }

  /** Appends the JSON object of the packed row that begins at `from[rowStart]`. VALUE_INVALID leaves `into` as it was. */
  write(from: Buffer, rowStart: number, into: ByteWriter): void {
    const begin = into.at;
    into.seen = 0;
    readFields(from, rowStart, this.#width, this.#fields);
    try {
      this.#writeFields(from, into);
      if (into.seen > 0x7f && !isUtf8(into.buffer.subarray(begin, into.at))) this.#check(from, into, begin);
    } catch (error) {
      into.at = begin;
      throw error;
    }
    if (scratch.buffer.length > spareBytesMax) scratch = new ByteWriter();
  }

  /** The JSON as bytes of its own. */
  encode(from: Buffer, rowStart: number): Buffer {
    spareOutput().reset();
    this.write(from, rowStart, output);
    return Buffer.from(output.bytes());
  }

  /** The JSON as text. */
  stringify(from: Buffer, rowStart: number): string {
    spareOutput().reset();
    this.write(from, rowStart, output);
    return output.buffer.toString('utf8', 0, output.at);
  }

  #writeFields(from: Buffer, into: ByteWriter): void {
    const { start, end } = this.#fields;
    for (let position = 0; position < this.#columns.length; position++) {
      into.raw(this.#prefixes[position] as Buffer);
      const index = this.#indexes[position] as number;
      const column = this.#columns[position] as ColumnJsonEncoder;
      column.writeUnchecked(from, start[index] as number, end[index] as number, into);
    }
    into.raw(this.#columns.length === 0 ? emptyObject : endOfObject);
  }

  #check(from: Buffer, into: ByteWriter, begin: number): void {
    const { start, end } = this.#fields;
    for (let position = 0; position < this.#columns.length; position++) {
      const index = this.#indexes[position] as number;
      const column = this.#columns[position] as ColumnJsonEncoder;
      column.check(from, start[index] as number, end[index] as number, into, begin);
    }
  }
}

const emptyObject = Buffer.from('{}');
const endOfObject = Buffer.from('}');

/** Room that was needed once for a huge value is given back. */
const spareBytesMax = 1024 * 1024;
/** Holds array elements and fields whose quoting is undone; empty between calls. Writing is synchronous, so one is enough. */
let scratch = new ByteWriter();
let output = new ByteWriter();

function spareOutput(): ByteWriter {
  if (output.buffer.length > spareBytesMax) output = new ByteWriter();
  return output;
}

/** Compiles the encoder of a table's rows. */
export function rowJsonEncoder(table: Table, options: JsonOptions = {}): RowJsonEncoder {
  return new RowJsonEncoder(table, options);
}

/** The key's columns, in the key's order, by their own names. */
export function keyColumns(table: Table): JsonColumn[] {
  return table.key.map((index) => ({
    index,
    name: present(table.columns[index], `key column ${index} of ${table.topic}`).name,
  }));
}

/** Compiles the encoder of a table's keys: an object of the key's columns. */
export function keyJsonEncoder(table: Table, options: Omit<JsonOptions, 'columns'> = {}): RowJsonEncoder {
  return new RowJsonEncoder(table, { ...options, columns: keyColumns(table) });
}

/** Compiles the encoder of one column's values. */
export function columnJsonEncoder(
  table: Table,
  column: number,
  options: Omit<JsonOptions, 'columns'> = {},
): ColumnJsonEncoder {
  return new ColumnJsonEncoder(table, column, options);
}
