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
 * lower it again, rows are summed up by scale, in seven slots:
 *
 *   rows in all · the main scale (that of the first row), −1 without rows · low limb of the sum of its unscaled values · number of its
 *   rows · the others, null for none: `scale:rows:sum` and `NaN:rows`, `Infinity:rows`, `-Infinity:rows`, with blanks between ·
 *   middle limb · high limb
 *
 * The main sum is high × 10^18 + middle × 10^9 + low, each limb of either sign, low and middle within ±10^9. So limbs are small integers of
 * the machine, for which nothing is allocated; high is a bigint where it does not fit. Columns of type numeric(p,s) have one scale, and a
 * value of up to 27 digits costs a few additions.
 */
export const numericSumSlots = 7;

const limb = 1_000_000_000;
const limbDigits = 9;
const bigLimb = BigInt(limb);
const bigLimbs = bigLimb * bigLimb;
/** Beyond this the high limb is a bigint. */
const highMax = limb;

export function initNumericSum(into: Value[], at: number): void {
  into[at] = 0;
  into[at + 1] = -1;
  into[at + 2] = 0;
  into[at + 3] = 0;
  into[at + 4] = null;
  into[at + 5] = 0;
  into[at + 6] = 0;
}

/** What `readLimbs` read last, without its sign: low, middle, high. */
const limbs = new Int32Array(3);

/**
 * Reads a text of at most 27 digits, `scale` of them after the point, as numeric prints them: 1 or −1, its sign. 0 for others, NaN and
 * infinities among them.
 */
function readLimbs(text: string, scale: number): -1 | 0 | 1 {
  const { length } = text;
  const isNegative = text.charCodeAt(0) === 45;
  let at = isNegative ? 1 : 0;
  const point = scale === 0 ? -1 : length - scale - 1;
  let left = length - at - (scale === 0 ? 0 : 1);
  if (left > 3 * limbDigits || left < 1 || scale < 0) return 0;
  let high = 0;
  for (; left > 2 * limbDigits; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit >= 0 && digit <= 9) {
      high = high * 10 + digit;
      left--;
    } else if (at !== point || digit !== pointDigit) return 0;
  }
  let middle = 0;
  for (; left > limbDigits; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit >= 0 && digit <= 9) {
      middle = middle * 10 + digit;
      left--;
    } else if (at !== point || digit !== pointDigit) return 0;
  }
  let low = 0;
  for (; left > 0; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit >= 0 && digit <= 9) {
      low = low * 10 + digit;
      left--;
    } else if (at !== point || digit !== pointDigit) return 0;
  }
  // A point elsewhere, or none where one has to be: a number of another scale.
  if (at !== length) return 0;
  limbs[0] = low;
  limbs[1] = middle;
  limbs[2] = high;
  return isNegative ? -1 : 1;
}

/** '.' − '0' */
const pointDigit = -2;

export function addNumericText(state: Value[], at: number, text: string, weight: number): void {
  const sign = weight === 1 || weight === -1 ? readLimbs(text, state[at + 1] as number) : 0;
  const rows = (state[at] as number) + weight;
  const held = state[at + 6];
  if (sign !== 0 && rows !== 0 && typeof held === 'number') {
    let low = state[at + 2] as number;
    let middle = state[at + 5] as number;
    let high = held;
    if (sign === weight) {
      low += limbs[0] as number;
      middle += limbs[1] as number;
      high += limbs[2] as number;
    } else {
      low -= limbs[0] as number;
      middle -= limbs[1] as number;
      high -= limbs[2] as number;
    }
    if (low >= limb) {
      low -= limb;
      middle++;
    } else if (low <= -limb) {
      low += limb;
      middle--;
    }
    if (middle >= limb) {
      middle -= limb;
      high++;
    } else if (middle <= -limb) {
      middle += limb;
      high--;
    }
    if (high <= highMax && high >= -highMax) {
      state[at] = rows;
      state[at + 2] = low;
      state[at + 3] = (state[at + 3] as number) + weight;
      state[at + 5] = middle;
      state[at + 6] = high;
      return;
    }
  }
  addNumericValue(state, at, readNumeric(text), weight);
}

/** The main sum as one integer. */
function mainSum(state: readonly Value[], at: number): number | bigint {
  const low = state[at + 2] as number;
  const middle = state[at + 5] as number;
  const high = state[at + 6] as number | bigint;
  if (high === 0) {
    const sum = middle * limb + low;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return integer(BigInt(high) * bigLimbs + BigInt(middle) * bigLimb + BigInt(low));
}

function setMainSum(state: Value[], at: number, sum: number | bigint): void {
  if (typeof sum === 'number') {
    // Not −0.
    state[at + 2] = (sum % limb) + 0;
    state[at + 5] = Math.trunc(sum / limb) + 0;
    state[at + 6] = 0;
    return;
  }
  state[at + 2] = Number(sum % bigLimb);
  state[at + 5] = Number((sum / bigLimb) % bigLimb);
  state[at + 6] = integer(sum / bigLimbs);
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
  let high = state[at + 6] as number | bigint;
  if (state[at + 4] !== null || typeof high !== 'number') return formatNumeric(numericSum(state, at));
  let middle = state[at + 5] as number;
  let low = state[at + 2] as number;
  const isNegative = (high || middle || low) < 0;
  // Limbs of one sign, by what the one above has to give.
  const unit = isNegative ? -1 : 1;
  if (low * unit < 0) {
    low += limb * unit;
    middle -= unit;
  }
  if (middle * unit < 0) {
    middle += limb * unit;
    high -= unit;
  }
  let digits = String(Math.abs(low));
  if (middle !== 0 || high !== 0) digits = `${Math.abs(middle)}${digits.padStart(limbDigits, '0')}`;
  if (high !== 0) digits = `${Math.abs(high)}${digits.padStart(2 * limbDigits, '0')}`;
  const scale = state[at + 1] as number;
  const text = scale === 0 ? digits : withPoint(digits, scale);
  return isNegative ? `-${text}` : text;
}
