import type { Value } from '../../value.ts';
import {
  Numeric,
  numeric,
  numericInfinity,
  numericMinusInfinity,
  numericNaN,
  powerOfTen,
  readNumeric,
} from '../numeric.ts';
import { addProduct } from './linear.ts';

/**
 * The sum of numerics, with the scale that PostgreSQL gives it: the largest among the rows that are there. So that a row taken out can
 * lower it again, rows are summed up by scale, in five slots:
 *
 *   rows in all · the main scale (that of the first row), −1 without rows · sum of its unscaled values · number of its rows ·
 *   the others, null for none: `scale:rows:sum` and `NaN:rows`, `Infinity:rows`, `-Infinity:rows`, with blanks between
 *
 * Columns of type numeric(p,s) have one scale, and cost one addition.
 */
export const numericSumSlots = 5;

export function initNumericSum(into: Value[], at: number): void {
  into[at] = 0;
  into[at + 1] = -1;
  into[at + 2] = 0;
  into[at + 3] = 0;
  into[at + 4] = null;
}

/** Scale of the text read last by `unscaledOf`. */
let readScale = 0;

/** Of a text of at most 15 digits; NaN for others. */
function unscaledOf(text: string): number {
  const { length } = text;
  if (length > 16) return NaN;
  const isNegative = text.charCodeAt(0) === 45;
  let unscaled = 0;
  readScale = 0;
  for (let at = isNegative ? 1 : 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code === 46) readScale = length - at - 1;
    else if (code > 57) return NaN;
    else unscaled = unscaled * 10 + code - 48;
  }
  if (unscaled > Number.MAX_SAFE_INTEGER) return NaN;
  return isNegative ? -unscaled : unscaled;
}

export function addNumericText(state: Value[], at: number, text: string, weight: number): void {
  const unscaled = unscaledOf(text);
  if (unscaled === unscaled && readScale === state[at + 1]) {
    const sum = state[at + 2];
    if (typeof sum === 'number' && (weight === 1 || weight === -1)) {
      const next = sum + unscaled * weight;
      const rows = (state[at] as number) + weight;
      if (next <= Number.MAX_SAFE_INTEGER && next >= -Number.MAX_SAFE_INTEGER && rows !== 0) {
        state[at] = rows;
        state[at + 2] = next;
        state[at + 3] = (state[at + 3] as number) + weight;
        return;
      }
    }
  }
  addNumericValue(state, at, readNumeric(text), weight);
}

export function addNumericValue(state: Value[], at: number, value: Numeric, weight: number): void {
  const { unscaled, scale } = value;
  const rows = (state[at] as number) + weight;
  state[at] = rows;
  if (typeof unscaled === 'number' && !Number.isFinite(unscaled)) {
    state[at + 4] = addOther(state[at + 4] as string | null, String(unscaled), weight, 0);
  } else {
    if (state[at + 1] === -1) state[at + 1] = scale;
    if (state[at + 1] === scale) {
      state[at + 2] = addProduct(state[at + 2] as number | bigint, unscaled, weight);
      state[at + 3] = (state[at + 3] as number) + weight;
    } else {
      const product = BigInt(unscaled) * BigInt(weight);
      state[at + 4] = addOther(state[at + 4] as string | null, String(scale), weight, product);
    }
  }
  // What is left when the last row has gone is nothing; the next row chooses the main scale anew. A row may be taken out before the
  // one that it stands for comes in: then there are no rows, and a sum that is owed.
  if (rows === 0 && state[at + 2] === 0 && state[at + 3] === 0 && state[at + 4] === null) initNumericSum(state, at);
}

function addOther(others: string | null, name: string, rows: number, sum: number | bigint): string | null {
  const parts: string[] = [];
  let found = false;
  for (const part of others === null ? [] : others.split(' ')) {
    if (!part.startsWith(`${name}:`)) {
      parts.push(part);
      continue;
    }
    found = true;
    const [, oldRows = '0', oldSum = '0'] = part.split(':');
    const newRows = Number(oldRows) + rows;
    const newSum = BigInt(oldSum) + BigInt(sum);
    if (newRows !== 0 || newSum !== 0n) parts.push(`${name}:${newRows}:${newSum}`);
  }
  if (!found) parts.push(`${name}:${rows}:${sum}`);
  return parts.length === 0 ? null : parts.join(' ');
}

/** The sum of one row or more. */
export function numericSum(state: readonly Value[], at: number): Numeric {
  const others = state[at + 4] as string | null;
  const main = state[at + 2] as number | bigint;
  if (others === null) return new Numeric(main, state[at + 1] as number);
  let scale = state[at + 3] === 0 ? 0 : (state[at + 1] as number);
  const sums: [scale: number, sum: bigint][] = [[state[at + 1] as number, BigInt(main)]];
  const special = { NaN: 0, Infinity: 0, '-Infinity': 0 };
  for (const part of others.split(' ')) {
    const [name = '', rows = '0', sum = '0'] = part.split(':');
    if (name in special) {
      special[name as keyof typeof special] = Number(rows);
    } else {
      scale = Math.max(scale, Number(name));
      sums.push([Number(name), BigInt(sum)]);
    }
  }
  if (special.NaN !== 0 || (special.Infinity !== 0 && special['-Infinity'] !== 0)) return numericNaN;
  if (special.Infinity !== 0) return numericInfinity;
  if (special['-Infinity'] !== 0) return numericMinusInfinity;
  let total = 0n;
  for (const [own, sum] of sums) if (sum !== 0n) total += sum * powerOfTen(scale - own);
  return numeric(total, scale);
}
