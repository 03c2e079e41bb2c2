import { keyBytesMax } from '../../base/constants.ts';
import { TidemarkError, messageOf } from '../../base/errors.ts';
import { flagAfter, flagBefore, flagKeyOnly, opCreate, opDelete, opUpdate } from '../../model/change.ts';
import type { ChangeWriter } from '../../model/change.ts';
import { JsonLineScanner } from '../../model/json-line.ts';
import {
  jsonAbsent,
  jsonEscaped,
  jsonFalse,
  jsonNested,
  jsonNull,
  jsonNumber,
  jsonString,
  jsonTrue,
} from '../../model/json-line.ts';
import { keyEncodingOf, keySizeMax, writeKeyNull, writeKeyPart } from '../../model/key.ts';
import type { KeyEncoding } from '../../model/key.ts';
import { packedSize, writeLength, writeNull } from '../../model/row.ts';
import type { Table } from '../../model/table.ts';
import { arrayLiteral } from './array-literal.ts';
import { copyIsoTime, isoTimeBytesMax } from './iso-time.ts';
import type { NdjsonColumn } from './options.ts';

/** What can be said of a column's values without asking its input function. */
const asItIs = { nothing: 0, integer: 1, numeric: 2, text: 3, json: 4, bool: 5, time: 6 } as const;
type AsItIs = (typeof asItIs)[keyof typeof asItIs];

/** Where a field's text is. */
const inNothing = 0;
const inLine = 1;
const inScratch = 2;

export type LineOp = 'c' | 'u' | 'd';

/**
 * Packs rows of one table from JSON objects, without building the object: values that are in the canonical text of their type already
 * (integers, text …) are copied from the line, all others go through the column's input function.
 */
export class RowPacker {
  readonly table: Table;
  readonly schemaId: number;
  readonly scanner: JsonLineScanner;
  readonly #columns: readonly NdjsonColumn[];
  readonly #kinds: readonly AsItIs[];
  /** Most digits of which an integer surely fits the type. */
  readonly #digits: readonly number[];
  readonly #hasZone: readonly boolean[];
  readonly #isJson: readonly boolean[];
  readonly #isKey: readonly boolean[];
  readonly #encodings: readonly KeyEncoding[];
  /** Of each column: where its text is, and from where to where. */
  readonly #place: Uint8Array;
  readonly #start: Int32Array;
  readonly #end: Int32Array;
  #scratch: Buffer = Buffer.allocUnsafeSlow(4096);
  #scratchEnd = 0;

  /** `columns` are the table's, in its order. */
  constructor(table: Table, columns: readonly NdjsonColumn[], schemaId: number) {
    this.table = table;
    this.schemaId = schemaId;
    this.#columns = columns;
    this.scanner = new JsonLineScanner(columns.map(({ name }) => name));
    this.#kinds = columns.map(kindOf);
    this.#digits = columns.map(({ declared }) => (declared === 'bigint' ? 18 : declared === 'integer' ? 9 : 4));
    this.#hasZone = columns.map(({ declared }) => declared === 'timestamp with time zone');
    this.#isJson = columns.map(({ declared }) => declared === 'json' || declared === 'jsonb');
    this.#isKey = columns.map((_, index) => table.key.includes(index));
    this.#encodings = columns.map(({ type }) => keyEncodingOf(type));
    this.#place = new Uint8Array(columns.length);
    this.#start = new Int32Array(columns.length);
    this.#end = new Int32Array(columns.length);
  }

