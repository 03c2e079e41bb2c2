import { RowError } from '../expressions/expression.ts';
import type { Row } from '../value.ts';
import { integer } from '../value.ts';
import type { ExpandPlan } from './plan.ts';

/** A set-returning function over its arguments, as rows of its columns. */
export function expandFunction(plan: ExpandPlan): (args: Row) => readonly Row[] {
  switch (plan.fn) {
    case 'generate_series':
      return integerSeries;
    default:
      return () => [];
  }
}

function integerSeries([start = null, stop = null, step = 1]: Row): readonly Row[] {
  if (start === null || stop === null || step === null) return [];
  const by = BigInt(step);
  if (by === 0n) throw new RowError('22023', 'step size cannot equal zero');
  const rows: Row[] = [];
  const end = BigInt(stop);
  for (let at = BigInt(start); by > 0n ? at <= end : at >= end; at += by) {
    rows.push([integer(at)]);
  }
  return rows;
}
