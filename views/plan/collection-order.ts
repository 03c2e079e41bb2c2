import { mapAll } from './expressions.ts';
import { mapInputs } from './columns.ts';
import { keysOf } from './keys.ts';
import type { AggregateCall, SortKey } from '../expressions/expression.ts';
import type { AggregatePlan, Plan } from './plan.ts';

/**
 * Gives aggregates that put rows one after the other (array_agg, json_agg, string_agg …) and have no ORDER BY the order of their input's
 * key, so that a view built anew has the same bytes.
 */
export function inKeyOrder(plan: Plan): Plan {
  const done = new Map<Plan, Plan>();
  const go = (node: Plan): Plan => {
    const known = done.get(node);
    if (known !== undefined) return known;
    const inner = mapInputs(node, go);
    const result = inner.kind === 'aggregate' ? ordered(inner) : inner;
    done.set(node, result);
    return result;
  };
  return go(plan);
}

function ordered(plan: AggregatePlan): Plan {
  const unordered = (call: AggregateCall): boolean =>
    call.fn.collect !== null && call.fn.first === null && !call.distinct && call.order.length === 0;
  if (!plan.aggregates.some(unordered)) return plan;
  const [key] = keysOf(plan.input);
  if (key === undefined) return plan;
  const order = key.flatMap((id): SortKey[] => {
    const column = plan.input.columns.find((candidate) => candidate.id === id);
    if (column === undefined || plan.keys.includes(id)) return [];
    return [{ expression: { kind: 'column', id, type: column.type }, descending: false, nullsFirst: false }];
  });
  if (order.length === 0) return plan;
  const aggregates = mapAll(plan.aggregates, (call) => (unordered(call) ? { ...call, order } : call));
  return { ...plan, aggregates };
}