  /** Appends the change that `bytes[from..to)` makes, a JSON object of the row (of its key, for a delete). VALUE_INVALID for what is none. */
  pack(op: LineOp, bytes: Buffer, from: number, to: number, into: ChangeWriter): void {
    this.scanner.scan(bytes, from, to);
    const keyOnly = op === 'd';
    const size = this.#read(bytes, keyOnly);
    const flags = keyOnly ? flagBefore | flagKeyOnly : flagAfter;
    into.begin(keyOnly ? opDelete : op === 'u' ? opUpdate : opCreate, flags, this.schemaId);
    this.#writeKey(bytes, into);
    into.reserve(size);
    const { buffer } = into;
    let { at } = into;
    for (let column = 0; column < this.#columns.length; column++) {
      const place = this.#place[column];
      if (place === inNothing) {
        at = writeNull(buffer, at);
        continue;
      }
      const start = this.#start[column] as number;
      const end = this.#end[column] as number;
      at = writeLength(buffer, at, end - start);
      at = copy(place === inLine ? bytes : this.#scratch, start, end, buffer, at);
    }
    into.at = at;
    if (keyOnly) into.endBefore();
    into.end();
  }

  #writeKey(bytes: Buffer, into: ChangeWriter): void {
    const begun = into.at;
    for (const column of this.table.key) {
      const start = this.#start[column] as number;
      const end = this.#end[column] as number;
      into.reserve(keySizeMax(end - start));
      into.at =
        this.#place[column] === inNothing
          ? writeKeyNull(into.buffer, into.at)
          : writeKeyPart(
              this.#encodings[column] as KeyEncoding,
              this.#place[column] === inLine ? bytes : this.#scratch,
              start,
              end,
              into.buffer,
              into.at,
            );
    }
    if (into.at - begun > keyBytesMax) {
      const length = into.at - begun;
      into.cancel();
      throw new TidemarkError(
        'VALUE_INVALID',
        `the key of ${this.table.name} has ${length} bytes; ${keyBytesMax} at most`,
      );
    }
    into.endKey();
  }

