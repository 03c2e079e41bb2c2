import { boundsText, quoteItem, readArray } from '../array-text.ts';
import { RowError } from '../expression.ts';
import type { AggregateFunction } from '../expression.ts';
import type { AggregateDefinition } from '../functions/definition.ts';
import { jsonKeyWriter, jsonbNameWriter } from '../json-build.ts';
import { jsonLines } from '../json-fusion.ts';
import { jsonWriter } from '../json-text.ts';
import { jsonbObject, jsonbWriter } from '../jsonb-text.ts';
import { textOf } from '../text.ts';
import type { SqlType } from '../../type.ts';
import { sqlScalar } from '../../type.ts';
import type { Value } from '../../value.ts';

/** Aggregates that put all rows of a group together, in their order. */

type Rows = Iterable<{ readonly args: readonly Value[]; readonly weight: number }>;

function collected(
  collect: (rows: Rows) => Value,
  skipsNull = false,
): Pick<AggregateFunction, 'skipsNull' | 'linear' | 'collect' | 'first'> {
  return { skipsNull, linear: null, collect, first: null };
}

/** The delimiter of a row goes before it; that of the first is not used. */
function concatenate(rows: Rows): Value {
  let text: string | null = null;
  for (const { args, weight } of rows) {
    const value = args[0] as string;
    const delimiter = args[1] as string | null;
    for (let times = 0; times < weight; times++) text = text === null ? value : text + (delimiter ?? '') + value;
  }
  return text;
}

/** Of `\x…` texts. */
function concatenateBytes(rows: Rows): Value {
  let text: string | null = null;
  for (const { args, weight } of rows) {
    const value = (args[0] as string).slice(2);
    const delimiter = ((args[1] as string | null) ?? '\\x').slice(2);
    for (let times = 0; times < weight; times++) text = text === null ? `\\x${value}` : text + delimiter + value;
  }
  return text;
}

function arrayOf(type: SqlType): (rows: Rows) => Value {
  const delimiter = ',';
  return (rows) => {
    const items: string[] = [];
    for (const { args, weight } of rows) {
      const value = args[0] as Value;
      const item = value === null ? 'NULL' : quoteItem(textOf(value, type), delimiter);
      for (let times = 0; times < weight; times++) items.push(item);
    }
    return items.length === 0 ? null : `{${items.join(delimiter)}}`;
  };
}

/** An array of arrays has one more dimension; all must be of the same shape. */
function arrayOfArrays(type: SqlType): (rows: Rows) => Value {
  return (rows) => {
    const items: string[] = [];
    let shape: string | null = null;
    /** The lower bounds of the first array, where they are not all 1. */
    let inner = '';
    for (const { args, weight } of rows) {
      const value = args[0] as string | null;
      if (value === null) throw new RowError('22004', 'cannot accumulate null arrays');
      const { lengths, bounds } = readArray(value, type);
      if (lengths.length === 0 && shape === null) throw new RowError('2202E', 'cannot accumulate empty arrays');
      const own = boundsText(bounds, lengths);
      if (shape !== null && shape !== own) {
        throw new RowError('2202E', 'cannot accumulate arrays of different dimensionality');
      }
      if (shape === null && bounds.some((bound) => bound !== 1)) inner = boundsText(bounds, lengths);
      shape = own;
      const text = value.slice(value.indexOf('{'));
      for (let times = 0; times < weight; times++) items.push(text);
    }
    if (items.length === 0) return null;
    return `${inner === '' ? '' : `[1:${items.length}]${inner}=`}{${items.join(',')}}`;
  };
}

/** Records and arrays begin on a line of their own, unless they are NULL. */
export function jsonSeparator(type: SqlType): string {
  return type.kind === 'scalar' ? ', ' : ', \n ';
}

export function jsonArrayOf(
  write: (value: Value) => string,
  separator: string,
  skipsNulls: boolean,
): (rows: Rows) => Value {
  return (rows) => {
    let text: string | null = null;
    for (const { args, weight } of rows) {
      const value = args[0] as Value;
      text ??= '';
      if (skipsNulls && value === null) continue;
      const item = write(value);
      const before = value === null ? ', ' : separator;
      for (let times = 0; times < weight; times++) text += text === '' ? item : before + item;
    }
    return text === null ? null : `[${text}]`;
  };
}

function jsonObjectOf(types: readonly SqlType[], skipsNulls: boolean): (rows: Rows) => Value {
  const writeKey = jsonKeyWriter(types[0] as SqlType, 'null value not allowed for object key', '22004');
  const writeValue = jsonWriter(types[1] as SqlType);
  return (rows) => {
    let text: string | null = null;
    for (const { args, weight } of rows) {
      const value = args[1] as Value;
      if (skipsNulls && value === null && args[0] !== null) {
        text ??= '';
        continue;
      }
      const member = `${writeKey(args[0] as Value)} : ${writeValue(value)}`;
      for (let times = 0; times < weight; times++) text = text === null || text === '' ? member : `${text}, ${member}`;
    }
    return text === null ? null : `{ ${text} }`;
  };
}

function jsonbObjectOf(types: readonly SqlType[]): (rows: Rows) => Value {
  const writeName = jsonbNameWriter(types[0] as SqlType, 'field name must not be null', '22023');
  const writeValue = jsonbWriter(types[1] as SqlType);
  return (rows) => {
    const members: [string, string][] = [];
    for (const { args } of rows) members.push([writeName(args[0] as Value), writeValue(args[1] as Value)]);
    return members.length === 0 ? null : jsonbObject(members);
  };
}

function first(types: readonly SqlType[]): SqlType {
  return types[0] ?? sqlScalar('text');
}

function arrayType(types: readonly SqlType[]): SqlType {
  return { kind: 'array', element: first(types) };
}

export const collectionAggregates: readonly AggregateDefinition[] = [
  { name: 'string_agg', args: ['text', 'text'], result: 'text', bind: () => collected(concatenate, true) },
  { name: 'string_agg', args: ['bytea', 'bytea'], result: 'bytea', bind: () => collected(concatenateBytes, true) },
  {
    name: 'array_agg',
    args: ['anynonarray'],
    result: 'anyarray',
    bind: (types) => collected(arrayOf(first(types))),
    resultOf: arrayType,
  },
  {
    name: 'array_agg',
    args: ['anyarray'],
    result: 'anyarray',
    bind: (types) => collected(arrayOfArrays(first(types))),
    resultOf: first,
  },
  ...['json_agg', 'json_agg_strict'].map((name): AggregateDefinition => ({
    name,
    args: ['anyelement'],
    result: 'json',
    bind: (types) => collected(jsonArrayOf(jsonWriter(first(types)), jsonSeparator(first(types)), name !== 'json_agg')),
  })),
  {
    name: jsonLines,
    args: ['json'],
    result: 'json',
    bind: () => collected(jsonArrayOf(String, ', \n ', false)),
  },
  ...['jsonb_agg', 'jsonb_agg_strict'].map((name): AggregateDefinition => ({
    name,
    args: ['anyelement'],
    result: 'jsonb',
    bind: (types) => collected(jsonArrayOf(jsonbWriter(first(types)), ', ', name !== 'jsonb_agg')),
  })),
  ...['json_object_agg', 'json_object_agg_strict'].map((name): AggregateDefinition => ({
    name,
    args: ['any', 'any'],
    result: 'json',
    bind: (types) => collected(jsonObjectOf(types, name !== 'json_object_agg')),
  })),
  {
    name: 'jsonb_object_agg',
    args: ['any', 'any'],
    result: 'jsonb',
    bind: (types) => collected(jsonbObjectOf(types)),
  },
];
