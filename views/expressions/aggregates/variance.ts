import type { LinearAggregate } from '../expression.ts';
import type { AggregateDefinition } from '../functions/definition.ts';
import {
  compareNumeric,
  formatNumeric,
  multiplyNumeric,
  Numeric,
  numeric,
  powerOfTen,
  readNumeric,
  signOf,
  subtractNumeric,
} from '../numeric.ts';
import { divideNumeric } from '../numeric-division.ts';
import type { Value } from '../../value.ts';
import { fixedOf, roundFraction, fractionBits } from './exact-float.ts';
import { linear } from './linear.ts';
import { addNumericValue, initNumericSum, numericSum, numericSumSlots } from './numeric-sum.ts';

/** variance and stddev. Over integers and numerics with the digits of numeric.c; over floats from exact sums, rounded at the end. */

type Kind = 'variance' | 'stddev';

/** Sums of the values and of their squares, each in the slots of a numeric sum. */
function numericVariance(kind: Kind, isSample: boolean): LinearAggregate {
  return {
    slots: numericSumSlots * 2,
    init(into, at) {
      initNumericSum(into, at);
      initNumericSum(into, at + numericSumSlots);
    },
    add(state, at, args, weight) {
      const value = readNumeric(String(args[0]));
      addNumericValue(state, at, value, weight);
      addNumericValue(state, at + numericSumSlots, squareOf(value), weight);
    },
    result(state, at) {
      const rows = state[at] as number;
      if (rows < (isSample ? 2 : 1)) {
        return null;
      }
      const sum = numericSum(state, at);
      const squares = numericSum(state, at + numericSumSlots);
      if (Number.isNaN(signOf(squares)) || isInfinite(squares) || isInfinite(sum)) return 'NaN';
      const count = new Numeric(rows, 0);
      const spread = subtractNumeric(multiplyNumeric(count, squares), multiplyNumeric(sum, sum));
      if (compareNumeric(spread, new Numeric(0, 0)) <= 0) return '0';
      const divisor = new Numeric(rows, 0);
      const quotient = divideNumeric(spread, multiplyNumeric(divisor, new Numeric(isSample ? rows - 1 : rows, 0)));
      return formatNumeric(kind === 'variance' ? quotient : rootOf(quotient));
    },
  };
}

function isInfinite(value: Numeric): boolean {
  return typeof value.unscaled === 'number' && !Number.isFinite(value.unscaled);
}

/** An infinity's square would hide that there are two of different sign, but any of them gives NaN in the end. */
function squareOf(value: Numeric): Numeric {
  return multiplyNumeric(value, value);
}

/** The square root with the scale of the value, half away from zero. */
function rootOf({ unscaled, scale }: Numeric): Numeric {
  const square = BigInt(unscaled) * powerOfTen(scale);
  // Newton's method from above.
  let root = 1n << BigInt((square.toString(16).length * 4 + 1) >> 1);
  for (;;) {
    const next = (root + square / root) >> 1n;
    if (next >= root) break;
    root = next;
  }
  return numeric(square - root * root > root ? root + 1n : root, scale);
}

/** [rows, sum in 2^-1074, sum of squares in 2^-2148, rows that are not finite] */
function floatVariance(kind: Kind, isSample: boolean): LinearAggregate {
  return {
    slots: 4,
    init(into, at) {
      for (let slot = 0; slot < 4; slot++) into[at + slot] = 0;
    },
    add(state, at, args, weight) {
      const value = args[0] as number;
      state[at] = (state[at] as number) + weight;
      if (!Number.isFinite(value)) {
        state[at + 3] = (state[at + 3] as number) + weight;
        return;
      }
      const fixed = fixedOf(value);
      const times = BigInt(weight);
      state[at + 1] = small(BigInt(state[at + 1] as number | bigint) + fixed * times);
      state[at + 2] = small(BigInt(state[at + 2] as number | bigint) + fixed * fixed * times);
    },
    result(state, at) {
      const rows = state[at] as number;
      if (rows < (isSample ? 2 : 1)) {
        return null;
      }
      if (state[at + 3] !== 0) return NaN;
      const sum = BigInt(state[at + 1] as number | bigint);
      const squares = BigInt(state[at + 2] as number | bigint);
      const count = BigInt(rows);
      const spread = count * squares - sum * sum;
      const variance = roundFraction(spread, count * (isSample ? count - 1n : count), fractionBits * 2n);
      return kind === 'variance' ? variance : Math.sqrt(variance);
    },
  };
}

/** Zero has one form. */
function small(value: bigint): Value {
  return value === 0n ? 0 : value;
}

const names: readonly (readonly [name: string, kind: Kind, isSample: boolean])[] = [
  ['variance', 'variance', true],
  ['var_samp', 'variance', true],
  ['var_pop', 'variance', false],
  ['stddev', 'stddev', true],
  ['stddev_samp', 'stddev', true],
  ['stddev_pop', 'stddev', false],
];

export const varianceAggregates: readonly AggregateDefinition[] = names.flatMap(([name, kind, isSample]) => [
  ...(['int2', 'int4', 'int8', 'numeric'] as const).map((type) =>
    linear(name, [type], 'numeric', numericVariance(kind, isSample)),
  ),
  ...(['float4', 'float8'] as const).map((type) => linear(name, [type], 'float8', floatVariance(kind, isSample))),
]);
