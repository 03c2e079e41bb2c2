import { leafOf, readArray } from './array-text.ts';
import { arrayJson, jsonString, jsonWriter } from './json-text.ts';
import type { JsonWriter } from './json-text.ts';
import { recordFields } from './record-text.ts';
import type { SqlType } from '../type.ts';

/** row_to_json(row, true) and array_to_json(array, true): line ends between the members of the outermost level. */

export function recordJsonPretty(type: SqlType): JsonWriter {
  if (type.kind !== 'record') return jsonWriter(type);
  const types = type.fields.map((field) => field.type);
  const writers = types.map(jsonWriter);
  const names = type.fields.map((field) => jsonString(field.name));
  return (value) => {
    const fields = recordFields(value as string, types);
    return `{${fields.map((field, index) => `${names[index] as string}:${(writers[index] as JsonWriter)(field)}`).join(',\n ')}}`;
  };
}

export function arrayJsonPretty(type: SqlType): JsonWriter {
  const item = jsonWriter(leafOf(type));
  return (value) => {
    const array = readArray(value as string, type);
    if (array.lengths.length < 2) return arrayJson(array, item, ',\n ');
    const rowLength = array.lengths.slice(1).reduce((size, length) => size * length, 1);
    const rows: string[] = [];
    for (let at = 0; at < array.items.length; at += rowLength) {
      const items = array.items.slice(at, at + rowLength);
      rows.push(arrayJson({ lengths: array.lengths.slice(1), bounds: array.bounds.slice(1), items }, item, ','));
    }
    return `[${rows.join(',\n ')}]`;
  };
}
