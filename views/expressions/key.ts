import { sqlScalar } from '../type.ts';
import type { SqlType } from '../type.ts';
import type { Row, StateKey, Value } from '../value.ts';
import { withoutTrailingBlanks } from './characters.ts';
import { leafOf, printArray, readArray } from './array-text.ts';
import { spanOf } from './interval.ts';
import { parseInterval } from './interval-text.ts';
import { jsonbKey } from './jsonb-compare.ts';
import { recordPrinter } from './composite-text.ts';
import { recordFields } from './record-text.ts';

/** A value's form that is the same exactly for values that SQL's `=` holds for. null: it is so already. */
type Canonical = ((value: Value) => Value) | null;

/**
 * The key of a row's columns: equal exactly where SQL's `=` holds for each (two NULLs are equal with `keep`: GROUP BY, DISTINCT).
 * undefined: one is NULL and `nulls` is `skip`, so that it equals nothing (joins). `types` are those of the columns at `positions`.
 */
export function compileKey(
  types: readonly SqlType[],
  positions: readonly number[],
  nulls: 'skip' | 'keep',
): (row: Row) => StateKey | undefined {
  const canonical = types.map(canonicalOf);
  const skip = nulls === 'skip';
  const [position] = positions;
  if (position === undefined) return () => '';
  if (positions.length === 1) return singleKey(position, canonical[0] ?? null, skip);
  return (row) => {
    let key = '';
    for (let index = 0; index < positions.length; index++) {
      let value = row[positions[index] as number] as Value;
      if (value === null) {
        if (skip) return undefined;
      } else {
        const form = canonical[index];
        if (form !== null && form !== undefined) value = form(value);
      }
      key += part(value);
    }
    return key;
  };
}

function singleKey(position: number, form: Canonical, skip: boolean): (row: Row) => StateKey | undefined {
  if (form === null) {
    if (!skip) return (row) => row[position];
    return (row) => {
      const value = row[position];
      return value === null ? undefined : value;
    };
  }
  return (row) => {
    const value = row[position] as Value;
    if (value === null) return skip ? undefined : null;
    return form(value);
  };
}

/**
 * One column within a key of several: `n`; a boolean, `t` or `f`; a number or bigint, `i` with its digits and a semicolon; a text, its length in front,
 * `5:hello`. No part begins as another one ends, so that parts cannot be taken for others.
 */
function part(value: Value): string {
  if (typeof value === 'string') return `${value.length}:${value}`;
  if (value === null) return 'n';
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return `i${value};`;
}

function canonicalOf(type: SqlType): Canonical {
  if (type.kind === 'array') return canonicalArray(type);
  if (type.kind === 'record') return canonicalRecord(type);
  switch (type.name) {
    case 'numeric':
      return (value) => canonicalNumeric(value as string);
    case 'interval':
      return (value) => spanOf(parseInterval(value as string));
    case 'jsonb':
      return (value) => jsonbKey(value as string);
    case 'bpchar':
      return (value) => withoutTrailingBlanks(value as string);
    case 'float4':
    case 'float8':
      // A Map takes −0 and 0 as one key, a text form would not.
      return (value) => (value as number) + 0;
    default:
      return null;
  }
}

/** Without zeros at the end of the digits after the point. */
function canonicalNumeric(text: string): string {
  let end = text.length;
  if (text.charCodeAt(end - 1) !== 48 || !text.includes('.')) return text;
  while (text.charCodeAt(end - 1) === 48) end--;
  if (text.charCodeAt(end - 1) === 46) end--;
  return text.slice(0, end);
}

/** Dimensions and bounds belong to the value. */
function canonicalArray(type: Extract<SqlType, { kind: 'array' }>): Canonical {
  const element = leafOf(type);
  const item = canonicalOf(element);
  if (item === null) return null;
  const delimiter = type.delimiter ?? ',';
  return (value) => printArray(readArray(value as string, type), delimiter, (part1) => String(item(part1)));
}

function canonicalRecord(type: Extract<SqlType, { kind: 'record' }>): Canonical {
  const types = type.fields.map((field) => field.type);
  const forms = types.map(canonicalOf);
  if (forms.every((form) => form === null)) return null;
  const print = recordPrinter(types.map(() => sqlScalar('text')));
  return (value) => {
    const fields = recordFields(value as string, types);
    const keys = fields.map((field, index) => {
      const form = forms[index];
      if (field === null) return null;
      return form === null || form === undefined ? String(field) : String(form(field));
    });
    return print(keys);
  };
}
