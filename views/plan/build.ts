import { equality } from '../expressions/resolve.ts';
import { and, columnOf, isTrue } from './expressions.ts';
import { notDistinct } from './join-keys.ts';
import type { Expression } from '../expressions/expression.ts';
import type { JoinPlan, Plan, PlanColumn } from './plan.ts';

export function filterOf(input: Plan, conditions: readonly Expression[]): Plan {
  const condition = and(conditions);
  return isTrue(condition) ? input : { kind: 'filter', input, condition, columns: input.columns };
}

export function projectOf(input: Plan, expressions: readonly Expression[], columns: readonly PlanColumn[]): Plan {
  return { kind: 'project', input, expressions, columns };
}

export function joinOf(type: JoinPlan['type'], left: Plan, right: Plan, conditions: readonly Expression[]): Plan {
  const columns = type === 'semi' || type === 'anti' ? left.columns : [...left.columns, ...right.columns];
  return { kind: 'join', type, left, right, condition: and(conditions), columns };
}

/** The plan with exactly these columns of it, in this order. */
export function narrow(plan: Plan, columns: readonly PlanColumn[]): Plan {
  const same = plan.columns.length === columns.length && columns.every(({ id }, at) => plan.columns[at]?.id === id);
  return same ? plan : projectOf(plan, columns.map(columnOf), columns);
}

/** `a = b`, or `a IS NOT DISTINCT FROM b` where NULLs are to find each other. */
export function matches(a: Expression, b: Expression, nullsEqual: boolean): Expression {
  const equal = equality(a, b, 0);
  return nullsEqual ? notDistinct(equal) : equal;
}