  /** Finds every field's text (with `keyOnly` the key's alone); returns the bytes that the packed row takes. */
  #read(bytes: Buffer, keyOnly: boolean): number {
    const { scanner } = this;
    this.#scratchEnd = 0;
    let size = 0;
    for (let column = 0; column < this.#columns.length; column++) {
      const kind = scanner.kind[column] as number;
      if (kind === jsonAbsent || kind === jsonNull || (keyOnly && this.#isKey[column] === false)) {
        if (this.#isKey[column] === true) throw this.#invalid(column, kind === jsonNull ? 'is null' : 'is missing');
        this.#place[column] = inNothing;
        size++;
        continue;
      }
      if (this.#isAsItIs(column, kind, bytes)) this.#place[column] = inLine;
      else if (!this.#isIsoTime(column, kind, bytes)) this.#convert(column, kind);
      size += packedSize((this.#end[column] as number) - (this.#start[column] as number));
    }
    return size;
  }

  /** Whether the value's bytes in the line are the type's canonical text; says then where they are. */
  #isAsItIs(column: number, kind: number, bytes: Buffer): boolean {
    const start = this.scanner.start[column] as number;
    const end = this.scanner.end[column] as number;
    switch (this.#kinds[column]) {
      case asItIs.integer:
        if (kind !== jsonNumber || end - start > (this.#digits[column] as number)) return false;
        if (!isDigits(bytes, start, end, false)) return false;
        break;
      case asItIs.numeric:
        if (kind !== jsonNumber || end - start > 1000 || !isDigits(bytes, start, end, true)) return false;
        break;
      case asItIs.text:
        if (kind !== jsonString) return false;
        break;
      case asItIs.json:
        if (kind === jsonString || kind === jsonEscaped) {
          // JSON's text has its quotes.
          this.#start[column] = kind === jsonString ? start - 1 : start;
          this.#end[column] = kind === jsonString ? end + 1 : end;
          return true;
        }
        break;
      default:
        return false;
    }
    this.#start[column] = start;
    this.#end[column] = end;
    return true;
  }

  /** Whether the value is a time in the usual form; it is in the scratch buffer then. */
  #isIsoTime(column: number, kind: number, bytes: Buffer): boolean {
    if (this.#kinds[column] !== asItIs.time || kind !== jsonString) return false;
    this.#reserve(isoTimeBytesMax);
    const start = this.#scratchEnd;
    const from = this.scanner.start[column] as number;
    const to = this.scanner.end[column] as number;
    const end = copyIsoTime(bytes, from, to, this.#hasZone[column] === true, this.#scratch, start);
    if (end < 0) return false;
    this.#place[column] = inScratch;
    this.#start[column] = start;
    this.#end[column] = this.#scratchEnd = end;
    return true;
  }

  #convert(column: number, kind: number): void {
    let text: string;
    if (this.#kinds[column] === asItIs.bool && (kind === jsonTrue || kind === jsonFalse)) {
      text = kind === jsonTrue ? 't' : 'f';
    } else {
      const given = this.#given(column, kind);
      if (given.includes('\0')) throw this.#invalid(column, 'holds the character NUL, which no text in SQL can');
      try {
        text = (this.#columns[column] as NdjsonColumn).input(given);
      } catch (error) {
        if (!(error instanceof TidemarkError)) throw error;
        throw this.#invalid(column, `is no ${this.#columns[column]?.declared}: ${messageOf(error)}`);
      }
    }
    this.#reserve(3 * text.length);
    const start = this.#scratchEnd;
    this.#place[column] = inScratch;
    this.#start[column] = start;
    this.#end[column] = this.#scratchEnd = start + this.#scratch.write(text, start);
  }

  /** Makes room in the scratch buffer, for fields that the line does not have as they are to be. */
  #reserve(bytes: number): void {
    const wanted = this.#scratchEnd + bytes;
    if (wanted <= this.#scratch.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * wanted);
    this.#scratch.copy(larger, 0, 0, this.#scratchEnd);
    this.#scratch = larger;
  }

  /** The text to give to the input function. */
  #given(column: number, kind: number): string {
    if (kind === jsonTrue) return 'true';
    if (kind === jsonFalse) return 'false';
    const text = this.scanner.text(column);
    // A string in a json column is a JSON string, not a document to be parsed.
    if (this.#isJson[column] === true && (kind === jsonString || kind === jsonEscaped)) return JSON.stringify(text);
    const declared = (this.#columns[column] as NdjsonColumn).declared;
    if (kind !== jsonNested || !declared.endsWith('[]') || !text.startsWith('[')) return text;
    return arrayLiteral(text, declared.startsWith('json') ? 'json' : 'values');
  }

  #invalid(column: number, why: string): TidemarkError {
    return new TidemarkError('VALUE_INVALID', `${this.table.name}.${this.#columns[column]?.name} ${why}`);
  }
}

function kindOf({ declared }: NdjsonColumn): AsItIs {
  switch (declared) {
    case 'bigint':
    case 'integer':
    case 'smallint':
      return asItIs.integer;
    case 'numeric':
      return asItIs.numeric;
    case 'text':
    case 'character varying':
      return asItIs.text;
    case 'json':
      return asItIs.json;
    case 'boolean':
      return asItIs.bool;
    case 'timestamp without time zone':
    case 'timestamp with time zone':
      return asItIs.time;
    default:
      return asItIs.nothing;
  }
}

/** Whether a JSON number is digits alone, perhaps signed (but not -0) and with a `dot`. JSON has no zeros in front. */
function isDigits(bytes: Buffer, start: number, end: number, dot: boolean): boolean {
  let at = start;
  if (bytes[at] === 0x2d /* - */) {
    at++;
    if (bytes[at] === 0x30) return false;
  }
  for (; at < end; at++) {
    const byte = bytes[at] as number;
    if ((byte < 0x30 || byte > 0x39) && !(dot && byte === 0x2e)) return false;
  }
  return true;
}

/** Short values are copied byte by byte: a call of `copy` costs as much as 30 bytes. */
function copy(from: Buffer, start: number, end: number, into: Buffer, at: number): number {
  if (end - start > 32) return at + from.copy(into, at, start, end);
  for (let index = start; index < end; index++) into[at++] = from[index] as number;
  return at;
}
