import { present } from '../../base/assert.ts';
import type { SqlType } from '../type.ts';
import type { Row, Value } from '../value.ts';
import { compareText, withoutTrailingBlanks } from './characters.ts';
import { arrayItems, compareShapes, leafOf } from './array-text.ts';
import { compareIntervals } from './interval.ts';
import { parseInterval } from './interval-text.ts';
import { compareJsonb } from './jsonb-compare.ts';
import { recordFields } from './record-text.ts';
import { compareNumeric, readNumeric } from './numeric.ts';
import { formOf } from './forms.ts';

export interface OrderKey {
  readonly position: number;
  readonly type: SqlType;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

export type Comparator = (a: Value, b: Value) => number;

/** ORDER BY: 0 for rows that SQL does not tell apart. Text orders by code point (COLLATE "C"). */
export function compareBy(keys: readonly OrderKey[]): (a: Row, b: Row) => number {
  const [first, ...others] = keys;
  if (first === undefined) return () => 0;
  const head = compareOne(first);
  if (others.length === 0) return head;
  const tail = compareBy(others);
  return (a, b) => head(a, b) || tail(a, b);
}

function compareOne({ position, type, descending, nullsFirst }: OrderKey): (a: Row, b: Row) => number {
  const compare = comparatorOf(type);
  const nullSide = nullsFirst ? -1 : 1;
  const sign = descending ? -1 : 1;
  return (a, b) => {
    const x = a[position] as Value;
    const y = b[position] as Value;
    if (x === y) return 0;
    if (x === null) return nullSide;
    if (y === null) return -nullSide;
    return sign * compare(x, y);
  };
}

/** A total order over whole rows: 0 only for rows that are the same (`sameRow`). It need not be SQL's. */
export function compareRows(types: readonly SqlType[]): (a: Row, b: Row) => number {
  const width = types.length;
  return (a, b) => {
    if (a === b) return 0;
    for (let index = 0; index < width; index++) {
      const x = a[index] as Value;
      const y = b[index] as Value;
      if (Object.is(x, y)) continue;
      const order = compareValues(x, y);
      if (order !== 0) return order;
    }
    return 0;
  };
}

/** Values of one column, of which the forms alone matter: nulls last, −0 before 0, NaN after every number. */
function compareValues(x: Value, y: Value): number {
  if (x === null) return 1;
  if (y === null) return -1;
  if (x < y) return -1;
  if (x > y) return 1;
  if (x === 0 && y === 0) return Object.is(x, -0) ? -1 : 1;
  return Number.isNaN(x) ? 1 : Number.isNaN(y) ? -1 : 0;
}

/** SQL's order of values that are not NULL, as they stand in rows; 0 where `=` holds. */
export function comparatorOf(type: SqlType): Comparator {
  if (type.kind === 'array') return arrayComparator(type);
  if (type.kind === 'record') return recordComparator(type);
  switch (type.name) {
    case 'bool':
    case 'int2':
    case 'int4':
    case 'int8':
      return compareForms;
    case 'float4':
    case 'float8':
      return compareFloats;
    case 'numeric':
      return (a, b) => (a === b ? 0 : compareNumeric(readNumeric(a as string), readNumeric(b as string)));
    case 'bpchar':
      return (a, b) => compareText(withoutTrailingBlanks(a as string), withoutTrailingBlanks(b as string));
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return timeComparator(type);
    case 'interval':
      return (a, b) => (a === b ? 0 : compareIntervals(parseInterval(a as string), parseInterval(b as string)));
    case 'jsonb':
      return (a, b) => (a === b ? 0 : compareJsonb(a as string, b as string));
    default:
      return (a, b) => compareText(a as string, b as string);
  }
}

function compareForms(a: Value, b: Value): number {
  const x = a as number;
  const y = b as number;
  return x < y ? -1 : x > y ? 1 : 0;
}

function compareFloats(a: Value, b: Value): number {
  const x = a as number;
  const y = b as number;
  if (x < y) return -1;
  if (x > y) return 1;
  if (x === y) return 0;
  return Number.isNaN(x) ? (Number.isNaN(y) ? 0 : 1) : -1;
}

/** Element by element, a NULL being equal to a NULL and greater than everything else; then the shorter first. */
function arrayComparator(type: Extract<SqlType, { kind: 'array' }>): Comparator {
  const compare = comparatorOf(leafOf(type));
  return (a, b) => {
    if (a === b) return 0;
    const x = arrayItems(a as string, type);
    const y = arrayItems(b as string, type);
    const shared = Math.min(x.length, y.length);
    for (let index = 0; index < shared; index++) {
      const order = compareItems(x[index] as Value, y[index] as Value, compare);
      if (order !== 0) return order;
    }
    return x.length - y.length || compareShapes(a as string, b as string, type);
  };
}

function recordComparator(type: Extract<SqlType, { kind: 'record' }>): Comparator {
  const types = type.fields.map((field) => field.type);
  const compares = types.map(comparatorOf);
  return (a, b) => {
    if (a === b) return 0;
    const x = recordFields(a as string, types);
    const y = recordFields(b as string, types);
    for (let index = 0; index < types.length; index++) {
      const order = compareItems(x[index] as Value, y[index] as Value, compares[index] as Comparator);
      if (order !== 0) return order;
    }
    return 0;
  };
}

function compareItems(x: Value, y: Value, compare: Comparator): number {
  if (x === y) return 0;
  if (x === null) return 1;
  if (y === null) return -1;
  return compare(x, y);
}

/**
 * Dates and timestamps order as their texts do when both have a year of four digits, before which and after which other characters
 * stand; else as what the texts mean.
 */
function timeComparator(type: SqlType): Comparator {
  const read = present(formOf(type), 'native form').read;
  return (a, b) => {
    const x = a as string;
    const y = b as string;
    if (hasPlainYear(x) && hasPlainYear(y)) return x < y ? -1 : x > y ? 1 : 0;
    return compareForms(read(x) as Value, read(y) as Value);
  };
}

/** `2024-…` without `BC` at its end. */
function hasPlainYear(text: string): boolean {
  return text.charCodeAt(4) === 45 && text.charCodeAt(text.length - 1) !== 67;
}
