import { arrayItems } from '../array-text.ts';
import { RowError } from '../expression.ts';
import {
  jsonArrayBuilder,
  jsonbArrayBuilder,
  jsonbObjectBuilder,
  jsonObjectBuilder,
  objectOfTexts,
} from '../json-build.ts';
import { jsonAsText, jsonElement, jsonElements, jsonKind, jsonMember, jsonPath, skipBlanks } from '../json-scan.ts';
import { jsonString, jsonWriter } from '../json-text.ts';
import { arrayJsonPretty, recordJsonPretty } from '../json-pretty.ts';
import { compareJsonb, jsonbContains } from '../jsonb-compare.ts';
import {
  concatJsonb,
  deleteIndex,
  deleteNames,
  deletePath,
  insertJsonb,
  prettyJsonb,
  setJsonb,
  stripNulls,
} from '../jsonb-edit.ts';
import { jsonbWriter } from '../jsonb-text.ts';
import type { SqlType } from '../../type.ts';
import { sqlScalar } from '../../type.ts';
import type { Value } from '../../value.ts';
import { define, definePolymorphic } from './definition.ts';
import type { ArgType, FunctionDefinition } from './definition.ts';

const textArray: SqlType = { kind: 'array', element: sqlScalar('text') };
const both = ['json', 'jsonb'] as const;
type JsonType = (typeof both)[number];

function texts(array: string): (string | null)[] {
  return arrayItems(array, textArray) as (string | null)[];
}

/** With `mayFail`: escapes that text cannot hold, and texts from outside that are no JSON. */
function failing(
  name: string,
  args: readonly ArgType[],
  result: ArgType,
  implementation: Parameters<typeof define>[3],
): FunctionDefinition {
  return define(name, args, result, implementation, { mayFail: true });
}

function member(json: string, name: string): string | null {
  return jsonMember(json, name) ?? null;
}

function element(json: string, index: number): string | undefined {
  return jsonElement(json, index);
}

/** A scalar of jsonb is kept as an array of one. */
function jsonbElement(json: string, index: number): string | undefined {
  const start = json.charCodeAt(0);
  if (start === 0x5b || start === 0x7b) return jsonElement(json, index);
  return index === 0 || index === -1 ? json : undefined;
}

function path(json: string, steps: string): string | null {
  return jsonPath(json, texts(steps)) ?? null;
}

function pathText(json: string, steps: string): string | null {
  const found = jsonPath(json, texts(steps));
  return jsonAsText(found?.slice(skipBlanks(found, 0)));
}

function access(type: JsonType): FunctionDefinition[] {
  const item = type === 'jsonb' ? jsonbElement : element;
  return [
    failing('->', [type, 'text'], type, member),
    failing('->', [type, 'int4'], type, (json: string, index: number) => item(json, index) ?? null),
    failing('->>', [type, 'text'], 'text', (json: string, name: string) => jsonAsText(jsonMember(json, name))),
    failing('->>', [type, 'int4'], 'text', (json: string, index: number) => jsonAsText(item(json, index))),
    failing('#>', [type, 'text[]'], type, path),
    failing('#>>', [type, 'text[]'], 'text', pathText),
  ];
}

function exists(json: string, name: string): boolean {
  if (jsonMember(json, name) !== undefined) return true;
  const literal = jsonString(name);
  return jsonElements(json)?.includes(literal) ?? json === literal;
}

export const jsonOperators: readonly FunctionDefinition[] = [
  ...access('json'),
  ...access('jsonb'),
  failing('@>', ['jsonb', 'jsonb'], 'bool', jsonbContains),
  failing('<@', ['jsonb', 'jsonb'], 'bool', (a: string, b: string) => jsonbContains(b, a)),
  define('?', ['jsonb', 'text'], 'bool', exists),
  define('?|', ['jsonb', 'text[]'], 'bool', (json: string, names: string) =>
    texts(names).some((name) => name !== null && exists(json, name)),
  ),
  define('?&', ['jsonb', 'text[]'], 'bool', (json: string, names: string) =>
    texts(names).every((name) => name === null || exists(json, name)),
  ),
  define('||', ['jsonb', 'jsonb'], 'jsonb', concatJsonb),
  failing('-', ['jsonb', 'text'], 'jsonb', (json: string, name: string) => deleteNames(json, [name])),
  failing('-', ['jsonb', 'text[]'], 'jsonb', (json: string, names: string) => deleteNames(json, texts(names))),
  failing('-', ['jsonb', 'int4'], 'jsonb', deleteIndex),
  failing('#-', ['jsonb', 'text[]'], 'jsonb', (json: string, steps: string) => deletePath(json, texts(steps))),
  define('=', ['jsonb', 'jsonb'], 'bool', (a: string, b: string) => compareJsonb(a, b) === 0, { isEquality: true }),
  define('<>', ['jsonb', 'jsonb'], 'bool', (a: string, b: string) => compareJsonb(a, b) !== 0),
  define('<', ['jsonb', 'jsonb'], 'bool', (a: string, b: string) => compareJsonb(a, b) < 0),
  define('<=', ['jsonb', 'jsonb'], 'bool', (a: string, b: string) => compareJsonb(a, b) <= 0),
  define('>', ['jsonb', 'jsonb'], 'bool', (a: string, b: string) => compareJsonb(a, b) > 0),
  define('>=', ['jsonb', 'jsonb'], 'bool', (a: string, b: string) => compareJsonb(a, b) >= 0),
];

