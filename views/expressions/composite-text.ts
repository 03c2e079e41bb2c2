import { quoteItem } from './array-text.ts';
import { textOf } from './text.ts';
import type { SqlType } from '../type.ts';
import type { Value } from '../value.ts';

/** Prints a record as record_out does: `(1,"a b",,"")`. A field that is empty is NULL. */
export function recordPrinter(types: readonly SqlType[]): (fields: readonly Value[]) => string {
  return (fields) => {
    let text = '(';
    for (let index = 0; index < fields.length; index++) {
      if (index > 0) text += ',';
      const field = fields[index];
      if (field !== null && field !== undefined) text += recordField(textOf(field, types[index] as SqlType));
    }
    return `${text})`;
  };
}

function recordField(text: string): string {
  if (text !== '' && !/["\\(), \t\n\r\v\f]/.test(text)) return text;
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '""')}"`;
}

/** Whether every field of a record is NULL. */
export function recordHasOnlyNulls(text: string): boolean {
  return /^\(,*\)$/.test(text);
}

/** Prints an array as array_out does: `{1,NULL,"a b"}`; the items of an array of arrays are arrays. */
export function arrayPrinter(type: SqlType): (items: readonly Value[]) => string {
  const element = type.kind === 'array' ? type.element : type;
  const delimiter = type.kind === 'array' ? (type.delimiter ?? ',') : ',';
  return (items) => {
    const texts = items.map((item) => (item === null ? 'NULL' : itemText(item, element, delimiter)));
    return `{${texts.join(delimiter)}}`;
  };
}

function itemText(item: Value, type: SqlType, delimiter: string): string {
  const text = textOf(item, type);
  if (type.kind === 'array') return text;
  return quoteItem(text, delimiter);
}

/**
 * An array's text with each element that is not NULL replaced: `leaf` gets its text and gives the new one. Takes what array_in does, with
 * spaces around elements, and bounds in front, which are kept. Undefined for a text that is no array.
 */
export function mapArrayText(
  text: string,
  delimiters: { readonly from: string; readonly to: string },
  leaf: (text: string) => string,
): string | undefined {
  const open = text.indexOf('{');
  const bounds = open < 0 ? '' : text.slice(0, open).trim();
  if (open < 0 || (bounds !== '' && !/^(\[[+-]?\d+(:[+-]?\d+)?\])+\s*=$/.test(bounds))) return undefined;
  const reading: Reading = { text, index: open, delimiters, leaf, lengths: [], leafDepth: -1 };
  const mapped = mapItems(reading, 0);
  if (mapped === undefined || text.slice(reading.index).trim() !== '') return undefined;
  // Of several dimensions, but without an element: an empty array has none.
  return reading.leafDepth < 0 ? '{}' : bounds + mapped;
}

interface Reading {
  readonly text: string;
  index: number;
  readonly delimiters: { readonly from: string; readonly to: string };
  readonly leaf: (text: string) => string;
  /** Items at each depth, which are as many in each array of it. */
  readonly lengths: number[];
  /** The depth at which elements stand; there is only one. */
  leafDepth: number;
}

function mapItems(reading: Reading, depth: number): string | undefined {
  const { text, delimiters, lengths } = reading;
  const items: string[] = [];
  reading.index++;
  for (;;) {
    skipSpaces(text, reading);
    const character = text[reading.index];
    if (character === undefined) return undefined;
    if (character === '}' && items.length === 0) {
      reading.index++;
      return '{}';
    }
    const item = character === '{' ? mapItems(reading, depth + 1) : mapElement(reading, depth);
    if (item === undefined) return undefined;
    items.push(item);
    skipSpaces(text, reading);
    const after = text[reading.index++];
    if (after === '}') break;
    if (after !== delimiters.from) return undefined;
  }
  lengths[depth] ??= items.length;
  return lengths[depth] === items.length ? `{${items.join(delimiters.to)}}` : undefined;
}

function mapElement(reading: Reading, depth: number): string | undefined {
  if (reading.leafDepth < 0) reading.leafDepth = depth;
  if (reading.leafDepth !== depth) return undefined;
  return mapItem(reading.text, reading, reading.delimiters, reading.leaf);
}

function mapItem(
  text: string,
  at: { index: number },
  delimiters: { readonly from: string; readonly to: string },
  leaf: (text: string) => string,
): string | undefined {
  const quoted = text[at.index] === '"';
  const found = quoted ? readQuoted(text, at) : readBare(text, at, delimiters.from);
  if (found === undefined || (!quoted && found === '')) return undefined;
  if (!quoted && /^null$/i.test(found)) return 'NULL';
  return quoteItem(leaf(found), delimiters.to);
}

/** From the opening quote to after the closing one. */
function readQuoted(text: string, at: { index: number }): string | undefined {
  let found = '';
  for (at.index++; at.index < text.length; at.index++) {
    const character = text[at.index] as string;
    if (character === '"') {
      at.index++;
      return found;
    }
    if (character === '\\') at.index++;
    found += text[at.index] ?? '';
  }
  return undefined;
}

function readBare(text: string, at: { index: number }, delimiter: string): string | undefined {
  let found = '';
  let solid = 0;
  for (; at.index < text.length; at.index++) {
    const character = text[at.index] as string;
    if (character === delimiter || character === '}') return found.slice(0, solid);
    if (character === '{' || character === '"') return undefined;
    if (character === '\\') at.index++;
    found += text[at.index] ?? '';
    if (character === '\\' || !isSpace(character)) solid = found.length;
  }
  return undefined;
}

function skipSpaces(text: string, at: { index: number }): void {
  while (at.index < text.length && isSpace(text[at.index] as string)) at.index++;
}

function isSpace(character: string): boolean {
  return character === ' ' || (character >= '\t' && character <= '\r');
}
