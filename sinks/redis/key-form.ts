import { literalTemplate, parseKeyTemplate } from '../../model/key-template.ts';
import type { ByteWriter } from '../../model/json-writer.ts';
import type { DataType } from '../../model/data-type.ts';
import type { SinkShape } from '../port.ts';
import { unfit } from '../unfit.ts';

/**
 * How the keys of one sink are spelled: `customer:{id}` with the text of the column in place of the braces. So that two rows never
 * share a key, and no other key is taken for a row's, some bytes of a value are written as `%` and two hexadecimal digits: `%`, `:`,
 * and what begins the text between it and the next column. NULL is `%NULL`.
 */
export interface KeyForm {
  /** The template with `{*}` spelled out: what tells the sink's keys from others in a later run. */
  readonly template: string;
  readonly parts: readonly KeyPart[];
  /** What SCAN is given for MATCH: names all keys of the form, and maybe more. */
  readonly pattern: string;
  /** Exactly the keys of the form. */
  readonly keys: RegExp;
}

/** A text, or a column where that is null. */
export interface KeyPart {
  readonly text: Buffer | null;
  /** In the shape's columns. */
  readonly position: number;
  /** 1 for each byte of a value that is escaped. */
  readonly escapes: Uint8Array;
}

type Part = string | { readonly column: string | null };

const percent = 0x25;
const colon = 0x3a;
const hexDigits = Buffer.from('0123456789ABCDEF');
const nullText = Buffer.from('%NULL');

/** The form of a sink's keys under a shape. An error without retries when the template and the key's columns do not fit each other. */
export function keyFormOf(sink: string, template: string, shape: SinkShape): KeyForm {
  const key = shape.key.map((position) => shape.columns[position]?.name ?? '');
  if (key.length === 0) {
    throw unfit('SINK_TARGET', `The table of sink '${sink}' has no key, and keys of Redis are made of it`, {
      hint: 'Give the table a primary key, or the view a `key`; or write it to a sink of another type.',
      place: { sink },
    });
  }
  const parts = partsOf(template).flatMap((part): Part[] =>
    typeof part === 'string' || part.column !== null ? [part] : withColons(key),
  );
  const named = parts.flatMap((part) => (typeof part === 'string' ? [] : [part.column]));
  const other = named.find((column) => column === null || !key.includes(column));
  const missing = key.filter((column) => !named.includes(column));
  const right = key.map((column) => `{${column}}`).join(':');
  if (other !== undefined || missing.length > 0) {
    const what =
      other === undefined
        ? `leaves out '${missing.join("', '")}', which is part of the key`
        : `names '${other}', which is no column of the key`;
    throw unfit('SINK_TARGET', `\`key: "${template}"\` of sink '${sink}' ${what}`, {
      hint: `Write the columns of the key into it, each once: ${right}; then start again.`,
      place: { sink },
    });
  }
  return formOf(parts, (name) => {
    const position = shape.columns.findIndex((column) => column.name === name);
    return { position, type: shape.columns[position]?.type };
  });
}

/** The keys of a template where rows are not known, or only columns that may have changed since. */
export function keyFormOfTemplate(template: string, shape: SinkShape | null = null): KeyForm {
  return formOf(partsOf(template), (name) => ({
    position: -1,
    type: shape?.columns.find((column) => column.name === name)?.type,
  }));
}

/** Why keys cannot be told apart under the template, or null. What follows the semicolon is what to write. */
export function templateProblem(template: string): string | null {
  if (parseKeyTemplate(template) === null) return 'braces enclose the name of a column; write customer:{id}';
  const parts = partsOf(template);
  if (parts.every((part) => typeof part === 'string')) return 'all rows would share one key; write customer:{id}';
  for (const [index, part] of parts.entries()) {
    if (index === 0 || index === parts.length - 1) continue;
    if (typeof part === 'string' && /^[\dA-Za-z%]|^[^ -~]/.test(part))
      return `text between two columns begins with a sign, such as ':', and not as '${part}' does`;
  }
  const adjacent = parts.some(
    (part, index) => typeof part !== 'string' && typeof (parts[index + 1] ?? '') !== 'string',
  );
  return adjacent ? 'two columns need a sign between them; write {a}:{b}' : null;
}

/** Whether some key could be of both templates; of columns that are not known yet the most is assumed. */
export function templatesOverlap(one: string, other: string): boolean {
  return intersect(tokensOf(one), tokensOf(other));
}

/** Whether some key of the template could begin with that text. */
export function couldBegin(template: string, text: string): boolean {
  return intersect(tokensOf(template), [...Buffer.from(text), new Uint8Array(256)]);
}

