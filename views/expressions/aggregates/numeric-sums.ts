import type { LinearAggregate } from '../expression.ts';
import type { AggregateDefinition } from '../functions/definition.ts';
import { formatNumeric, Numeric } from '../numeric.ts';
import { divideNumeric } from '../numeric-division.ts';
import { linear } from './linear.ts';
import { addNumericText, initNumericSum, numericSum, numericSumSlots, numericSumText } from './numeric-sum.ts';

const sum: LinearAggregate = {
  slots: numericSumSlots,
  init: initNumericSum,
  add(state, at, args, weight) {
    addNumericText(state, at, args[0] as string, weight);
  },
  result(state, at) {
    return state[at] === 0 ? null : numericSumText(state, at);
  },
};

const average: LinearAggregate = {
  ...sum,
  result(state, at) {
    const rows = state[at] as number;
    return rows === 0 ? null : formatNumeric(divideNumeric(numericSum(state, at), new Numeric(rows, 0)));
  },
};

export const numericAggregates: readonly AggregateDefinition[] = [
  linear('sum', ['numeric'], 'numeric', sum),
  linear('avg', ['numeric'], 'numeric', average),
];
