import { RowError } from './expression.ts';
import { valueOf } from './text.ts';
import type { SqlType } from '../type.ts';
import type { Value } from '../value.ts';

/**
 * Reads the texts of arrays, as array_out prints them: `{1,NULL,"a \"b\""}`, `{{1,2},{3,4}}`, `[0:1]={1,2}`. An array of several
 * dimensions is of the same type as one of one; its text tells.
 */
export interface ArrayValue {
  /** Lengths of the dimensions; none for an empty array. */
  readonly lengths: readonly number[];
  /** The subscript of the first element in each dimension. */
  readonly bounds: readonly number[];
  /** All elements, the last subscript running fastest. */
  readonly items: readonly Value[];
}

const quote = 0x22;
const backslash = 0x5c;
const open = 0x7b;
const close = 0x7d;

/** The elements of an array of any number of dimensions, in storage order. */
export function arrayItems(text: string, type: SqlType): Value[] {
  const items: Value[] = [];
  new ArrayReader(text, type).read(items);
  return items;
}

export function readArray(text: string, type: SqlType): ArrayValue {
  const items: Value[] = [];
  const reader = new ArrayReader(text, type);
  reader.read(items);
  return { lengths: items.length === 0 ? [] : reader.lengths, bounds: reader.bounds, items };
}

class ArrayReader {
  readonly #text: string;
  readonly #element: SqlType;
  readonly #delimiter: number;
  #at = 0;
  readonly lengths: number[] = [];
  bounds: number[] = [];

  constructor(text: string, type: SqlType) {
    this.#text = text;
    this.#element = type.kind === 'array' ? leafOf(type) : type;
    this.#delimiter = (type.kind === 'array' ? (type.delimiter ?? ',') : ',').charCodeAt(0);
  }

  read(items: Value[]): void {
    const text = this.#text;
    if (text.charCodeAt(0) === 0x5b /* [ */) {
      const equals = text.indexOf('=');
      this.bounds = [...text.slice(0, equals).matchAll(/\[([+-]?\d+):/g)].map((match) => Number(match[1]));
      this.#at = equals + 1;
    }
    if (text.charCodeAt(this.#at) !== open) throw malformed(text);
    this.#dimension(items, 0);
    if (this.#at !== text.length) throw malformed(text);
    while (this.bounds.length < this.lengths.length) this.bounds.push(1);
  }

  /** From an opening brace to after its closing one. */
  #dimension(items: Value[], depth: number): void {
    const text = this.#text;
    this.#at++;
    let length = 0;
    if (text.charCodeAt(this.#at) === close) {
      this.#at++;
      this.lengths[depth] = 0;
      return;
    }
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (code === open) this.#dimension(items, depth + 1);
      else if (code === quote) items.push(this.#quoted());
      else items.push(this.#bare());
      length++;
      const next = text.charCodeAt(this.#at++);
      if (next === close) break;
      if (next !== this.#delimiter) throw malformed(text);
    }
    this.lengths[depth] = length;
  }

  #quoted(): Value {
    const text = this.#text;
    const start = ++this.#at;
    let at = start;
    let code = text.charCodeAt(at);
    while (code !== quote && code !== backslash && at < text.length) code = text.charCodeAt(++at);
    if (code === quote) {
      this.#at = at + 1;
      return valueOf(text.slice(start, at), this.#element);
    }
    let found = text.slice(start, at);
    for (; at < text.length; at++) {
      code = text.charCodeAt(at);
      if (code === quote) {
        this.#at = at + 1;
        return valueOf(found, this.#element);
      }
      if (code === backslash) at++;
      found += text.charAt(at);
    }
    throw malformed(text);
  }

  #bare(): Value {
    const text = this.#text;
    const start = this.#at;
    let at = start;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === this.#delimiter || code === close) break;
    }
    this.#at = at;
    const found = text.slice(start, at);
    return found === 'NULL' ? null : valueOf(found, this.#element);
  }
}

function malformed(text: string): RowError {
  return new RowError('22P02', `malformed array literal: "${text}"`);
}

/** The type of an array's elements, whatever the number of its dimensions. */
export function leafOf(type: SqlType): SqlType {
  return type.kind === 'array' ? leafOf(type.element) : type;
}

/** Prints elements in the given shape. `print` gives the text of one that is not NULL. */
export function printArray(value: ArrayValue, delimiter: string, print: (item: Value) => string): string {
  const { lengths, bounds, items } = value;
  if (items.length === 0) return '{}';
  let at = 0;
  const dimension = (depth: number): string => {
    const parts: string[] = [];
    for (let index = 0; index < (lengths[depth] as number); index++) {
      if (depth + 1 < lengths.length) parts.push(dimension(depth + 1));
      else {
        const item = items[at++] as Value;
        parts.push(item === null ? 'NULL' : quoteItem(print(item), delimiter));
      }
    }
    return `{${parts.join(delimiter)}}`;
  };
  const prefix = bounds.some((bound) => bound !== 1) ? `${boundsText(bounds, lengths)}=` : '';
  return prefix + dimension(0);
}

/** `[0:1][2:3]` */
export function boundsText(bounds: readonly number[], lengths: readonly number[]): string {
  return bounds.map((bound, index) => `[${bound}:${bound + (lengths[index] as number) - 1}]`).join('');
}

export function quoteItem(text: string, delimiter: string): string {
  if (text !== '' && !/["\\{} \t\n\r\v\f]/.test(text) && !text.includes(delimiter) && !/^null$/i.test(text))
    return text;
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

/** The order of arrays with the same elements: fewer dimensions first, then shorter ones, then lower bounds. */
export function compareShapes(a: string, b: string, type: SqlType): number {
  // Only nested braces and bounds in front make shapes that elements do not tell.
  if (a.charCodeAt(0) === open && b.charCodeAt(0) === open && a.charCodeAt(1) !== open && b.charCodeAt(1) !== open)
    return 0;
  const left = readArray(a, type);
  const right = readArray(b, type);
  const order = left.lengths.length - right.lengths.length || compareLists(left.lengths, right.lengths);
  return order || (left.items.length === 0 ? 0 : compareLists(left.bounds, right.bounds));
}

function compareLists(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < a.length; index++) {
    const order = (a[index] as number) - (b[index] as number);
    if (order !== 0) return order;
  }
  return 0;
}

/** ARRAY[…] of arrays: one dimension more than theirs, which must be alike; nothing but empty ones make an empty array. */
export function nestedArrayPrinter(type: SqlType): (items: readonly Value[]) => string {
  const delimiter = type.kind === 'array' ? (type.delimiter ?? ',') : ',';
  return (items) => {
    let shape: string | null = null;
    let isAnyEmpty = false;
    let hasBounds = false;
    const texts: string[] = [];
    for (const item of items) {
      const { lengths, bounds } = item === null ? noArray : readArray(item as string, type);
      if (lengths.length === 0) {
        isAnyEmpty = true;
        continue;
      }
      const own = boundsText(bounds, lengths);
      if (shape !== null && shape !== own) throw mismatched();
      hasBounds ||= bounds.some((bound) => bound !== 1);
      shape = own;
      texts.push((item as string).slice((item as string).indexOf('{')));
    }
    if (shape === null) return '{}';
    if (isAnyEmpty) throw mismatched();
    return `${hasBounds ? `[1:${texts.length}]${shape}=` : ''}{${texts.join(delimiter)}}`;
  };
}

const noArray: ArrayValue = { lengths: [], bounds: [], items: [] };

function mismatched(): RowError {
  return new RowError('2202E', 'multidimensional arrays must have array expressions with matching dimensions');
}
