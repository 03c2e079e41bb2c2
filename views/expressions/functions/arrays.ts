import { recordFields } from '../record-text.ts';
import { ArrayEditor } from '../array-edit.ts';
import { RowError } from '../expression.ts';
import { jsonElement, jsonMember } from '../json-scan.ts';
import { comparatorOf } from '../order.ts';
import type { SqlType } from '../../type.ts';
import { sqlScalar } from '../../type.ts';
import type { Value } from '../../value.ts';
import { define, definePolymorphic } from './definition.ts';
import type { ArgType, FunctionDefinition, Implementation } from './definition.ts';

/** Arrays and records; both come as their texts. */

function editor(types: readonly SqlType[], index = 0): ArrayEditor {
  return new ArrayEditor(types[index] ?? sqlScalar('text'));
}

/** Over the array that is the argument at `array`. */
function overArray(
  name: string,
  args: readonly ArgType[],
  result: ArgType,
  array: number,
  bind: (editor: ArrayEditor) => Implementation,
  options: { readonly strict?: boolean; readonly mayFail?: boolean } = {},
): FunctionDefinition {
  return definePolymorphic(name, args, result, (types) => bind(editor(types, array)), options);
}

const anyway = { strict: false, mayFail: true } as const;
const append =
  (arrays: ArrayEditor): Implementation =>
  (array: string | null, item: Value) =>
    arrays.append(array, item);
const prepend =
  (arrays: ArrayEditor): Implementation =>
  (item: Value, array: string | null) =>
    arrays.prepend(item, array);
const concatenate =
  (arrays: ArrayEditor): Implementation =>
  (a: string | null, b: string | null) =>
    arrays.concatenate(a, b);

const orders: readonly (readonly [operator: string, holds: (order: number) => boolean])[] = [
  ['<', (order) => order < 0],
  ['<=', (order) => order <= 0],
  ['>', (order) => order > 0],
  ['>=', (order) => order >= 0],
];

/** Records and arrays compare field by field, element by element. */
function ordered(type: 'anyarray' | 'record'): FunctionDefinition[] {
  return orders.map(([operator, holds]) =>
    definePolymorphic(operator, [type, type], 'bool', (types) => {
      const compare = comparatorOf(types[0] ?? sqlScalar('text'));
      return (a: Value, b: Value) => holds(compare(a, b));
    }),
  );
}

export const arrayOperators: readonly FunctionDefinition[] = [
  overArray('=', ['anyarray', 'anyarray'], 'bool', 0, (arrays) => (a: string, b: string) => arrays.equal(a, b)),
  overArray('<>', ['anyarray', 'anyarray'], 'bool', 0, (arrays) => (a: string, b: string) => !arrays.equal(a, b)),
  ...ordered('anyarray'),
  definePolymorphic('=', ['record', 'record'], 'bool', (types) => {
    const compare = comparatorOf(types[0] ?? sqlScalar('text'));
    return (a: Value, b: Value) => compare(a, b) === 0;
  }),
  definePolymorphic('<>', ['record', 'record'], 'bool', (types) => {
    const compare = comparatorOf(types[0] ?? sqlScalar('text'));
    return (a: Value, b: Value) => compare(a, b) !== 0;
  }),
  ...ordered('record'),
  overArray('@>', ['anyarray', 'anyarray'], 'bool', 0, (arrays) => (a: string, b: string) => arrays.contains(a, b)),
  overArray('<@', ['anyarray', 'anyarray'], 'bool', 0, (arrays) => (a: string, b: string) => arrays.contains(b, a)),
  overArray('&&', ['anyarray', 'anyarray'], 'bool', 0, (arrays) => (a: string, b: string) => arrays.overlaps(a, b)),
  overArray('||', ['anycompatiblearray', 'anycompatible'], 'anycompatiblearray', 0, append, anyway),
  overArray('||', ['anycompatible', 'anycompatiblearray'], 'anycompatiblearray', 1, prepend, anyway),
  overArray('||', ['anycompatiblearray', 'anycompatiblearray'], 'anycompatiblearray', 0, concatenate, anyway),
];

