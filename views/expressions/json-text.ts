import { readArray } from './array-text.ts';
import type { ArrayValue } from './array-text.ts';
import { leafOf } from './array-text.ts';
import { recordFields } from './record-text.ts';
import { textOf } from './text.ts';
import type { SqlType } from '../type.ts';
import type { Value } from '../value.ts';

/**
 * JSON of values as to_json prints it (src/backend/utils/adt/json.c): the bytes of model/json-scalar.ts, as strings. A type is compiled
 * once to a function of the value as it stands in a row; NULL is `null`.
 */
export type JsonWriter = (value: Value) => string;

const shortString = 40;

/** What escape_json prints. JSON.stringify escapes the same characters in the same way, as long as no surrogate stands alone. */
export function jsonString(text: string): string {
  if (text.length <= shortString) {
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code < 0x20 || code === 0x22 || code === 0x5c) return JSON.stringify(text);
    }
    return `"${text}"`;
  }
  return JSON.stringify(text);
}

export function jsonWriter(type: SqlType): JsonWriter {
  if (type.kind === 'array') return arrayWriter(type);
  if (type.kind === 'record') return recordWriter(type);
  switch (type.name) {
    case 'bool':
      return (value) => String(value);
    case 'int2':
    case 'int4':
    case 'int8':
      return (value) => String(value);
    case 'float4':
    case 'float8':
      return (value) => {
        if (value === null) return 'null';
        return Number.isFinite(value) ? textOf(value, type) : `"${textOf(value, type)}"`;
      };
    case 'numeric':
      return numericJson;
    case 'timestamp':
    case 'timestamptz':
      return timestampJson;
    case 'json':
    case 'jsonb':
      return (value) => (value === null ? 'null' : String(value));
    default:
      return (value) => (value === null ? 'null' : jsonString(value as string));
  }
}

/** NaN and the infinities are strings. */
function numericJson(value: Value): string {
  if (value === null) return 'null';
  const text = String(value);
  const last = text.charCodeAt(text.length - 1);
  return last >= 0x30 && last <= 0x39 ? text : `"${text}"`;
}

/** `2026-01-31 12:00:00+00` is `"2026-01-31T12:00:00+00:00"`; ` BC` stays at the end. */
export function timestampJson(value: Value): string {
  if (value === null) return 'null';
  const text = value as string;
  const { length } = text;
  // The usual form: a year of four digits, and either no zone or one of whole hours at the end.
  if (text.charCodeAt(10) === 0x20 && text.charCodeAt(length - 1) <= 0x39) {
    const sign = text.charCodeAt(length - 3);
    return `"${text.slice(0, 10)}T${text.slice(11)}${sign === 0x2b || sign === 0x2d ? ':00"' : '"'}`;
  }
  return unusualTimestamp(text);
}

function unusualTimestamp(text: string): string {
  const space = text.indexOf(' ');
  if (space < 0) return `"${text}"`;
  const date = text.slice(0, space);
  const rest = text.slice(space + 1);
  const zone = /^([^+-]*[+-]\d\d)( BC)?$/.exec(rest);
  return zone === null ? `"${date}T${rest}"` : `"${date}T${zone[1] ?? ''}:00${zone[2] ?? ''}"`;
}

function arrayWriter(type: SqlType): JsonWriter {
  const item = jsonWriter(leafOf(type));
  return (value) => (value === null ? 'null' : arrayJson(readArray(value as string, type), item, ','));
}

/** An array's elements as nested JSON arrays. */
export function arrayJson(array: ArrayValue, item: JsonWriter, separator: string): string {
  const { lengths, items } = array;
  let at = 0;
  const dimension = (depth: number): string => {
    let text = '[';
    for (let index = 0; index < (lengths[depth] ?? 0); index++) {
      if (index > 0) text += separator;
      text += depth + 1 < lengths.length ? dimension(depth + 1) : item(items[at++] as Value);
    }
    return `${text}]`;
  };
  return dimension(0);
}

function recordWriter(type: Extract<SqlType, { kind: 'record' }>): JsonWriter {
  const types = type.fields.map((field) => field.type);
  const write = jsonFieldsWriter(
    type.fields.map((field) => field.name),
    types,
  );
  return (value) => (value === null ? 'null' : write(recordFields(value as string, types)));
}

/** `{"a":1,"b":2}` of the fields' values: what to_json of a row prints. */
export function jsonFieldsWriter(
  names: readonly string[],
  types: readonly SqlType[],
): (values: readonly Value[]) => string {
  const prefixes = names.map((name, index) => `${index === 0 ? '{' : ','}${jsonString(name)}:`);
  const writers = types.map(jsonWriter);
  return (values) => {
    if (writers.length === 0) return '{}';
    let text = '';
    for (let index = 0; index < writers.length; index++) {
      text += prefixes[index] as string;
      text += (writers[index] as JsonWriter)(values[index] as Value);
    }
    return `${text}}`;
  };
}
