import { RowError } from './expression.ts';
import { jsonString, jsonWriter, timestampJson } from './json-text.ts';
import { jsonbArray, jsonbObject, jsonbWriter } from './jsonb-text.ts';
import { textOf } from './text.ts';
import type { SqlType } from '../type.ts';
import type { Value } from '../value.ts';

/** Functions that put JSON together from values as they stand in rows; each is made once for the types of a call. */

/** `{"a" : 1, "b" : 2}`: json_build_object keeps order and duplicates. */
export function jsonObjectBuilder(types: readonly SqlType[]): (...args: Value[]) => string {
  checkPairs(types);
  const writers = types.map((type, index) =>
    index % 2 === 0 ? jsonKeyWriter(type, 'null value not allowed for object key', '22004') : jsonWriter(type),
  );
  return (...args) => {
    let text = '{';
    for (let index = 0; index < args.length; index += 2) {
      if (index > 0) text += ', ';
      text += `${at(writers, index)(args[index] as Value)} : ${at(writers, index + 1)(args[index + 1] as Value)}`;
    }
    return `${text}}`;
  };
}

export function jsonArrayBuilder(types: readonly SqlType[]): (...args: Value[]) => string {
  const writers = types.map(jsonWriter);
  return (...args) => `[${args.map((arg, index) => at(writers, index)(arg)).join(', ')}]`;
}

export function jsonbObjectBuilder(types: readonly SqlType[]): (...args: Value[]) => string {
  checkPairs(types);
  const names = types.map((type, index) =>
    jsonbNameWriter(type, `argument ${index + 1}: key must not be null`, '22023'),
  );
  const writers = types.map(jsonbWriter);
  return (...args) => {
    const members: [string, string][] = [];
    for (let index = 0; index < args.length; index += 2) {
      members.push([at(names, index)(args[index] as Value), at(writers, index + 1)(args[index + 1] as Value)]);
    }
    return jsonbObject(members);
  };
}

export function jsonbArrayBuilder(types: readonly SqlType[]): (...args: Value[]) => string {
  const writers = types.map(jsonbWriter);
  return (...args) => jsonbArray(args.map((arg, index) => at(writers, index)(arg)));
}

function at<T>(all: readonly T[], index: number): T {
  return all[index] as T;
}

function checkPairs(types: readonly SqlType[]): void {
  if (types.length % 2 === 1) throw new RowError('22023', 'argument list must have even number of elements');
}

/** A value as the name of a member, with its quotes. */
export function jsonKeyWriter(type: SqlType, nullMessage: string, nullState: string): (value: Value) => string {
  const write = keyText(type);
  return (value) => {
    if (value === null) throw new RowError(nullState, nullMessage);
    return write(value);
  };
}

function keyText(type: SqlType): (value: Value) => string {
  if (type.kind !== 'scalar' || type.name === 'json' || type.name === 'jsonb') {
    return () => {
      throw new RowError('22023', 'key value must be scalar, not array, composite, or json');
    };
  }
  switch (type.name) {
    case 'bool':
      return (value) => `"${String(value)}"`;
    case 'timestamp':
    case 'timestamptz':
      return timestampJson;
    case 'text':
    case 'varchar':
    case 'bpchar':
      return (value) => jsonString(value as string);
    default:
      return (value) => jsonString(textOf(value, type));
  }
}

/** A value as the name of a jsonb member, without quotes. */
export function jsonbNameWriter(type: SqlType, nullMessage: string, nullState: string): (value: Value) => string {
  const write = keyText(type);
  return (value) => {
    if (value === null) throw new RowError(nullState, nullMessage);
    return JSON.parse(write(value)) as string;
  };
}

/** json_object(text[]): names and values in turns, values as strings. */
export function objectOfTexts(names: readonly Value[], values: readonly Value[], isJsonb: boolean): string {
  if (names.length !== values.length) throw new RowError('2202E', 'mismatched array dimensions');
  const members = names.map((name, index): [string, string] => {
    if (name === null) throw new RowError('22004', 'null value not allowed for object key');
    const value = values[index] as string | null;
    return [name as string, value === null ? 'null' : jsonString(value)];
  });
  if (isJsonb) return jsonbObject(members);
  return `{${members.map(([name, value]) => `${jsonString(name)} : ${value}`).join(', ')}}`;
}