/** Appends the value `from[start..end)` as it stands in keys. */
export function writeEscaped(escapes: Uint8Array, from: Buffer, start: number, end: number, into: ByteWriter): void {
  into.reserve(3 * (end - start));
  const { buffer } = into;
  let { at } = into;
  for (let index = start; index < end; index++) {
    const byte = from[index] as number;
    if (escapes[byte] === 0) {
      buffer[at++] = byte;
      continue;
    }
    buffer[at++] = percent;
    buffer[at++] = hexDigits[byte >>> 4] as number;
    buffer[at++] = hexDigits[byte & 15] as number;
  }
  into.at = at;
}

export function writeNullKey(into: ByteWriter): void {
  into.raw(nullText);
}

function partsOf(template: string): Part[] {
  return (parseKeyTemplate(template) ?? []).map((part) => ('text' in part ? part.text : { column: part.column }));
}

function withColons(columns: readonly string[]): Part[] {
  return columns.flatMap((column, index): Part[] => (index === 0 ? [{ column }] : [':', { column }]));
}

function formOf(
  parts: readonly Part[],
  columnOf: (name: string) => { readonly position: number; readonly type: DataType | undefined },
): KeyForm {
  const escapes = escapesOf(parts);
  const columns = parts.map((part) => (typeof part === 'string' ? null : columnOf(part.column ?? '')));
  const texts = parts.map((part, index) => {
    if (typeof part === 'string') return literal(part);
    const value = part.column === null ? '.*' : valueForm(columns[index]?.type, escapes[index] as Uint8Array);
    return `(?:${value}|%NULL)`;
  });
  const template = parts.map((part) => (typeof part === 'string' ? literalTemplate(part) : `{${part.column ?? '*'}}`));
  const pattern = parts.map((part) => (typeof part === 'string' ? part.replaceAll(/[*?[\]\\]/g, '\\$&') : '*'));
  return {
    template: template.join(''),
    parts: parts.map((part, index) => ({
      text: typeof part === 'string' ? Buffer.from(part) : null,
      position: columns[index]?.position ?? -1,
      escapes: escapes[index] as Uint8Array,
    })),
    pattern: pattern.join(''),
    keys: new RegExp(`^${texts.join('')}$`, 's'),
  };
}

/** What is escaped in the value of each part that is a column. The last one's value ends where the text behind it begins. */
function escapesOf(parts: readonly Part[]): Uint8Array[] {
  return parts.map((_, index) => {
    const escapes = new Uint8Array(256);
    escapes[percent] = 1;
    escapes[colon] = 1;
    const next = parts[index + 1];
    if (typeof next === 'string' && index + 2 < parts.length) escapes[next.charCodeAt(0)] = 1;
    return escapes;
  });
}

/** The fewer foreign keys look like a row's, the better: values of some types are recognised. */
function valueForm(type: DataType | undefined, escapes: Uint8Array): string {
  const name = type?.kind === 'scalar' ? type.name : 'other';
  switch (name) {
    case 'int2':
    case 'int4':
    case 'int8':
      return '(?:-|%2D)?[0-9]{1,19}';
    case 'bool':
      return 'true|false';
    case 'uuid':
      return '(?:[0-9a-f]|-|%2D)+';
    default: {
      const escaped = Array.from(escapes.keys()).filter((byte) => escapes[byte] === 1);
      return `(?:[^${literal(String.fromCharCode(...escaped))}]|%[0-9A-F]{2})*`;
    }
  }
}

function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/** A byte, or any number of bytes but those that are 1 in the array. */
type Token = number | Uint8Array;

function tokensOf(template: string): Token[] {
  const parts = partsOf(template);
  const escapes = escapesOf(parts);
  const any = new Uint8Array(256);
  return parts.flatMap((part, index): Token[] => {
    if (typeof part === 'string') return [...Buffer.from(part)];
    const stops = Uint8Array.from(part.column === null ? any : (escapes[index] ?? any));
    // What is escaped begins with it.
    stops[percent] = 0;
    return [stops];
  });
}

/** Whether both describe some common text. Follows all pairs of places in the two. */
function intersect(a: readonly Token[], b: readonly Token[]): boolean {
  const seen = new Set<number>();
  const open: [number, number][] = [[0, 0]];
  for (let next = open.pop(); next; next = open.pop()) {
    const [i, j] = next;
    if (i === a.length && j === b.length) return true;
    const place = i * (b.length + 1) + j;
    if (seen.has(place)) continue;
    seen.add(place);
    const x = a[i];
    const y = b[j];
    if (typeof x === 'number' && typeof y === 'number') {
      if (x === y) open.push([i + 1, j + 1]);
      continue;
    }
    if (typeof x === 'object') {
      open.push([i + 1, j]);
      if (typeof y === 'number' && x[y] === 0) open.push([i, j + 1]);
    }
    if (typeof y === 'object') {
      open.push([i, j + 1]);
      if (typeof x === 'number' && y[x] === 0) open.push([i + 1, j]);
    }
  }
  return false;
}