/** `x op ANY (array)`, `x op ALL (array)`; NULLs as three-valued logic has them. */
const quantified: readonly FunctionDefinition[] = (
  [['=', (order) => order === 0], ['<>', (order) => order !== 0], ...orders] as typeof orders
).flatMap(([operator, holds]) =>
  (['any', 'all'] as const).map((quantifier) =>
    overArray(
      `${operator} ${quantifier}`,
      ['anycompatible', 'anycompatiblearray'],
      'bool',
      1,
      (arrays) => (value: Value, array: string | null) => {
        if (array === null) return null;
        const deciding = quantifier === 'any';
        const { items } = arrays.read(array);
        let hasNull = items.length > 0 && value === null;
        for (const item of hasNull ? [] : items) {
          if (item === null) hasNull = true;
          else if (holds(arrays.compare(value, item)) === deciding) return deciding;
        }
        return hasNull ? null : !deciding;
      },
      { strict: false },
    ),
  ),
);

function dimension(lengths: readonly number[], of: number): number | null {
  return of < 1 || of > lengths.length ? null : (lengths[of - 1] as number);
}

const measures: readonly FunctionDefinition[] = [
  overArray('cardinality', ['anyarray'], 'int4', 0, (arrays) => (array: string) => arrays.read(array).items.length),
  overArray(
    'array_length',
    ['anyarray', 'int4'],
    'int4',
    0,
    (arrays) => (array: string, of: number) => dimension(arrays.read(array).lengths, of),
  ),
  overArray(
    'array_ndims',
    ['anyarray'],
    'int4',
    0,
    (arrays) => (array: string) => arrays.read(array).lengths.length || null,
  ),
  overArray('array_lower', ['anyarray', 'int4'], 'int4', 0, (arrays) => (array: string, of: number) => {
    const { lengths, bounds } = arrays.read(array);
    return dimension(lengths, of) === null ? null : dimension(bounds, of);
  }),
  overArray('array_upper', ['anyarray', 'int4'], 'int4', 0, (arrays) => (array: string, of: number) => {
    const { lengths, bounds } = arrays.read(array);
    const length = dimension(lengths, of);
    return length === null ? null : (dimension(bounds, of) ?? 1) + length - 1;
  }),
  overArray('array_dims', ['anyarray'], 'text', 0, (arrays) => (array: string) => {
    const { lengths, bounds } = arrays.read(array);
    if (lengths.length === 0) return null;
    return lengths.map((length, index) => `[${bounds[index]}:${(bounds[index] ?? 1) + length - 1}]`).join('');
  }),
];

