import { leafOf, readArray } from './array-text.ts';
import { RowError } from './expression.ts';
import { arrayJson, jsonString, jsonWriter } from './json-text.ts';
import { skipBlanks, unescapeJson } from './json-scan.ts';
import { recordFields } from './record-text.ts';
import { textOf } from './text.ts';
import type { SqlType } from '../type.ts';
import type { Value } from '../value.ts';

/**
 * jsonb is kept as the text that jsonb_out prints: one space after `:` and `,`, members in the order of their names' lengths in bytes, then
 * of their bytes, the last of equal names; numbers as numeric prints them. Texts in this form compose: an array is its elements' texts with brackets
 * around them.
 */

/** jsonb_in. RowError 22P02 in PostgreSQL's words. */
export function parseJsonb(text: string): string {
  return new JsonbParser(text).parse();
}

/** json_in: the text itself, checked. */
export function parseJson(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    throw invalidJson();
  }
  return text;
}

export function invalidJson(): RowError {
  return new RowError('22P02', 'invalid input syntax for type json');
}

class JsonbParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): string {
    // The grammar is checked natively; what follows trusts it.
    parseJson(this.#text);
    this.#at = skipBlanks(this.#text, 0);
    return this.#value();
  }

  #value(): string {
    const text = this.#text;
    switch (text.charCodeAt(this.#at)) {
      case 0x7b:
        return this.#object();
      case 0x5b:
        return this.#array();
      case 0x22:
        return jsonString(this.#string());
      default: {
        const start = this.#at;
        let end = start;
        while (end < text.length && !/[\s,\]}]/.test(text.charAt(end))) end++;
        this.#at = end;
        const word = text.slice(start, end);
        return word === 'true' || word === 'false' || word === 'null' ? word : canonicalNumber(word);
      }
    }
  }

  #string(): string {
    const start = this.#at;
    const text = this.#text;
    let end = start + 1;
    while (text.charCodeAt(end) !== 0x22) end += text.charCodeAt(end) === 0x5c ? 2 : 1;
    this.#at = end + 1;
    return unescapeJson(text.slice(start, end + 1));
  }

  #array(): string {
    const items: string[] = [];
    this.#skip(1);
    while (this.#text.charCodeAt(this.#at) !== 0x5d) {
      items.push(this.#value());
      this.#skip(0);
      if (this.#text.charCodeAt(this.#at) === 0x2c) this.#skip(1);
    }
    this.#at++;
    return jsonbArray(items);
  }

  #object(): string {
    const members: [string, string][] = [];
    this.#skip(1);
    while (this.#text.charCodeAt(this.#at) === 0x22) {
      const name = this.#string();
      this.#skip(0);
      this.#skip(1);
      members.push([name, this.#value()]);
      this.#skip(0);
      if (this.#text.charCodeAt(this.#at) !== 0x2c) break;
      this.#skip(1);
    }
    this.#at++;
    return jsonbObject(members);
  }

  #skip(characters: number): void {
    this.#at = skipBlanks(this.#text, this.#at + characters);
  }
}

export function jsonbArray(items: readonly string[]): string {
  return `[${items.join(', ')}]`;
}

/** The last of members with the same name counts. */
export function jsonbObject(members: readonly (readonly [name: string, value: string])[]): string {
  const last = new Map(members);
  const names = [...last.keys()].toSorted(compareNames);
  return `{${names.map((name) => `${jsonString(name)}: ${last.get(name) as string}`).join(', ')}}`;
}

/** The order of an object's members: by length in bytes, then by the bytes. */
export function compareNames(a: string, b: string): number {
  if (isAscii(a) && isAscii(b)) {
    if (a.length !== b.length) return a.length - b.length;
    return a < b ? -1 : a > b ? 1 : 0;
  }
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length - right.length || Buffer.compare(left, right);
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}

/** A JSON number as numeric prints it: without exponent, without the sign of a zero. */
export function canonicalNumber(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) throw invalidJson();
  const [, sign = '', whole = '', fraction = '', exponentText] = match;
  let digits = whole + fraction;
  let scale = fraction.length;
  if (exponentText !== undefined) {
    const exponent = Number(exponentText);
    if (Math.abs(exponent) > 200_000) throw new RowError('22003', 'value overflows numeric format');
    scale -= exponent;
    if (scale < 0) {
      digits += '0'.repeat(-scale);
      scale = 0;
    }
  }
  digits = digits.replace(/^0+/, '').padStart(scale + 1, '0');
  const isZero = /^0+$/.test(digits);
  const body = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  return isZero ? body : sign + body;
}

/** to_jsonb of a value as it stands in a row. */
export type JsonbWriter = (value: Value) => string;

export function jsonbWriter(type: SqlType): JsonbWriter {
  if (type.kind === 'array') {
    const item = jsonbWriter(leafOf(type));
    return (value) => (value === null ? 'null' : arrayJson(readArray(value as string, type), item, ', '));
  }
  if (type.kind === 'record') {
    const types = type.fields.map((field) => field.type);
    const write = jsonbFieldsWriter(
      type.fields.map((field) => field.name),
      types,
    );
    return (value) => (value === null ? 'null' : write(recordFields(value as string, types)));
  }
  switch (type.name) {
    case 'json':
      return (value) => (value === null ? 'null' : parseJsonb(value as string));
    case 'float4':
    case 'float8':
      return (value) => {
        if (value === null) return 'null';
        const text = textOf(value, type);
        return Number.isFinite(value) ? canonicalNumber(text) : `"${text}"`;
      };
    default:
      return jsonWriter(type);
  }
}

/** An object of fields whose names are known: their order is worked out once. */
export function jsonbFieldsWriter(
  names: readonly string[],
  types: readonly SqlType[],
): (values: readonly Value[]) => string {
  const last = new Map(names.map((name, index) => [name, index]));
  const order = [...last.keys()].toSorted(compareNames);
  const positions = order.map((name) => last.get(name) as number);
  const prefixes = order.map((name, index) => `${index === 0 ? '{' : ', '}${jsonString(name)}: `);
  const writers = positions.map((position) => jsonbWriter(types[position] as SqlType));
  return (values) => {
    if (writers.length === 0) return '{}';
    let text = '';
    for (let index = 0; index < writers.length; index++) {
      text += prefixes[index] as string;
      text += (writers[index] as JsonbWriter)(values[positions[index] as number] as Value);
    }
    return `${text}}`;
  };
}
