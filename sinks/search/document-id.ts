import { createHash } from 'node:crypto';
import { assert } from '../../base/assert.ts';
import type { DataType } from '../../model/data-type.ts';
import { ByteWriter } from '../../model/json-writer.ts';
import { columnJsonEncoder } from '../../model/json.ts';
import type { ColumnJsonEncoder } from '../../model/json.ts';
import { fieldPositions, readFields } from '../../model/row.ts';
import type { FieldPositions } from '../../model/row.ts';
import type { Table } from '../../model/table.ts';

/** Longest `_id` that engines take. */
const idBytesMax = 512;

const backslash = 0x5c;
const quote = 0x22;
const bar = 0x7c;
const point = 0x2e;
const zero = 0x30;
const minus = 0x2d;

const nullId = Buffer.from('\\\\N');

const value = new ByteWriter(1024);

/**
 * Writes the `_id` of rows, as a JSON string. A key of one column is its value as text; of several, their values joined by `|`, where
 * `\` and `|` in a value become `\\` and `\|`. NULL (views may have it in a key) is `\N`. An id longer than 512 bytes, and the empty one,
 * which engines do not take, is `sha256:` and the hash of that text.
 *
 * Values that are equal as keys have one id: 1.50 and 1.5 are 1.5, and -0 is 0.
 */
export class IdWriter {
  readonly #columns: readonly (IdColumn | null)[];
  readonly #fields: FieldPositions;
  readonly #width: number;

  /** `sources`: for each column of the key, its position in rows of the table. */
  constructor(table: Table, sources: readonly number[]) {
    this.#columns = sources.map((source) => {
      const type = table.columns[source]?.type;
      return type === undefined
        ? null
        : { source, encoder: columnJsonEncoder(table, source), isDecimal: hasFraction(type) };
    });
    this.#width = Math.max(-1, ...sources) + 1;
    this.#fields = fieldPositions(this.#width);
  }

  /** Appends the id of the packed row at `from[rowStart]`, with its quotes. VALUE_INVALID when a value has no JSON. */
  write(from: Buffer, rowStart: number, into: ByteWriter): void {
    const { start, end } = this.#fields;
    readFields(from, rowStart, this.#width, this.#fields);
    const begin = into.at;
    const isSingle = this.#columns.length === 1;
    byte(into, quote);
    for (let position = 0; position < this.#columns.length; position++) {
      if (position > 0) byte(into, bar);
      const column = this.#columns[position] as IdColumn | null;
      if (column === null || (end[column.source] as number) < 0) {
        into.raw(nullId);
        continue;
      }
      value.reset();
      column.encoder.write(from, start[column.source] as number, end[column.source] as number, value);
      this.#writeValue(column.isDecimal, isSingle, into);
    }
    byte(into, quote);
    const length = into.at - begin - 2;
    // JSON is never shorter than the text that it stands for. A text `\N` must not be taken for NULL.
    const isText = isSingle && length === nullId.length && value.buffer[0] === quote;
    if (
      length > idBytesMax ||
      length === 0 ||
      (isText && into.buffer.subarray(begin + 1, into.at - 1).equals(nullId))
    ) {
      hashed(begin, isText, into);
    }
  }

  #writeValue(isDecimal: boolean, isSingle: boolean, into: ByteWriter): void {
    const { buffer, at } = value;
    const first = buffer[0];
    if (first === quote) {
      if (isSingle) copy(buffer, 1, at - 1, into);
      else escaped(buffer, at - 1, into);
      return;
    }
    if (isDecimal) {
      copy(buffer, 0, decimalEnd(buffer, at), into);
      // Zero has no sign.
      if (into.at >= 2 && into.buffer[into.at - 1] === zero && into.buffer[into.at - 2] === minus) {
        into.at -= 2;
        byte(into, zero);
      }
      return;
    }
    if (first !== 0x7b /* { */ && first !== 0x5b /* [ */) {
      copy(buffer, 0, at, into);
      return;
    }
    const text = buffer.toString('utf8', 0, at);
    const shown = isSingle ? text : text.replaceAll('\\', '\\\\').replaceAll('|', '\\|');
    into.text(JSON.stringify(shown).slice(1, -1));
  }
}

interface IdColumn {
  readonly source: number;
  readonly encoder: ColumnJsonEncoder;
  readonly isDecimal: boolean;
}

function hasFraction(type: DataType): boolean {
  return type.kind === 'scalar' && (type.name === 'numeric' || type.name === 'float4' || type.name === 'float8');
}

/** Appends the inside of the JSON string `from[1..end)` with `\` and `|` escaped once more, as JSON. */
function escaped(from: Buffer, end: number, into: ByteWriter): void {
  into.reserve((end - 1) * 3);
  const { buffer } = into;
  let { at } = into;
  for (let index = 1; index < end; index++) {
    const next = from[index] as number;
    if (next === bar || next === backslash) {
      buffer[at++] = backslash;
      // `\\` in JSON is one backslash of the value; any other escape is a character that needs none.
      if (next === bar || from[index + 1] === backslash) {
        buffer[at++] = backslash;
      }
      if (next === backslash) {
        index++;
        if (from[index] === backslash) buffer[at++] = backslash;
      }
      buffer[at++] = from[index] as number;
    } else {
      buffer[at++] = next;
    }
  }
  into.at = at;
}

/** Where the digits that matter end: 1.50 has one after its point, 2.00 none. */
function decimalEnd(from: Buffer, end: number): number {
  let hasPoint = false;
  for (let index = 0; index < end; index++) {
    const next = from[index] as number;
    if (next === point) hasPoint = true;
    else if (next === 0x65 /* e */ || next === 0x45 /* E */) return end;
  }
  if (!hasPoint) return end;
  let last = end;
  while (from[last - 1] === zero) last--;
  return from[last - 1] === point ? last - 1 : last;
}

/** Puts the hash of an id in its place, unless it is one of those that JSON only makes look too long. */
function hashed(begin: number, isForced: boolean, into: ByteWriter): void {
  const text: unknown = JSON.parse(into.buffer.toString('utf8', begin, into.at));
  assert(typeof text === 'string', 'an id is text');
  if (!isForced && text !== '' && Buffer.byteLength(text) <= idBytesMax) return;
  into.at = begin;
  into.text(`"sha256:${createHash('sha256').update(text).digest('hex')}"`);
}

function byte(into: ByteWriter, code: number): void {
  into.reserve(1);
  into.buffer[into.at++] = code;
}

function copy(from: Buffer, start: number, end: number, into: ByteWriter): void {
  into.reserve(end - start);
  const { buffer, at } = into;
  for (let index = start; index < end; index++) buffer[at + index - start] = from[index] as number;
  into.at = at + end - start;
}