const elements: readonly FunctionDefinition[] = [
  overArray('array_subscript', ['anyarray', 'int4'], 'anyelement', 0, (arrays) => (array: string, index: number) => {
    const { lengths, bounds, items } = arrays.read(array);
    // One subscript into several dimensions names no element.
    return lengths.length === 1 ? (items[index - (bounds[0] ?? 1)] ?? null) : null;
  }),
  define(
    'array_subscript',
    ['jsonb', 'int4'],
    'jsonb',
    (json: string, index: number) => jsonElement(json, index) ?? null,
  ),
  define('array_subscript', ['jsonb', 'text'], 'jsonb', (json: string, name: string) => jsonMember(json, name) ?? null),
  overArray(
    'array_position',
    ['anycompatiblearray', 'anycompatible'],
    'int4',
    0,
    (arrays) => (array: string | null, item: Value) =>
      array === null ? null : (arrays.positions(array, item, null)[0] ?? null),
    anyway,
  ),
  overArray(
    'array_position',
    ['anycompatiblearray', 'anycompatible', 'int4'],
    'int4',
    0,
    (arrays) => (array: string | null, item: Value, from: number | null) => {
      if (from === null) throw new RowError('22004', 'initial position must not be null');
      return array === null ? null : (arrays.positions(array, item, from)[0] ?? null);
    },
    anyway,
  ),
  definePolymorphic(
    'array_positions',
    ['anycompatiblearray', 'anycompatible'],
    'int4[]',
    (types) => {
      const arrays = editor(types);
      return (array: string | null, item: Value) =>
        array === null ? null : `{${arrays.positions(array, item, null).join(',')}}`;
    },
    anyway,
  ),
  overArray(
    'array_remove',
    ['anycompatiblearray', 'anycompatible'],
    'anycompatiblearray',
    0,
    (arrays) => (array: string | null, item: Value) => (array === null ? null : arrays.remove(array, item)),
    anyway,
  ),
  overArray(
    'array_replace',
    ['anycompatiblearray', 'anycompatible', 'anycompatible'],
    'anycompatiblearray',
    0,
    (arrays) => (array: string | null, from: Value, to: Value) =>
      array === null ? null : arrays.replace(array, from, to),
    anyway,
  ),
  overArray('array_append', ['anycompatiblearray', 'anycompatible'], 'anycompatiblearray', 0, append, anyway),
  overArray('array_prepend', ['anycompatible', 'anycompatiblearray'], 'anycompatiblearray', 1, prepend, anyway),
  overArray('array_cat', ['anycompatiblearray', 'anycompatiblearray'], 'anycompatiblearray', 0, concatenate, anyway),
];

function join(arrays: ArrayEditor, array: string, delimiter: string, nulls: string | null): string {
  const parts: string[] = [];
  for (const item of arrays.read(array).items) {
    const text = item === null ? nulls : arrays.text(item);
    if (text !== null) parts.push(text);
  }
  return parts.join(delimiter);
}

const textArrays = new ArrayEditor({ kind: 'array', element: sqlScalar('text') });

function split(text: string | null, delimiter: string | null, nulls: string | null): string | null {
  if (text === null) return null;
  if (text === '') return '{}';
  const parts = delimiter === null ? Array.from(text) : delimiter === '' ? [text] : text.split(delimiter);
  return textArrays.list(parts.map((part) => (part === nulls ? null : part)));
}

const texts: readonly FunctionDefinition[] = [
  overArray(
    'array_to_string',
    ['anyarray', 'text'],
    'text',
    0,
    (arrays) => (array: string, delimiter: string) => join(arrays, array, delimiter, null),
  ),
  overArray(
    'array_to_string',
    ['anyarray', 'text', 'text'],
    'text',
    0,
    (arrays) => (array: string | null, delimiter: string | null, nulls: string | null) =>
      array === null || delimiter === null ? null : join(arrays, array, delimiter, nulls),
    { strict: false },
  ),
  define(
    'string_to_array',
    ['text', 'text'],
    'text[]',
    (text: string | null, delimiter: string | null) => split(text, delimiter, null),
    {
      strict: false,
    },
  ),
  define('string_to_array', ['text', 'text', 'text'], 'text[]', split, { strict: false }),
];

/** `IS NOT NULL` of a record that is computed: true when no field is NULL. A name that no query can write. */
const wholeRecord = definePolymorphic(
  'record is not null',
  ['record'],
  'bool',
  ([type]) => {
    const types = type?.kind === 'record' ? type.fields.map((field) => field.type) : [];
    return (text: Value) => text !== null && recordFields(text as string, types).every((field) => field !== null);
  },
  { strict: false },
);

/** Of a row in a row: whether there is one, whatever its fields are. A name that no query can write. */
const someRecord = define('record is there', ['record'], 'bool', (text: Value) => text !== null, { strict: false });

export const arrayFunctions: readonly FunctionDefinition[] = [
  ...quantified,
  ...measures,
  ...elements,
  ...texts,
  wholeRecord,
  someRecord,
];
