import { leafOf, printArray, readArray } from './array-text.ts';
import type { ArrayValue } from './array-text.ts';
import { RowError } from './expression.ts';
import { comparatorOf } from './order.ts';
import { textOf } from './text.ts';
import type { SqlType } from '../type.ts';
import type { Value } from '../value.ts';

/** Arrays of one type taken apart, changed and printed again. */
export class ArrayEditor {
  readonly #type: SqlType;
  readonly #element: SqlType;
  readonly #delimiter: string;
  readonly #compare: (a: Value, b: Value) => number;

  constructor(type: SqlType) {
    this.#type = type;
    this.#element = leafOf(type);
    this.#delimiter = type.kind === 'array' ? (type.delimiter ?? ',') : ',';
    this.#compare = comparatorOf(this.#element);
  }

  read(text: string): ArrayValue {
    return readArray(text, this.#type);
  }

  print(array: ArrayValue): string {
    return printArray(array, this.#delimiter, (item) => textOf(item, this.#element));
  }

  list(items: readonly Value[], lower = 1): string {
    return this.print({ lengths: items.length === 0 ? [] : [items.length], bounds: [lower], items });
  }

  text(item: Value): string {
    return textOf(item, this.#element);
  }

  /** IS NOT DISTINCT FROM. */
  same(a: Value, b: Value): boolean {
    return a === b || (a !== null && b !== null && this.#compare(a, b) === 0);
  }

  compare(a: Value, b: Value): number {
    return this.#compare(a, b);
  }

  append(text: string | null, item: Value): string {
    const array = text === null ? empty : this.#flat(text);
    return this.list([...array.items, item], array.bounds[0] ?? 1);
  }

  prepend(item: Value, text: string | null): string {
    const array = text === null ? empty : this.#flat(text);
    return this.list([item, ...array.items], array.bounds[0] ?? 1);
  }

  #flat(text: string): ArrayValue {
    const array = this.read(text);
    if (array.lengths.length > 1) {
      throw new RowError('22000', 'argument must be empty or one-dimensional array');
    }
    return array.items.length === 0 ? empty : array;
  }

  /** Along the first dimension; an array of one dimension less is one element of it. */
  concatenate(left: string | null, right: string | null): string | null {
    if (left === null || right === null) return left ?? right;
    const a = this.read(left);
    const b = this.read(right);
    if (b.items.length === 0) return left;
    if (a.items.length === 0) return right;
    const items = [...a.items, ...b.items];
    const [aFirst = 0, ...aRest] = a.lengths;
    const [bFirst = 0, ...bRest] = b.lengths;
    const aInner = [...aRest, ...a.bounds.slice(1)];
    const bInner = [...bRest, ...b.bounds.slice(1)];
    if (sameLengths(aInner, bInner))
      return this.print({ lengths: [aFirst + bFirst, ...aRest], bounds: a.bounds, items });
    if (sameLengths(aInner, [...b.lengths, ...b.bounds]))
      return this.print({ lengths: [aFirst + 1, ...aRest], bounds: a.bounds, items });
    if (sameLengths([...a.lengths, ...a.bounds], bInner))
      return this.print({ lengths: [bFirst + 1, ...bRest], bounds: b.bounds, items });
    throw new RowError('2202E', 'cannot concatenate incompatible arrays');
  }

  /** Shape, bounds and elements are the same; NULLs equal each other. */
  equal(left: string, right: string): boolean {
    if (left === right) return true;
    const a = this.read(left);
    const b = this.read(right);
    return (
      sameLengths(a.lengths, b.lengths) &&
      (a.items.length === 0 || sameLengths(a.bounds, b.bounds)) &&
      a.items.every((item, index) => this.same(item, b.items[index] as Value))
    );
  }

  contains(whole: string, part: string): boolean {
    const { items } = this.read(whole);
    return this.read(part).items.every((item) => items.some((other) => this.#equals(item, other)));
  }

  overlaps(left: string, right: string): boolean {
    const { items } = this.read(left);
    return this.read(right).items.some((item) => items.some((other) => this.#equals(item, other)));
  }

  #equals(a: Value, b: Value): boolean {
    return a !== null && b !== null && this.#compare(a, b) === 0;
  }

  /** Subscripts of the elements that are the same as `item`, from subscript `from` on. */
  positions(text: string, item: Value, from: number | null): number[] {
    const { items, bounds, lengths } = this.read(text);
    if (lengths.length > 1) {
      throw new RowError('0A000', 'searching for elements in multidimensional arrays is not supported');
    }
    const lower = bounds[0] ?? 1;
    const found: number[] = [];
    for (let index = Math.max((from ?? lower) - lower, 0); index < items.length; index++) {
      if (this.same(items[index] as Value, item)) found.push(index + lower);
    }
    return found;
  }

  remove(text: string, item: Value): string {
    const array = this.read(text);
    if (array.lengths.length > 1) {
      throw new RowError('0A000', 'removing elements from multidimensional arrays is not supported');
    }
    const kept = array.items.filter((other) => !this.same(other, item));
    return kept.length === array.items.length ? text : this.list(kept, array.bounds[0] ?? 1);
  }

  replace(text: string, from: Value, to: Value): string {
    const array = this.read(text);
    return this.print({ ...array, items: array.items.map((item) => (this.same(item, from) ? to : item)) });
  }
}

const empty: ArrayValue = { lengths: [], bounds: [1], items: [] };

function sameLengths(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((length, index) => length === b[index]);
}
