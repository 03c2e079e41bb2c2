import { typeId } from './bound-function.ts';
import type { Expression } from './expression.ts';
import type { BoundFunction, Implementation } from './functions/definition.ts';
import { jsonString, jsonWriter } from './json-text.ts';
import { compareNames, jsonbWriter } from './jsonb-text.ts';
import { sqlScalar } from '../type.ts';
import type { SqlType } from '../type.ts';

/**
 * JSON of rows, written straight from the fields: to_json(ROW(…)), json_build_object('name', …) and their kin become one call over the
 * values, with the names and all that stands between them as constants. No record's text is made to be taken apart again.
 */

type JsonName = 'json' | 'jsonb';
type Row = Extract<Expression, { kind: 'row' }>;

/** The same call, or one that gives the same JSON faster. */
export function fuseJson(name: string, call: Expression): Expression {
  if (call.kind !== 'call') return call;
  const [first] = call.args;
  switch (name) {
    case 'to_json':
    case 'row_to_json':
      return call.args.length === 1 && first?.kind === 'row' ? rowJson(first, 'json') : call;
    case 'to_jsonb':
      return first?.kind === 'row' ? rowJson(first, 'jsonb') : call;
    case 'json_build_object':
      return builtObject(call.args, 'json') ?? call;
    case 'jsonb_build_object':
      return builtObject(call.args, 'jsonb') ?? call;
    case 'json_build_array':
      return list(call.args, 'json', ', ');
    case 'jsonb_build_array':
      return list(call.args, 'jsonb', ', ');
    default:
      return call;
  }
}

/**
 * Arguments of an aggregate of JSON with rows in them written as JSON before they are kept: done once per row, not at each change of its
 * group. The name says how they are then put together.
 */
export function fuseJsonArguments(
  name: string,
  args: readonly Expression[],
): { readonly name: string; readonly args: readonly Expression[] } {
  const last = args.at(-1);
  if (last?.kind !== 'row') return { name, args };
  switch (name) {
    case 'json_agg':
      return { name: jsonLines, args: [rowJson(last, 'json')] };
    case 'json_object_agg':
      return { name, args: [...args.slice(0, -1), rowJson(last, 'json')] };
    case 'jsonb_agg':
    case 'jsonb_object_agg':
      return { name, args: [...args.slice(0, -1), rowJson(last, 'jsonb')] };
    default:
      return { name, args };
  }
}

/** json_agg of rows that are JSON already: each on a line of its own. Not a name that SQL can write. */
export const jsonLines = 'json_agg of rows';

function rowJson(row: Row, type: JsonName): Expression {
  const names = row.type.kind === 'record' ? row.type.fields.map((field) => field.name) : [];
  const fields = row.fields.map((field, index): Member => [names[index] ?? `f${index + 1}`, field]);
  return type === 'json' ? object(fields, type, ',', ':') : object(lastOfEach(fields), type, ', ', ': ');
}

type Member = readonly [name: string, value: Expression];

/** Only where all names are constants; null ones are an error of each row. */
function builtObject(args: readonly Expression[], type: JsonName): Expression | null {
  if (args.length % 2 === 1) return null;
  const members: Member[] = [];
  for (let index = 0; index < args.length; index += 2) {
    const name = args[index];
    const value = args[index + 1];
    if (name?.kind !== 'literal' || typeof name.value !== 'string' || !isText(name.type) || value === undefined)
      return null;
    members.push([name.value, value]);
  }
  return type === 'json' ? object(members, type, ', ', ' : ') : object(lastOfEach(members), type, ', ', ': ');
}

function isText(type: SqlType): boolean {
  return type.kind === 'scalar' && (type.name === 'text' || type.name === 'varchar' || type.name === 'unknown');
}

/** jsonb's members: the last of each name, in jsonb's order. */
function lastOfEach(members: readonly Member[]): Member[] {
  return [...new Map(members)].toSorted(([a], [b]) => compareNames(a, b));
}

function object(members: readonly Member[], type: JsonName, separator: string, colon: string): Expression {
  const before = members.map(([name], index) => `${index === 0 ? '{' : separator}${jsonString(name)}${colon}`);
  return template(
    before,
    members.map(([, value]) => value),
    members.length === 0 ? '{}' : '}',
    type,
  );
}

function list(items: readonly Expression[], type: JsonName, separator: string): Expression {
  const before = items.map((_, index) => (index === 0 ? '[' : separator));
  return template(before, items, items.length === 0 ? '[]' : ']', type);
}

/** `before[0] value[0] before[1] value[1] … after` */
function template(before: readonly string[], values: readonly Expression[], after: string, type: JsonName): Expression {
  const args = values.map((value) => (value.kind === 'row' ? rowJson(value, type) : value));
  const types = args.map((arg) => arg.type);
  const result = sqlScalar(type);
  const fn: BoundFunction = {
    id: `${type}${JSON.stringify([...before, after])}(${types.map(typeId).join(', ')})`,
    args: types,
    result,
    variadic: false,
    strict: false,
    mayFail: type === 'jsonb',
    isEquality: false,
    implementation: compileTemplate(before, types, after, type),
    inline: null,
    nativeArgs: types.length === 0 ? [false] : types.map(() => false),
    nativeResult: false,
  };
  return { kind: 'call', fn, args, type: result };
}

function compileTemplate(
  before: readonly string[],
  types: readonly SqlType[],
  after: string,
  type: JsonName,
): Implementation {
  const parts: string[] = [];
  const writers: unknown[] = [];
  for (const [index, own] of types.entries()) {
    parts.push(JSON.stringify(before[index]));
    const argument = `a${index}`;
    const kind = own.kind === 'scalar' ? own.name : own.kind;
    if (asItIs.has(kind)) {
      parts.push(`(${argument} === null ? 'null' : ${argument})`);
    } else if (kind === 'text' || kind === 'varchar' || kind === 'bpchar') {
      parts.push(`(${argument} === null ? 'null' : string(${argument}))`);
    } else if (kind === type || (kind === 'jsonb' && type === 'json')) {
      parts.push(`(${argument} === null ? 'null' : ${argument})`);
    } else {
      parts.push(`write[${writers.length}](${argument})`);
      writers.push(type === 'json' ? jsonWriter(own) : jsonbWriter(own));
    }
  }
  parts.push(JSON.stringify(after));
  const names = types.map((_, index) => `a${index}`).join(', ');
  const code = `'use strict'; return function (${names}) { return '' + ${parts.join(' + ')}; };`;
  // oxlint-disable-next-line typescript/no-implied-eval, no-new-func -- nothing in it but our own text and escaped literals
  const make = new Function('string', 'write', code) as (string: unknown, write: unknown) => Implementation;
  return make(jsonString, writers);
}

/** JavaScript prints them as JSON does. */
const asItIs: ReadonlySet<string> = new Set(['bool', 'int2', 'int4', 'int8']);
