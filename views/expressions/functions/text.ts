import { createHash } from 'node:crypto';
import type { SqlType } from '../../type.ts';
import type { Value } from '../../value.ts';
import { characterCount, lowerCase, sliceCharacters, upperCase, withoutTrailingBlanks } from '../characters.ts';
import { RowError } from '../expression.ts';
import { textOf } from '../text.ts';
import { define, defineInline, definePolymorphic, refuse } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';
import {
  initcap,
  md5OfBytes,
  overlay,
  pad,
  positionOf,
  splitPart,
  substring,
  translate,
  trim,
  trimBytes,
  bytePosition,
} from './text-parts.ts';

const positionsHint = 'Take parts of a text by position, or with split_part().';
const mayFail = { mayFail: true };

export const textOperators: readonly FunctionDefinition[] = [
  defineInline('||', ['text', 'text'], 'text', (a, b) => `${a} + ${b}`),
  definePolymorphic('||', ['text', 'anynonarray'], 'text', ([, type]) => {
    const text = asText(type);
    return (a: string, b: Value) => a + text(b);
  }),
  definePolymorphic('||', ['anynonarray', 'text'], 'text', ([type]) => {
    const text = asText(type);
    return (a: Value, b: string) => text(a) + b;
  }),
  define('||', ['bytea', 'bytea'], 'bytea', (a: string, b: string) => a + b.slice(2)),
  define('^@', ['text', 'text'], 'bool', (text: string, start: string) => text.startsWith(start)),
];

/** As a cast to text gives it: booleans are spelled out. */
function asText(type: SqlType | undefined): (value: Value) => string {
  if (type?.kind === 'scalar' && type.name === 'bool') return (value) => (value === true ? 'true' : 'false');
  if (type?.kind === 'scalar' && type.name === 'bpchar') return (value) => withoutTrailingBlanks(String(value));
  return (value) => (type === undefined ? String(value) : textOf(value, type));
}

export const textFunctions: readonly FunctionDefinition[] = [
  define('lower', ['text'], 'text', lowerCase),
  define('upper', ['text'], 'text', upperCase),
  define('initcap', ['text'], 'text', initcap),
  ...lengths(),
  ...trims(),
  ...substrings(),
  define('left', ['text', 'int4'], 'text', (text: string, count: number) => {
    if (count >= 0) return sliceCharacters(text, 0, count);
    return sliceCharacters(text, 0, Math.max(0, characterCount(text) + count));
  }),
  define('right', ['text', 'int4'], 'text', (text: string, count: number) => {
    const length = characterCount(text);
    // The one count whose contrary is no integer leaves the text as it is.
    if (count === -2147483648) return text;
    return sliceCharacters(text, count < 0 ? Math.min(length, -count) : Math.max(0, length - count), length);
  }),
  define('replace', ['text', 'text', 'text'], 'text', (text: string, from: string, to: string) =>
    from === '' ? text : text.replaceAll(from, () => to),
  ),
  define('position', ['text', 'text'], 'int4', positionOf),
  define('position', ['bytea', 'bytea'], 'int4', (hex: string, part: string) =>
    bytePosition(hex.slice(2), part.slice(2)),
  ),
  define('strpos', ['text', 'text'], 'int4', positionOf),
  define('repeat', ['text', 'int4'], 'text', repeat, mayFail),
  define('reverse', ['text'], 'text', (text: string) => Array.from(text).toReversed().join('')),
  define('lpad', ['text', 'int4'], 'text', (text: string, length: number) => pad(text, length, ' ', true)),
  define('rpad', ['text', 'int4'], 'text', (text: string, length: number) => pad(text, length, ' ', false)),
  define('lpad', ['text', 'int4', 'text'], 'text', (text: string, length: number, fill: string) =>
    pad(text, length, fill, true),
  ),
  define('rpad', ['text', 'int4', 'text'], 'text', (text: string, length: number, fill: string) =>
    pad(text, length, fill, false),
  ),
  define('split_part', ['text', 'text', 'int4'], 'text', splitPart, mayFail),
  define('starts_with', ['text', 'text'], 'bool', (text: string, start: string) => text.startsWith(start)),
  define('md5', ['text'], 'text', (text: string) => createHash('md5').update(text).digest('hex')),
  define('md5', ['bytea'], 'text', md5OfBytes),
  define('translate', ['text', 'text', 'text'], 'text', translate),
  define('overlay', ['text', 'text', 'int4', 'int4'], 'text', overlay, mayFail),
  define(
    'overlay',
    ['text', 'text', 'int4'],
    'text',
    (text: string, by: string, start: number) => overlay(text, by, start, characterCount(by)),
    mayFail,
  ),
  define('ascii', ['text'], 'int4', (text: string) => text.codePointAt(0) ?? 0),
  define('chr', ['int4'], 'text', chr, mayFail),
  define('to_hex', ['int4'], 'text', (value: number) => (value >>> 0).toString(16)),
  define('to_hex', ['int8'], 'text', (value: number | bigint) => BigInt.asUintN(64, BigInt(value)).toString(16)),
  ...concatenations(),
];

