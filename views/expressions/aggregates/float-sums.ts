import { RowError } from '../expression.ts';
import type { LinearAggregate } from '../expression.ts';
import type { AggregateDefinition } from '../functions/definition.ts';
import type { Value } from '../../value.ts';
import { fixedOf, fractionBits, roundFraction } from './exact-float.ts';
import { linear } from './linear.ts';

/**
 * Sums of floats that do not depend on the order of rows, and from which a row can be taken out again: the state is the exact sum,
 * rounded once when it is asked for. (PostgreSQL rounds after each row, in whatever order the rows come; where its sums are exact, these are the same.)
 *
 *   rows · high · low · rest · rows that are -0 · NaNs, Infinities and -Infinities (`n p m`, null for none)
 *
 * The exact sum is high + low + rest × 2^-1074. A row is added to high; Knuth's two-sum gives the error of that addition exactly,
 * which is added to low in the same way. Only if low's own addition has an error too does the row go to `rest`, a bigint in units of the
 * smallest double, which is slow and always exact.
 */
const slots = 6;

function init(into: Value[], at: number): void {
  into[at] = 0;
  into[at + 1] = 0;
  into[at + 2] = 0;
  into[at + 3] = 0;
  into[at + 4] = 0;
  into[at + 5] = null;
}

function add(state: Value[], at: number, args: readonly Value[], weight: number): void {
  const value = args[0] as number;
  const rows = (state[at] as number) + weight;
  state[at] = rows;
  const high = state[at + 1] as number;
  const low = state[at + 2] as number;
  const term = value * weight;
  const sum = high + term;
  const part = sum - high;
  const error = high - (sum - part) + (term - part);
  const nextLow = low + error;
  const lowPart = nextLow - low;
  const lowError = low - (nextLow - lowPart) + (error - lowPart);
  if (lowError === 0 && value !== 0 && (weight === 1 || weight === -1)) {
    state[at + 1] = sum;
    state[at + 2] = nextLow;
  } else {
    addSlowly(state, at, value, weight);
  }
  if (rows === 0 && state[at + 5] === null && state[at + 4] === 0 && isZero(state, at)) init(state, at);
}

/** Whether nothing is owed: a row may be taken out before the one that it stands for comes in. */
function isZero(state: readonly Value[], at: number): boolean {
  const high = state[at + 1] as number;
  const low = state[at + 2] as number;
  const rest = state[at + 3] as number | bigint;
  return rest === 0 ? high + low === 0 : fixedOf(high) + fixedOf(low) + BigInt(rest) === 0n;
}

/** Also what is not finite: every comparison with its NaN errors has failed. */
function addSlowly(state: Value[], at: number, value: number, weight: number): void {
  if (value === 0) {
    if (Object.is(value, -0)) state[at + 4] = (state[at + 4] as number) + weight;
  } else if (Number.isFinite(value)) {
    const rest = BigInt(state[at + 3] as number | bigint) + fixedOf(value) * BigInt(weight);
    state[at + 3] = rest === 0n ? 0 : rest;
  } else {
    const counts = specialsOf(state, at);
    const kind = Number.isNaN(value) ? 0 : value > 0 ? 1 : 2;
    counts[kind] = (counts[kind] as number) + weight;
    state[at + 5] = counts.every((rows) => rows === 0) ? null : counts.join(' ');
  }
}

function specialsOf(state: readonly Value[], at: number): number[] {
  const text = state[at + 5] as string | null;
  return text === null ? [0, 0, 0] : text.split(' ').map(Number);
}

/** Rounded to a double; Infinity when it is too large for one. */
function sumOf(state: readonly Value[], at: number): number {
  const [nans = 0, infinities = 0, minusInfinities = 0] = specialsOf(state, at);
  if (nans !== 0 || (infinities !== 0 && minusInfinities !== 0)) return NaN;
  if (infinities !== 0) return Infinity;
  if (minusInfinities !== 0) return -Infinity;
  const high = state[at + 1] as number;
  const low = state[at + 2] as number;
  const rest = state[at + 3] as number | bigint;
  const sum = rest === 0 ? high + low : roundFraction(fixedOf(high) + fixedOf(low) + BigInt(rest), 1n, fractionBits);
  if (sum === 0) return state[at + 4] === state[at] ? -0 : 0;
  if (!Number.isFinite(sum)) throw overflow();
  return sum;
}

function overflow(): RowError {
  return new RowError('22003', 'value out of range: overflow');
}

function floatSum(result: (sum: number, rows: number) => number): LinearAggregate {
  return {
    slots,
    init,
    add,
    result(state, at) {
      const rows = state[at] as number;
      return rows === 0 ? null : result(sumOf(state, at), rows);
    },
  };
}

const sumFloat8 = floatSum((sum) => sum);
const sumFloat4 = floatSum((sum) => {
  const rounded = Math.fround(sum);
  if (!Number.isFinite(rounded) && Number.isFinite(sum)) throw overflow();
  return rounded;
});
/** PostgreSQL's starts from 0, so that it is never -0. */
const average = floatSum((sum, rows) => (sum + 0) / rows);

export const floatAggregates: readonly AggregateDefinition[] = [
  linear('sum', ['float8'], 'float8', sumFloat8),
  linear('sum', ['float4'], 'float4', sumFloat4),
  linear('avg', ['float8'], 'float8', average),
  linear('avg', ['float4'], 'float8', average),
];
