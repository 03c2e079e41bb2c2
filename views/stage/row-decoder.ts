import { isUtf8 } from 'node:buffer';
import type { Table } from '../../model/table.ts';
import { fieldPositions, readFields } from '../../model/row.ts';
import { RowError } from '../expressions/expression.ts';
import { valueOf } from '../expressions/text.ts';
import { typeName } from '../type.ts';
import type { SqlType } from '../type.ts';
import { integer } from '../value.ts';
import type { Value } from '../value.ts';

/** A column of which the values are wanted: its identity in the table, and the type that views take it for. */
export interface WantedColumn {
  readonly id: number;
  readonly type: SqlType;
}

/** Reads some columns of packed rows of one version of a table, straight from their bytes; those that the version lacks are NULL. */
export class RowDecoder {
  readonly #columns: readonly WantedColumn[];
  /** Position of each column in the packed rows, or -1. */
  readonly #sources: Int32Array;
  readonly #kinds: readonly Kind[];
  readonly #width: number;
  readonly #fields;

  constructor(columns: readonly WantedColumn[], table: Table) {
    this.#columns = columns;
    this.#sources = Int32Array.from(columns, ({ id }) => table.columns.findIndex((column) => column.id === id));
    this.#kinds = columns.map(({ type }) => kindOf(type));
    this.#width = table.columns.length;
    this.#fields = fieldPositions(this.#width);
  }

  /** The row at `start`. RowError for a text that is no value of its type. */
  decode(bytes: Buffer, start: number): Value[] {
    const fields = this.#fields;
    readFields(bytes, start, this.#width, fields);
    const row: Value[] = [];
    for (let index = 0; index < this.#columns.length; index++) {
      const source = this.#sources[index] as number;
      const end = source < 0 ? -1 : (fields.end[source] as number);
      row.push(end < 0 ? null : this.#value(bytes, fields.start[source] as number, end, index));
    }
    return row;
  }

  #value(bytes: Buffer, start: number, end: number, index: number): Value {
    switch (this.#kinds[index]) {
      case 'integer':
        return this.#integer(bytes, start, end, index);
      case 'bool':
        if (end - start === 1 && bytes[start] === 0x74 /* t */) return true;
        if (end - start === 1 && bytes[start] === 0x66 /* f */) return false;
        throw this.#invalid(bytes.toString('utf8', start, end), index);
      case 'float':
        return this.#float(bytes.toString('latin1', start, end), index);
      default: {
        const text = bytes.toString('utf8', start, end);
        // Strings without it are of one byte a character, where looking for it costs nothing.
        if (text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end))) {
          throw new RowError('22021', 'invalid byte sequence for encoding "UTF8"');
        }
        return text;
      }
    }
  }

  #integer(bytes: Buffer, start: number, end: number, index: number): number | bigint {
    const negative = bytes[start] === 0x2d; /* - */
    const first = negative ? start + 1 : start;
    let value = 0;
    for (let at = first; at < end; at++) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit >>> 0 > 9) throw this.#invalid(bytes.toString('utf8', start, end), index);
      value = value * 10 + digit;
    }
    if (first === end) throw this.#invalid('', index);
    if (end - first > 15) return integer(BigInt(bytes.toString('latin1', start, end)));
    return negative && value !== 0 ? -value : value;
  }

  #float(text: string, index: number): Value {
    const value = valueOf(text, this.#columns[index]?.type ?? { kind: 'scalar', name: 'float8' });
    if (Number.isNaN(value) && text !== 'NaN') throw this.#invalid(text, index);
    return value;
  }

  #invalid(text: string, index: number): RowError {
    const { type } = this.#columns[index] as WantedColumn;
    return new RowError('22P02', `invalid input syntax for type ${typeName(type)}: "${text}"`);
  }
}

type Kind = 'integer' | 'bool' | 'float' | 'text';

function kindOf(type: SqlType): Kind {
  if (type.kind !== 'scalar') return 'text';
  switch (type.name) {
    case 'int2':
    case 'int4':
    case 'int8':
      return 'integer';
    case 'bool':
      return 'bool';
    case 'float4':
    case 'float8':
      return 'float';
    default:
      return 'text';
  }
}

/** Whether every column can be told from the rows of `table`. */
export function lacking(columns: readonly WantedColumn[], table: Table): number[] {
  return columns.filter(({ id }) => table.columns.every((column) => column.id !== id)).map(({ id }) => id);
}
