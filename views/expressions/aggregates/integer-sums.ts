import { RowError } from '../expression.ts';
import type { LinearAggregate } from '../expression.ts';
import type { AggregateDefinition } from '../functions/definition.ts';
import { formatNumeric, Numeric } from '../numeric.ts';
import { divideNumeric } from '../numeric-division.ts';
import type { Value } from '../../value.ts';
import { addProduct, linear } from './linear.ts';

/** count, and sums and averages of integers: [rows that are not NULL, their sum]. */

const count: LinearAggregate = {
  slots: 1,
  init(into, at) {
    into[at] = 0;
  },
  add(state, at, _args, weight) {
    state[at] = (state[at] as number) + weight;
  },
  result(state, at) {
    return state[at] as number;
  },
};

function integerSum(result: (count: number, sum: number | bigint) => Value): LinearAggregate {
  return {
    slots: 2,
    init(into, at) {
      into[at] = 0;
      into[at + 1] = 0;
    },
    add(state, at, args, weight) {
      state[at] = (state[at] as number) + weight;
      const sum = state[at + 1] as number | bigint;
      const value = args[0] as number | bigint;
      if (typeof sum === 'number' && typeof value === 'number' && (weight === 1 || weight === -1)) {
        const next = sum + value * weight;
        if (next <= Number.MAX_SAFE_INTEGER && next >= -Number.MAX_SAFE_INTEGER) {
          state[at + 1] = next;
          return;
        }
      }
      state[at + 1] = addProduct(sum, value, weight);
    },
    result(state, at) {
      const rows = state[at] as number;
      return rows === 0 ? null : result(rows, state[at + 1] as number | bigint);
    },
  };
}

const int8Max = 9_223_372_036_854_775_807n;

const sumToInt8 = integerSum((_, sum) => {
  if (typeof sum === 'bigint' && (sum > int8Max || sum < -int8Max - 1n)) {
    throw new RowError('22003', 'bigint out of range');
  }
  return sum;
});
const sumToNumeric = integerSum((_, sum) => String(sum));
const average = integerSum((rows, sum) => formatNumeric(divideNumeric(new Numeric(sum, 0), new Numeric(rows, 0))));

export const integerAggregates: readonly AggregateDefinition[] = [
  {
    name: 'count',
    args: [],
    result: 'int8',
    bind: () => ({ skipsNull: false, linear: count, collect: null, first: null }),
  },
  linear('count', ['any'], 'int8', count),
  linear('sum', ['int2'], 'int8', sumToInt8),
  linear('sum', ['int4'], 'int8', sumToInt8),
  linear('sum', ['int8'], 'numeric', sumToNumeric),
  linear('avg', ['int2'], 'numeric', average),
  linear('avg', ['int4'], 'numeric', average),
  linear('avg', ['int8'], 'numeric', average),
];
