import { RowError } from './expression.ts';

/**
 * Finds the parts of a JSON text without taking it apart: the text is valid (it is a value of type json or jsonb), so that every scan
 * is a skip over strings and brackets. Parts are given back as the text has them.
 */

export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

const quote = 0x22;
const backslash = 0x5c;

export function skipBlanks(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
    at++;
  }
}

export function kindAt(text: string, at: number): JsonKind {
  switch (text.charCodeAt(at)) {
    case 0x7b:
      return 'object';
    case 0x5b:
      return 'array';
    case quote:
      return 'string';
    case 0x74:
    case 0x66:
      return 'boolean';
    case 0x6e:
      return 'null';
    default:
      return 'number';
  }
}

export function jsonKind(text: string): JsonKind {
  return kindAt(text, skipBlanks(text, 0));
}

/** The offset after the string whose opening quote is at `at`. */
function skipString(text: string, at: number): number {
  let end = at + 1;
  for (;;) {
    const code = text.charCodeAt(end);
    if (code === quote) return end + 1;
    if (Number.isNaN(code)) throw new RowError('22P02', 'invalid input syntax for type json');
    end += code === backslash ? 2 : 1;
  }
}

/** The offset after the value that begins at `at`. */
export function skipValue(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first === quote) return skipString(text, at);
  let end = at;
  if (first !== 0x7b && first !== 0x5b) {
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end);
      if (code === 0x2c || code === 0x7d || code === 0x5d || code <= 0x20 || code === 0x3a) break;
    }
    return end;
  }
  let depth = 0;
  for (;;) {
    const code = text.charCodeAt(end);
    if (code === quote) {
      end = skipString(text, end);
      continue;
    }
    end++;
    if (code === 0x7b || code === 0x5b) depth++;
    else if ((code === 0x7d || code === 0x5d) && --depth === 0) return end;
    else if (Number.isNaN(code)) throw new RowError('22P02', 'invalid input syntax for type json');
  }
}

/** The text of an object's member; of its last when there are several of that name. Undefined when there is none, or no object. */
export function jsonMember(text: string, name: string): string | undefined {
  let at = skipBlanks(text, 0);
  if (text.charCodeAt(at) !== 0x7b) return undefined;
  at = skipBlanks(text, at + 1);
  let found: string | undefined;
  while (text.charCodeAt(at) === quote) {
    const keyEnd = skipString(text, at);
    const matches = keyIs(text, at, keyEnd, name);
    at = skipBlanks(text, skipBlanks(text, keyEnd) + 1);
    const end = skipValue(text, at);
    if (matches) found = text.slice(at, end);
    at = skipBlanks(text, end);
    if (text.charCodeAt(at) !== 0x2c) break;
    at = skipBlanks(text, at + 1);
  }
  return found;
}

function keyIs(text: string, start: number, end: number, name: string): boolean {
  if (end - start - 2 === name.length && text.startsWith(name, start + 1)) return !name.includes('\\');
  const escape = text.indexOf('\\', start);
  return escape >= 0 && escape < end && unescapeJson(text.slice(start, end)) === name;
}

/** The text of an array's element; negative indexes count from the end. Undefined when there is none, or no array. */
export function jsonElement(text: string, index: number): string | undefined {
  if (index < 0) {
    const all = jsonElements(text);
    return all?.[all.length + index];
  }
  let at = skipBlanks(text, 0);
  if (text.charCodeAt(at) !== 0x5b) return undefined;
  at = skipBlanks(text, at + 1);
  if (text.charCodeAt(at) === 0x5d) return undefined;
  for (let left = index; ; left--) {
    const end = skipValue(text, at);
    if (left === 0) return text.slice(at, end);
    at = skipBlanks(text, end);
    if (text.charCodeAt(at) !== 0x2c) return undefined;
    at = skipBlanks(text, at + 1);
  }
}

/** The texts of an array's elements; undefined when it is none. */
export function jsonElements(text: string): string[] | undefined {
  let at = skipBlanks(text, 0);
  if (text.charCodeAt(at) !== 0x5b) return undefined;
  const elements: string[] = [];
  at = skipBlanks(text, at + 1);
  while (text.charCodeAt(at) !== 0x5d) {
    const end = skipValue(text, at);
    elements.push(text.slice(at, end));
    at = skipBlanks(text, end);
    if (text.charCodeAt(at) === 0x2c) at = skipBlanks(text, at + 1);
  }
  return elements;
}

/** Names (unescaped) and texts of an object's members in the text's order; undefined when it is none. */
export function jsonMembers(text: string): [name: string, value: string][] | undefined {
  let at = skipBlanks(text, 0);
  if (text.charCodeAt(at) !== 0x7b) return undefined;
  const members: [string, string][] = [];
  at = skipBlanks(text, at + 1);
  while (text.charCodeAt(at) === quote) {
    const keyEnd = skipString(text, at);
    const name = unescapeJson(text.slice(at, keyEnd));
    at = skipBlanks(text, skipBlanks(text, keyEnd) + 1);
    const end = skipValue(text, at);
    members.push([name, text.slice(at, end)]);
    at = skipBlanks(text, end);
    if (text.charCodeAt(at) !== 0x2c) break;
    at = skipBlanks(text, at + 1);
  }
  return members;
}

/** The characters of a JSON string, given with its quotes. RowError for those that text cannot hold. */
export function unescapeJson(literal: string): string {
  if (!literal.includes('\\')) return literal.slice(1, -1);
  const text = JSON.parse(literal) as string;
  if (text.includes('\0')) throw new RowError('22P05', 'unsupported Unicode escape sequence');
  if (!text.isWellFormed()) throw new RowError('22P02', 'invalid input syntax for type json');
  return text;
}

/** What `->>` gives of a value's text: a string's characters, NULL for null, else the text. */
export function jsonAsText(value: string | undefined): string | null {
  if (value === undefined) return null;
  const at = value.charCodeAt(0);
  if (at === quote) return unescapeJson(value);
  return at === 0x6e ? null : value;
}

/**
 * The part at the end of a path; a step is a member's name or an element's index. Of members with the same name the last that leads
 * to the path's end counts.
 */
export function jsonPath(text: string, path: readonly (string | null)[], depth = 0): string | undefined {
  if (depth === path.length) return depth === 0 ? text.trim() : text;
  const step = path[depth] ?? null;
  if (step === null) return undefined;
  if (text.charCodeAt(skipBlanks(text, 0)) === 0x5b) {
    const item = /^\s*[+-]?\d{1,10}$/.test(step) ? jsonElement(text, Number(step)) : undefined;
    return item === undefined ? undefined : jsonPath(item, path, depth + 1);
  }
  const member = jsonMember(text, step);
  if (member === undefined) return undefined;
  const found = jsonPath(member, path, depth + 1);
  if (found !== undefined || depth + 1 === path.length) return found;
  // An earlier one of that name, if there is any.
  for (const [name, value] of (jsonMembers(text) ?? []).toReversed()) {
    const other = name === step ? jsonPath(value, path, depth + 1) : undefined;
    if (other !== undefined) return other;
  }
  return undefined;
}
