import { isUtf8 } from 'node:buffer';
import { assert } from '../../base/assert.ts';
import { TidemarkError, messageOf } from '../../base/errors.ts';
import type { DataType } from '../../model/data-type.ts';
import { writeTimestamp } from '../../model/json-scalar.ts';
import { ByteWriter } from '../../model/json-writer.ts';
import { columnJsonEncoder } from '../../model/json.ts';
import type { ColumnJsonEncoder } from '../../model/json.ts';
import { fieldNull, fieldPositions, readFields } from '../../model/row.ts';
import type { FieldPositions } from '../../model/row.ts';
import type { Table } from '../../model/table.ts';
import { columnSources } from '../shape.ts';
import type { LayoutColumn } from './layout.ts';

/** What node:sqlite binds for us. */
export type Bound = string | number | bigint | null;

/** How a value's text becomes what is bound. `ascii` is any type whose text has no other bytes, read the faster way. */
const asInteger = 0;
const asFloat = 1;
const asBool = 2;
const asAscii = 3;
const asTimestamp = 4;
const asText = 5;
const asJson = 6;

function bindingOf(type: DataType): number {
  if (type.kind !== 'scalar') return asJson;
  switch (type.name) {
    case 'int2':
    case 'int4':
    case 'int8':
      return asInteger;
    case 'float4':
    case 'float8':
      return asFloat;
    case 'bool':
      return asBool;
    case 'timestamp':
    case 'timestamptz':
      return asTimestamp;
    case 'numeric':
    case 'uuid':
    case 'date':
    case 'time':
    case 'timetz':
    case 'interval':
    case 'bytea':
      return asAscii;
    default:
      return asText;
  }
}

/** Longest run of digits that a double holds exactly, whatever they are. */
const exactDigits = 15;

const output = new ByteWriter(256);

/** Turns packed rows of one version of a table into values for a sink's columns, in their order. */
export class RowBinder {
  readonly #table: Table;
  readonly #sources: Int32Array;
  readonly #bindings: Int8Array;
  readonly #fields: FieldPositions;
  /** Encoders of arrays and composites by their position in the table; made when the first one is met. */
  readonly #encoders: (ColumnJsonEncoder | undefined)[] = [];

  constructor(table: Table, columns: readonly LayoutColumn[]) {
    this.#table = table;
    this.#sources = columnSources(table, columns);
    this.#bindings = Int8Array.from(this.#sources, (source, position) => {
      const column = table.columns[source];
      if (column === undefined) return asText;
      const binding = bindingOf(column.type);
      // A number bound to a column that has become TEXT would be written as SQLite prints doubles.
      const number = binding === asInteger || binding === asFloat;
      return number && columns[position]?.affinity === 'TEXT' ? asAscii : binding;
    });
    this.#fields = fieldPositions(table.columns.length);
  }

  /** Finds the columns of the row at `offset`; `value` then gives them. */
  locate(bytes: Buffer, offset: number): void {
    readFields(bytes, offset, this.#table.columns.length, this.#fields);
  }

  /** The value of the sink's column `column` in the row found last. ROW_REJECTED when it has none in SQLite. */
  value(bytes: Buffer, column: number): Bound {
    const source = this.#sources[column] as number;
    if (source < 0) return null;
    const end = this.#fields.end[source] as number;
    if (end < 0) {
      assert(end === fieldNull, `an unchanged value in ${this.#table.topic}`);
      return null;
    }
    const start = this.#fields.start[source] as number;
    switch (this.#bindings[column]) {
      case asInteger:
        return this.#integer(bytes, start, end, source);
      case asFloat:
        return float(bytes, start, end);
      case asBool:
        return bytes[start] === 0x74 /* t */ ? 'true' : 'false';
      case asTimestamp:
        return timestamp(bytes, start, end);
      case asAscii:
        return bytes.toString('latin1', start, end);
      case asJson:
        return this.#encode(bytes, start, end, source);
      default:
        return this.#text(bytes, start, end, source);
    }
  }

  #integer(bytes: Buffer, start: number, end: number, source: number): number | bigint {
    const first = bytes[start] === 0x2d /* - */ ? start + 1 : start;
    let value = 0;
    for (let at = first; at < end; at++) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) throw this.#rejected(source, 'is not an integer');
      value = value * 10 + digit;
    }
    if (end - first > exactDigits) return BigInt(bytes.toString('latin1', start, end));
    return first === start ? value : -value;
  }

  #text(bytes: Buffer, start: number, end: number, source: number): string {
    const text = bytes.toString('utf8', start, end);
    // What is not UTF-8 is decoded as U+FFFD; a text that truly has that character is told apart by its bytes.
    if (text.includes('\uFFFD') && !isUtf8(bytes.subarray(start, end))) {
      throw this.#rejected(source, 'is not valid UTF-8');
    }
    return text;
  }

  #encode(bytes: Buffer, start: number, end: number, source: number): string {
    const encoder = (this.#encoders[source] ??= columnJsonEncoder(this.#table, source));
    try {
      return encoder.stringify(bytes, start, end);
    } catch (error) {
      throw new TidemarkError('ROW_REJECTED', messageOf(error), { cause: error });
    }
  }

  #rejected(source: number, what: string): TidemarkError {
    const { name, declared } = this.#table.columns[source] ?? { name: '', declared: '' };
    return new TidemarkError('ROW_REJECTED', `Column '${name}' (${declared}) ${what}`, {
      hint: 'Correct the value at its source.',
      place: { table: this.#table.topic },
    });
  }
}

/** SQLite has no NaN: it is kept as text. Infinities are REAL like other numbers. */
function float(bytes: Buffer, start: number, end: number): number | string {
  const text = bytes.toString('latin1', start, end);
  const value = Number(text);
  return Number.isNaN(value) ? text : value;
}

/** As everywhere in JSON: ISO 8601 with `T`, which SQLite's own date functions read as well. */
function timestamp(bytes: Buffer, start: number, end: number): string {
  output.reset();
  writeTimestamp(bytes, start, end, output);
  return output.buffer.toString('latin1', 1, output.at - 1);
}
