import { createHash } from 'node:crypto';
import { characterCount, hasSurrogates, lowerCase, sliceCharacters, upperCase } from '../characters.ts';
import { RowError } from '../expression.ts';
import { toInt4 } from './integers.ts';

/** `substring(text FROM start FOR length)`: characters outside the text count, and are empty. */
export function substring(text: string, start: number, length: number): string {
  const end = start + length;
  if (length < 0) throw new RowError('22011', 'negative substring length not allowed');
  if (end < 1) return '';
  return sliceCharacters(text, Math.max(0, start - 1), end - 1);
}

export function overlay(text: string, by: string, start: number, length: number): string {
  if (start <= 0) throw new RowError('22011', 'negative substring length not allowed');
  const after = toInt4(start + length);
  return sliceCharacters(text, 0, start - 1) + by + sliceCharacters(text, Math.max(0, after - 1), text.length);
}

export function positionOf(text: string, part: string): number {
  const at = text.indexOf(part);
  if (at < 1) return at + 1;
  return characterCount(text.slice(0, at)) + 1;
}

export function trim(text: string, characters: string, left: boolean, right: boolean): string {
  if (hasSurrogates(characters)) return trimCharacters(text, new Set(characters), left, right);
  let start = 0;
  let end = text.length;
  if (left) while (start < end && characters.includes(text[start] as string)) start++;
  if (right) while (end > start && characters.includes(text[end - 1] as string)) end--;
  return text.slice(start, end);
}

function trimCharacters(text: string, set: ReadonlySet<string>, left: boolean, right: boolean): string {
  const list = Array.from(text);
  let start = 0;
  let end = list.length;
  if (left) while (start < end && set.has(list[start] as string)) start++;
  if (right) while (end > start && set.has(list[end - 1] as string)) end--;
  return list.slice(start, end).join('');
}

export function pad(text: string, length: number, fill: string, left: boolean): string {
  const wanted = Math.max(0, length);
  const own = characterCount(text);
  if (own >= wanted) return sliceCharacters(text, 0, wanted);
  if (fill === '') return text;
  const missing = wanted - own;
  if (missing > maxPadding) throw new RowError('54000', 'requested length too large');
  const padding = sliceCharacters(fill.repeat(Math.ceil(missing / characterCount(fill))), 0, missing);
  return left ? padding + text : text + padding;
}

/** What PostgreSQL could hold of the widest characters. */
const maxPadding = 0x3fffffff / 4;

export function splitPart(text: string, delimiter: string, field: number): string {
  if (field === 0) throw new RowError('22023', 'field position must not be zero');
  if (text === '') return '';
  const parts = delimiter === '' ? [text] : text.split(delimiter);
  return parts.at(field > 0 ? field - 1 : field) ?? '';
}

/** The first letter of each run of letters and digits in upper case, the others in lower case. */
export function initcap(text: string): string {
  let result = '';
  let inside = false;
  for (const character of text) {
    result += inside ? lowerCase(character) : upperCase(character);
    inside = /[\p{Alphabetic}\p{Nd}]/u.test(character);
  }
  return result;
}

export function translate(text: string, from: string, to: string): string {
  const sources = Array.from(from);
  const targets = Array.from(to);
  let result = '';
  for (const character of text) {
    const at = sources.indexOf(character);
    result += at < 0 ? character : (targets[at] ?? '');
  }
  return result;
}

export function md5OfBytes(hex: string): string {
  return createHash('md5')
    .update(Buffer.from(hex.slice(2), 'hex'))
    .digest('hex');
}

/** Both as hexadecimal digits. */
export function bytePosition(hex: string, part: string): number {
  for (let at = hex.indexOf(part); at >= 0; at = hex.indexOf(part, at + 1)) {
    if (at % 2 === 0) return at / 2 + 1;
  }
  return 0;
}

export function trimBytes(hex: string, off: string, left: boolean, right: boolean): string {
  const bytes = hex.slice(2).match(/../g) ?? [];
  const set = new Set(off.slice(2).match(/../g));
  let start = 0;
  let end = bytes.length;
  if (left) while (start < end && set.has(bytes[start] as string)) start++;
  if (right) while (end > start && set.has(bytes[end - 1] as string)) end--;
  return `\\x${bytes.slice(start, end).join('')}`;
}