function octets(text: string): number {
  return Buffer.byteLength(text);
}

function bytes(hex: string): number {
  return (hex.length - 2) / 2;
}

function lengths(): FunctionDefinition[] {
  return [
    ...['length', 'char_length', 'character_length'].flatMap((name) => [
      define(name, ['text'], 'int4', characterCount),
      define(name, ['bpchar'], 'int4', (text: string) => characterCount(withoutTrailingBlanks(text))),
    ]),
    define('length', ['bytea'], 'int4', bytes),
    define('octet_length', ['text'], 'int4', octets),
    define('octet_length', ['bpchar'], 'int4', octets),
    define('octet_length', ['bytea'], 'int4', bytes),
    define('bit_length', ['text'], 'int4', (text: string) => octets(text) * 8),
    define('bit_length', ['bytea'], 'int4', (hex: string) => bytes(hex) * 8),
  ];
}

function trims(): FunctionDefinition[] {
  const sides = [
    ['btrim', true, true],
    ['ltrim', true, false],
    ['rtrim', false, true],
  ] as const;
  return sides.flatMap(([name, left, right]) => [
    define(name, ['text'], 'text', (text: string) => trim(text, ' ', left, right)),
    define(name, ['text', 'text'], 'text', (text: string, characters: string) => trim(text, characters, left, right)),
    define(name, ['bytea', 'bytea'], 'bytea', (hex: string, bytesOff: string) => trimBytes(hex, bytesOff, left, right)),
  ]);
}

function substrings(): FunctionDefinition[] {
  return [
    refuse('substring', ['text', 'text'], 'text', positionsHint),
    refuse('substring', ['text', 'text', 'text'], 'text', positionsHint),
    ...['substring', 'substr'].flatMap((name) => [
      define(name, ['text', 'int4'], 'text', (text: string, start: number) =>
        sliceCharacters(text, Math.max(0, start - 1), text.length),
      ),
      define(name, ['text', 'int4', 'int4'], 'text', substring, mayFail),
      define(
        name,
        ['bytea', 'int4'],
        'bytea',
        (hex: string, start: number) => `\\x${hex.slice(2 + 2 * Math.max(0, start - 1))}`,
      ),
      define(
        name,
        ['bytea', 'int4', 'int4'],
        'bytea',
        (hex: string, start: number, length: number) => {
          if (length < 0) throw negativeLength();
          return `\\x${hex.slice(2 + 2 * Math.max(0, start - 1), 2 + 2 * Math.max(0, start - 1 + length))}`;
        },
        mayFail,
      ),
    ]),
  ];
}

export function negativeLength(): RowError {
  return new RowError('22011', 'negative substring length not allowed');
}

/** PostgreSQL takes no text beyond 1 GiB. */
const maxTextBytes = 0x3fffffff;

function repeat(text: string, times: number): string {
  if (times <= 0 || text === '') return '';
  if (Buffer.byteLength(text) * times > maxTextBytes - 4 || text.length * times > 0x1fffffe8) {
    throw new RowError('54000', 'requested length too large');
  }
  return text.repeat(times);
}

function chr(code: number): string {
  if (code === 0) throw new RowError('54000', 'null character not permitted');
  if (code < 0) throw new RowError('54000', 'character number must be positive');
  if (code > 0x10ffff) throw new RowError('54000', `requested character too large for encoding: ${code}`);
  if (code >= 0xd800 && code < 0xe000) {
    throw new RowError('54000', `requested character not valid for encoding: ${code}`);
  }
  return String.fromCodePoint(code);
}

/** concat() and concat_ws() leave NULLs out; they take values as their types print them. */
function concatenations(): FunctionDefinition[] {
  const options = { variadic: true, strict: false };
  return [
    definePolymorphic(
      'concat',
      ['any'],
      'text',
      (types) =>
        (...values: Value[]) => {
          let text = '';
          for (let index = 0; index < values.length; index++) {
            const value = values[index] as Value;
            if (value !== null) text += textOf(value, types[index] as SqlType);
          }
          return text;
        },
      options,
    ),
    definePolymorphic(
      'concat_ws',
      ['text', 'any'],
      'text',
      (types) =>
        (separator: string | null, ...values: Value[]) => {
          if (separator === null) return null;
          let text: string | null = null;
          for (let index = 0; index < values.length; index++) {
            const value = values[index] as Value;
            if (value === null) continue;
            const printed = textOf(value, types[index + 1] as SqlType);
            text = text === null ? printed : text + separator + printed;
          }
          return text ?? '';
        },
      options,
    ),
  ];
}
