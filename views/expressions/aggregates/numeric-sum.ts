import { integer } from '../../value.ts';
import type { Value } from '../../value.ts';
import {
  formatNumeric,
  Numeric,
  numeric,
  numericInfinity,
  numericMinusInfinity,
  numericNaN,
  powerOfTen,
  readNumeric,
  withPoint,
} from '../numeric.ts';
import { addProduct } from './linear.ts';

/**
 * The sum of numerics, with the scale that PostgreSQL gives it: the largest among the rows that are there. So that a row taken out can
 * lower it again, rows are summed up by scale, in six slots:
 *
 *   rows in all · the main scale (that of the first row), −1 without rows · low limb of the sum of its unscaled values · number of its
 *   rows · the others, null for none: `scale:rows:sum` and `NaN:rows`, `Infinity:rows`, `-Infinity:rows`, with blanks between ·
 *   high limb
 *
 * The main sum is high × 10^15 + low. Both limbs are safe integers of either sign; low is carried into high only when it would not be
 * safe any more. High is a bigint where it does not fit. Columns of type numeric(p,s) have one scale, and a value of up to 30 digits costs
 * two additions of doubles.
 */
export const numericSumSlots = 6;

const limb = 1e15;
const bigLimb = 10n ** 15n;
const limbDigits = 15;
const maxSafe = Number.MAX_SAFE_INTEGER;

export function initNumericSum(into: Value[], at: number): void {
  into[at] = 0;
  into[at + 1] = -1;
  into[at + 2] = 0;
  into[at + 3] = 0;
  into[at + 4] = null;
  into[at + 5] = 0;
}

/** What `readLimbs` read last: the low and the high limb, of the value's sign. Variables would be boxed anew each time. */
const limbs = new Float64Array(2);

/**
 * Reads a text of at most 30 digits, `scale` of them after the point, as numeric prints them; false for others, NaN and infinities among
 * them.
 */
function readLimbs(text: string, scale: number): boolean {
  const { length } = text;
  const isNegative = text.charCodeAt(0) === 45;
  const start = isNegative ? 1 : 0;
  const point = scale === 0 ? length : length - scale - 1;
  if (length - start > 2 * limbDigits || point < start || scale < 0) return false;
  // The last 15 digits, and the point where it is among them.
  const split = length - limbDigits - (scale > 0 && scale < limbDigits ? 1 : 0);
  let at = start;
  let high = 0;
  for (; at < split; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit >= 0 && digit <= 9) high = high * 10 + digit;
    else if (at !== point || digit !== pointDigit) return false;
  }
  let low = 0;
  for (; at < length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit >= 0 && digit <= 9) low = low * 10 + digit;
    else if (at !== point || digit !== pointDigit) return false;
  }
  // No point where it has to be: a number of another scale.
  if (point < length && text.charCodeAt(point) !== 46) return false;
  limbs[0] = isNegative ? -low : low;
  limbs[1] = isNegative ? -high : high;
  return true;
}

/** '.' − '0' */
const pointDigit = -2;

export function addNumericText(state: Value[], at: number, text: string, weight: number): void {
  if ((weight === 1 || weight === -1) && readLimbs(text, state[at + 1] as number)) {
    const high = state[at + 5];
    const rows = (state[at] as number) + weight;
    let nextLow = (state[at + 2] as number) + (limbs[0] as number) * weight;
    let nextHigh = typeof high === 'number' ? high + (limbs[1] as number) * weight : NaN;
    if (nextLow > maxSafe - limb || nextLow < limb - maxSafe) {
      const carry = Math.trunc(nextLow / limb);
      nextLow -= carry * limb;
      nextHigh += carry;
    }
    if (rows !== 0 && nextHigh <= maxSafe && nextHigh >= -maxSafe) {
      state[at] = rows;
      state[at + 2] = nextLow;
      state[at + 3] = (state[at + 3] as number) + weight;
      state[at + 5] = nextHigh;
      return;
    }
  }
  addNumericValue(state, at, readNumeric(text), weight);
}

/** The main sum as one integer. */
function mainSum(state: readonly Value[], at: number): number | bigint {
  const low = state[at + 2] as number;
  const high = state[at + 5] as number | bigint;
  return high === 0 ? low : integer(BigInt(high) * bigLimb + BigInt(low));
}

function setMainSum(state: Value[], at: number, sum: number | bigint): void {
  const isSmall = typeof sum === 'number' && sum <= maxSafe - limb && sum >= limb - maxSafe;
  state[at + 2] = isSmall ? sum : Number(BigInt(sum) % bigLimb);
  state[at + 5] = isSmall ? 0 : integer(BigInt(sum) / bigLimb);
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
      setMainSum(state, at, addProduct(mainSum(state, at), unscaled, weight));
      state[at + 3] = (state[at + 3] as number) + weight;
    } else {
      const product = BigInt(unscaled) * BigInt(weight);
      state[at + 4] = addOther(state[at + 4] as string | null, String(scale), weight, product);
    }
  }
  // What is left when the last row has gone is nothing; the next row chooses the main scale anew. A row may be taken out before the
  // one that it stands for comes in: then there are no rows, and a sum that is owed.
  const isNothing = rows === 0 && state[at + 3] === 0 && state[at + 4] === null && mainSum(state, at) === 0;
  if (isNothing) initNumericSum(state, at);
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
  const main = mainSum(state, at);
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

/** The sum of one row or more as a text, from the limbs where they are enough. */
export function numericSumText(state: readonly Value[], at: number): string {
  const held = state[at + 5] as number | bigint;
  if (state[at + 4] !== null || typeof held !== 'number' || held === 0) return formatNumeric(numericSum(state, at));
  const carry = Math.trunc((state[at + 2] as number) / limb);
  let high = held + carry;
  let low = (state[at + 2] as number) - carry * limb;
  if (high > 0 && low < 0) {
    high--;
    low += limb;
  } else if (high < 0 && low > 0) {
    high++;
    low -= limb;
  }
  if (high === 0 || !Number.isSafeInteger(high)) return formatNumeric(numericSum(state, at));
  const digits = `${Math.abs(high)}${String(Math.abs(low)).padStart(limbDigits, '0')}`;
  const scale = state[at + 1] as number;
  const text = scale === 0 ? digits : withPoint(digits, scale);
  return high < 0 ? `-${text}` : text;
}
