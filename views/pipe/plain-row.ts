import type { Row, Value } from '../value.ts';
import type { PipeColumn, PipeTable } from './pipe-table.ts';

/**
 * Reads a row from a line as most programs write it: every column of the table, in its order, without blanks, escapes or exponents. It is
 * generated for the table, goes over each byte once, and gives undefined for any other line (well formed or not), which is then read the
 * long way (`JsonRowReader`). Costs about 1 ns a byte, `npm run bench -- pipe`.
 */
export type PlainRowReader = (bytes: Buffer, from: number, to: number) => Row | undefined;

/** Digits that are a safe integer whatever they are. */
const safeDigits = 15;
/** Digits that any integer of the type may have. */
const integerDigits: Readonly<Record<string, number>> = { int2: 4, int4: 9, int8: safeDigits };
/** No numeric of PostgreSQL's is too long for that. */
const numericLengthMax = 1000;

/** Rows have the columns at `positions`; `input` reads the text of one of those, by its index. */
export function plainRowReader(
  table: PipeTable,
  positions: readonly number[],
  input: (index: number, text: string) => Value,
): PlainRowReader {
  const lines = table.columns.flatMap((column, at) => {
    const prefix = `${at === 0 ? '{' : ','}${JSON.stringify(column.name)}:`;
    const index = positions.indexOf(at);
    return [matched(Buffer.from(prefix)), index < 0 ? skipped : valueCode(column, index)];
  });
  const values = positions.map((_, index) => `value${index}`);
  const repeated = new Set(positions).size !== positions.length || table.columns.length === 0;
  if (repeated) return () => undefined;
  // oxlint-disable-next-line typescript/no-implied-eval -- names of columns enter the code as bytes only
  const make = new Function(
    'input',
    `'use strict';
    return (bytes, from, to) => {
      let at = from;
      let byte = 0;
      let start = 0;
      ${values.map((value) => `let ${value} = null;`).join(' ')}
      ${lines.join('\n      ')}
      return bytes[at] === 0x7d && at + 1 === to ? [${values.join(', ')}] : undefined;
    };`,
  ) as (input: unknown) => PlainRowReader;
  return make(input);
}

function matched(text: Buffer): string {
  const tests = [...text].map((byte, offset) => `bytes[at + ${offset}] !== ${byte}`);
  return `if (${tests.join(' || ')}) return undefined; at += ${text.length};`;
}

/** Goes over digits; what was before `at` is at `start`. No zeros in front. */
const digits = `start = at;
      while ((byte = bytes[at]) >= 0x30 && byte <= 0x39) at++;
      if (at === start || (bytes[start] === 0x30 && at - start > 1)) return undefined;`;

const fraction = `if (byte === 0x2e) {
          start = ++at;
          while ((byte = bytes[at]) >= 0x30 && byte <= 0x39) at++;
          if (at === start) return undefined;
        }`;

/** From the opening quote to behind the closing one; text in `start` to `at - 1`. */
const string = `start = ++at;
        while ((byte = bytes[at]) !== 0x22) {
          if (!(byte >= 0x20) || byte === 0x5c) return undefined;
          at++;
        }
        at++;`;

/** A value that nobody reads: a number, a string or a word. */
const skipped = `byte = bytes[at];
      if (byte === 0x22) {
        ${string}
      } else if (byte === 0x6e) {
        ${matched(Buffer.from('null'))}
      } else if (byte === 0x74) {
        ${matched(Buffer.from('true'))}
      } else if (byte === 0x66) {
        ${matched(Buffer.from('false'))}
      } else {
        if (byte === 0x2d) at++;
        ${digits}
        ${fraction}
        if ((byte | 0x20) === 0x65) return undefined;
      }`;

function valueCode({ type, typmod, nullable }: PipeColumn, index: number): string {
  const none = nullable ? `if (bytes[at] === 0x6e) { ${matched(Buffer.from('null'))} } else ` : '';
  const name = type.kind === 'scalar' ? type.name : '';
  const digitsMax = integerDigits[name];
  if (digitsMax !== undefined) return `${none}{ ${integerCode(index, digitsMax)} }`;
  if (name === 'numeric' && typmod === undefined) return `${none}{ ${numericCode(index)} }`;
  // A string in a json column is JSON itself, and other values may be of any length and form.
  if (name === 'json' || name === 'jsonb' || type.kind !== 'scalar') return 'return undefined;';
  return `${none}{
        if (bytes[at] !== 0x22) return undefined;
        ${string}
        value${index} = input(${index}, bytes.utf8Slice(start, at - 1));
      }`;
}

function integerCode(index: number, digitsMax: number): string {
  return `const isNegative = bytes[at] === 0x2d;
        if (isNegative) at++;
        start = at;
        let value = 0;
        while ((byte = bytes[at]) >= 0x30 && byte <= 0x39) {
          value = value * 10 + (byte - 0x30);
          at++;
        }
        if (at === start || at - start > ${digitsMax} || (bytes[start] === 0x30 && at - start > 1)) return undefined;
        if (byte === 0x2e || (byte | 0x20) === 0x65) return undefined;
        value${index} = isNegative && value !== 0 ? -value : value;`;
}

/** Numbers stand there as numeric prints them, but for a minus before a zero. */
function numericCode(index: number): string {
  return `const first = at;
        if (bytes[at] === 0x2d) {
          if (bytes[at + 1] === 0x30) return undefined;
          at++;
        }
        ${digits}
        ${fraction}
        if ((byte | 0x20) === 0x65 || at - first > ${numericLengthMax}) return undefined;
        value${index} = bytes.latin1Slice(first, at);`;
}