/** PostgreSQL's words for both types are the same but for two. */
function arrayLength(type: JsonType): (json: string) => number {
  return (json) => {
    const items = jsonElements(json);
    if (items !== undefined) return items.length;
    const isObject = jsonKind(json) === 'object';
    throw new RowError(
      '22023',
      isObject
        ? `cannot get array length of ${type === 'json' ? 'a non-array' : 'a non-array'}`
        : 'cannot get array length of a scalar',
    );
  };
}

function perType(type: JsonType): FunctionDefinition[] {
  const isJsonb = type === 'jsonb';
  return [
    define(`${type}_typeof`, [type], 'text', (json: string) => jsonKind(json)),
    failing(`${type}_array_length`, [type], 'int4', arrayLength(type)),
    failing(`${type}_extract_path`, [type], type, (json: string) => json),
    define(`${type}_extract_path`, [type, 'text'], type, extractPath, { variadic: true, mayFail: true, strict: true }),
    define(`${type}_extract_path_text`, [type, 'text'], 'text', extractPathText, { variadic: true, mayFail: true }),
    failing(`${type}_strip_nulls`, [type], type, (json: string) => stripNulls(json, isJsonb)),
    failing(`${type}_object`, ['text[]'], type, (array: string) => {
      const all = arrayItems(array, textArray);
      if (all.length % 2 === 1) throw new RowError('2202E', 'array must have even number of elements');
      return objectOfTexts(
        all.filter((_, index) => index % 2 === 0),
        all.filter((_, index) => index % 2 === 1),
        isJsonb,
      );
    }),
    failing(`${type}_object`, ['text[]', 'text[]'], type, (names: string, values: string) =>
      objectOfTexts(arrayItems(names, textArray), arrayItems(values, textArray), isJsonb),
    ),
  ];
}

function extractPath(json: string, ...steps: string[]): string | null {
  return jsonPath(json, steps) ?? null;
}

function extractPathText(json: string, ...steps: string[]): string | null {
  return jsonAsText(jsonPath(json, steps));
}

/** NULL is not passed to it: to_json is strict. */
function first(types: readonly SqlType[]): SqlType {
  return types[0] ?? sqlScalar('text');
}

const builders: readonly FunctionDefinition[] = [
  definePolymorphic('to_json', ['anyelement'], 'json', (types) => jsonWriter(first(types)), { mayFail: true }),
  definePolymorphic('to_jsonb', ['anyelement'], 'jsonb', (types) => jsonbWriter(first(types)), { mayFail: true }),
  definePolymorphic('row_to_json', ['record'], 'json', (types) => jsonWriter(first(types))),
  definePolymorphic('row_to_json', ['record', 'bool'], 'json', (types) => {
    const plain = jsonWriter(first(types));
    const pretty = recordJsonPretty(first(types));
    return (value: Value, isPretty: boolean) => (isPretty ? pretty(value) : plain(value));
  }),
  definePolymorphic('array_to_json', ['anyarray'], 'json', (types) => jsonWriter(first(types))),
  definePolymorphic('array_to_json', ['anyarray', 'bool'], 'json', (types) => {
    const plain = jsonWriter(first(types));
    const pretty = arrayJsonPretty(first(types));
    return (value: Value, isPretty: boolean) => (isPretty ? pretty(value) : plain(value));
  }),
  define('json_build_object', [], 'json', () => '{}'),
  define('json_build_array', [], 'json', () => '[]'),
  define('jsonb_build_object', [], 'jsonb', () => '{}'),
  define('jsonb_build_array', [], 'jsonb', () => '[]'),
  variadic('json_build_object', 'json', jsonObjectBuilder),
  variadic('json_build_array', 'json', jsonArrayBuilder),
  variadic('jsonb_build_object', 'jsonb', jsonbObjectBuilder),
  variadic('jsonb_build_array', 'jsonb', jsonbArrayBuilder),
];

function variadic(
  name: string,
  result: JsonType,
  bind: (types: readonly SqlType[]) => (...args: Value[]) => string,
): FunctionDefinition {
  return definePolymorphic(name, ['any'], result, (types) => bindOrFail(() => bind(types)), {
    variadic: true,
    strict: false,
    mayFail: true,
  });
}

/** What is wrong with every row of a call is told of each. */
function bindOrFail(bind: () => (...args: Value[]) => string): (...args: Value[]) => string {
  try {
    return bind();
  } catch (error) {
    if (!(error instanceof RowError)) throw error;
    return () => {
      throw error;
    };
  }
}

const edits: readonly FunctionDefinition[] = [
  define('jsonb_pretty', ['jsonb'], 'text', (json: string) => prettyJsonb(json)),
  failing('jsonb_set', ['jsonb', 'text[]', 'jsonb'], 'jsonb', (json: string, steps: string, to: string) =>
    setJsonb(json, texts(steps), to, true),
  ),
  failing(
    'jsonb_set',
    ['jsonb', 'text[]', 'jsonb', 'bool'],
    'jsonb',
    (json: string, steps: string, to: string, create: boolean) => setJsonb(json, texts(steps), to, create),
  ),
  failing('jsonb_insert', ['jsonb', 'text[]', 'jsonb'], 'jsonb', (json: string, steps: string, item: string) =>
    insertJsonb(json, texts(steps), item, false),
  ),
  failing(
    'jsonb_insert',
    ['jsonb', 'text[]', 'jsonb', 'bool'],
    'jsonb',
    (json: string, steps: string, item: string, after: boolean) => insertJsonb(json, texts(steps), item, after),
  ),
];

export const jsonFunctions: readonly FunctionDefinition[] = [
  ...perType('json'),
  ...perType('jsonb'),
  ...builders,
  ...edits,
];
