import type { LinearAggregate } from '../expression.ts';
import type { AggregateDefinition } from '../functions/definition.ts';
import {
  divideInterval,
  infiniteInterval,
  isFiniteInterval,
  minusInfiniteInterval,
  newInterval,
  outOfRange,
} from '../interval.ts';
import type { Interval } from '../interval.ts';
import { parseInterval, writeInterval } from '../interval-text.ts';
import type { Value } from '../../value.ts';
import { addProduct, linear } from './linear.ts';

/** [rows, months, days, microseconds, rows that are infinity, rows that are -infinity] */
const slots = 6;

function init(into: Value[], at: number): void {
  for (let slot = 0; slot < slots; slot++) into[at + slot] = 0;
}

function add(state: Value[], at: number, args: readonly Value[], weight: number): void {
  const value = parseInterval(args[0] as string);
  state[at] = (state[at] as number) + weight;
  if (!isFiniteInterval(value)) {
    const slot = at + (value.months > 0 ? 4 : 5);
    state[slot] = (state[slot] as number) + weight;
    return;
  }
  state[at + 1] = addProduct(state[at + 1] as number | bigint, value.months, weight);
  state[at + 2] = addProduct(state[at + 2] as number | bigint, value.days, weight);
  state[at + 3] = addProduct(state[at + 3] as number | bigint, value.micros, weight);
}

function sumOf(state: readonly Value[], at: number): Interval {
  const hasInfinity = state[at + 4] !== 0;
  const hasMinusInfinity = state[at + 5] !== 0;
  if (hasInfinity && hasMinusInfinity) throw outOfRange();
  if (hasInfinity) return infiniteInterval;
  if (hasMinusInfinity) return minusInfiniteInterval;
  return newInterval(Number(state[at + 1]), Number(state[at + 2]), state[at + 3] as number | bigint);
}

function intervalSum(result: (sum: Interval, rows: number) => Interval): LinearAggregate {
  return {
    slots,
    init,
    add,
    result(state, at) {
      const rows = state[at] as number;
      return rows === 0 ? null : writeInterval(result(sumOf(state, at), rows));
    },
  };
}

export const intervalAggregates: readonly AggregateDefinition[] = [
  linear(
    'sum',
    ['interval'],
    'interval',
    intervalSum((sum) => sum),
  ),
  linear('avg', ['interval'], 'interval', intervalSum(divideInterval)),
];
