import { isUtf8 } from 'node:buffer';
import { assert, present } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { ChangeCursor } from '../../model/change.ts';
import { memberPrefixes, writeNullValue } from '../../model/json-value.ts';
import { ByteWriter } from '../../model/json-writer.ts';
import { columnJsonEncoder } from '../../model/json.ts';
import type { ColumnJsonEncoder } from '../../model/json.ts';
import { fieldNull, fieldPositions, readFields } from '../../model/row.ts';
import type { FieldPositions } from '../../model/row.ts';
import type { Table } from '../../model/table.ts';
import type { SinkShape } from '../port.ts';
import { columnSources } from '../shape.ts';
import { writeEscaped, writeNullKey } from './key-form.ts';
import type { KeyForm } from './key-form.ts';
import { beginArray, beginString, endArray, endString, packFalse, packedString } from './packed-rows.ts';
import { ValueText } from './value-text.ts';

export interface RowOptions {
  readonly format: 'json' | 'hash';
  readonly numbers: 'exact' | 'string';
}

const textBraces = Buffer.from('{}');
const textBrace = Buffer.from('}');
const scratch = new ByteWriter(256);

/** Turns packed rows of one version of a table into keys and values (benchmarks/sinks-redis.ts). */
export class RowPacker {
  readonly #table: Table;
  readonly #form: KeyForm;
  readonly #asJson: boolean;
  /** For each column of the sink its position in the row; -1 where rows of this version do not have it. */
  readonly #sources: Int32Array;
  readonly #fields: FieldPositions;
  readonly #json: readonly (ColumnJsonEncoder | null)[];
  readonly #texts: readonly (ValueText | null)[];
  /** What goes before each member of the JSON object, or each value of the hash. */
  readonly #prefixes: readonly Buffer[];

  constructor(table: Table, shape: SinkShape, form: KeyForm, { format, numbers }: RowOptions) {
    const { columns } = shape;
    this.#table = table;
    this.#form = form;
    this.#asJson = format === 'json';
    this.#sources = columnSources(table, columns);
    this.#fields = fieldPositions(table.columns.length);
    const encoders = Array.from(this.#sources);
    this.#json = encoders.map((source) => (source < 0 ? null : columnJsonEncoder(table, source, { numbers })));
    this.#texts = encoders.map((source) => (source < 0 ? null : new ValueText(table, source)));
    const names = columns.map(({ name }) => name);
    this.#prefixes = this.#asJson ? memberPrefixes(names) : names.map(packedString);
  }

  /** Appends key and value of the change, false for that of a delete. VALUE_INVALID, with nothing appended, for a row that has none. */
  write(record: ChangeCursor, into: ByteWriter): void {
    const { bytes, hasAfter } = record;
    const begin = into.at;
    try {
      readFields(bytes, hasAfter ? record.afterStart : record.beforeStart, this.#table.columns.length, this.#fields);
      const key = beginString(into);
      this.writeKey(bytes, into);
      endString(into, key);
      if (!hasAfter) packFalse(into);
      else if (this.#asJson) this.#packJson(bytes, into);
      else this.#packHash(bytes, into);
    } catch (error) {
      into.at = begin;
      throw error;
    }
  }

  /** Finds the columns of a row, for `writeKey`, `writeJson` and `fieldTexts`. */
  locate(bytes: Buffer, offset: number): void {
    readFields(bytes, offset, this.#table.columns.length, this.#fields);
  }

  /** Appends the key of the row found last. */
  writeKey(bytes: Buffer, into: ByteWriter): void {
    for (const part of this.#form.parts) {
      const { text: literal, position, escapes } = part;
      if (literal !== null) {
        into.raw(literal);
        continue;
      }
      const source = this.#sources[position] as number;
      const end = source < 0 ? fieldNull : (this.#fields.end[source] as number);
      if (end < 0) {
        writeNullKey(into);
        continue;
      }
      const start = this.#fields.start[source] as number;
      const text = this.#texts[position] as ValueText;
      if (text.isPlain) {
        writeEscaped(escapes, bytes, start, end, into);
      } else {
        scratch.reset();
        text.write(bytes, start, end, scratch);
        writeEscaped(escapes, scratch.buffer, 0, scratch.at, into);
      }
    }
  }

  /** Appends the row found last as a JSON object. */
  writeJson(bytes: Buffer, into: ByteWriter): void {
    const begin = into.at;
    into.seen = 0;
    const { start, end } = this.#fields;
    for (let position = 0; position < this.#sources.length; position++) {
      into.raw(this.#prefixes[position] as Buffer);
      const source = this.#sources[position] as number;
      const encoder = this.#json[position];
      if (source < 0 || !encoder) writeNullValue(into);
      else encoder.writeUnchecked(bytes, start[source] as number, end[source] as number, into);
    }
    into.raw(this.#sources.length === 0 ? textBraces : textBrace);
    if (into.seen > 0x7f && !isUtf8(into.buffer.subarray(begin, into.at))) this.#refuseText(bytes, into, begin);
  }

  /** Field and value of each column of the row found last that is not NULL. */
  fieldTexts(bytes: Buffer, names: readonly string[]): [string, string][] {
    const found: [string, string][] = [];
    for (let position = 0; position < this.#sources.length; position++) {
      const source = this.#sources[position] as number;
      const end = source < 0 ? fieldNull : (this.#fields.end[source] as number);
      if (end < 0) continue;
      scratch.reset();
      present(this.#texts[position], 'a column').write(bytes, this.#fields.start[source] as number, end, scratch);
      found.push([names[position] ?? '', scratch.buffer.toString('utf8', 0, scratch.at)]);
    }
    return found;
  }

  #packJson(bytes: Buffer, into: ByteWriter): void {
    const value = beginString(into);
    this.writeJson(bytes, into);
    endString(into, value);
  }

  #packHash(bytes: Buffer, into: ByteWriter): void {
    const array = beginArray(into);
    let elements = 0;
    for (let position = 0; position < this.#sources.length; position++) {
      const source = this.#sources[position] as number;
      const end = source < 0 ? fieldNull : (this.#fields.end[source] as number);
      if (end < 0) {
        assert(end === fieldNull, `an unchanged value in ${this.#table.topic}`);
        continue;
      }
      into.raw(this.#prefixes[position] as Buffer);
      const value = beginString(into);
      (this.#texts[position] as ValueText).write(bytes, this.#fields.start[source] as number, end, into);
      endString(into, value);
      elements += 2;
    }
    if (elements === 0) {
      throw new TidemarkError('VALUE_INVALID', 'All columns of the row are NULL, and a hash needs a field', {
        hint: 'Write it with `format: json`.',
        place: { table: this.#table.topic },
      });
    }
    endArray(into, array, elements);
  }

  /** Throws for the first value that is not UTF-8. */
  #refuseText(bytes: Buffer, into: ByteWriter, begin: number): void {
    const { start, end } = this.#fields;
    for (let position = 0; position < this.#sources.length; position++) {
      const source = this.#sources[position] as number;
      if (source < 0) continue;
      this.#json[position]?.check(bytes, start[source] as number, end[source] as number, into, begin);
    }
  }
}
