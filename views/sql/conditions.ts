import { castTo } from '../expressions/resolve.ts';
import { sqlScalar, typeName } from '../type.ts';
import { and, uses } from '../plan/expressions.ts';
import { withSubqueries } from './context.ts';
import { isUntyped } from './constants.ts';
import { locationOf } from './node.ts';
import { SqlError } from './sql-error.ts';
import { bindTestedSubquery } from './subquery.ts';
import type { Expression } from '../expressions/expression.ts';
import type { Plan } from '../plan/plan.ts';
import type { Subquery } from './aggregate-sink.ts';
import type { ExpressionContext } from './context.ts';
import type { Node } from 'libpg-query';

/** Casts to boolean what WHERE, ON, HAVING, FILTER, AND … are given. */
export function asCondition(e: Expression, what: string, location: number): Expression {
  if (isUntyped(e)) return castTo(e, sqlScalar('bool'), 'implicit', location);
  if (e.type.kind === 'scalar' && e.type.name === 'bool') return e;
  throw new SqlError(`argument of ${what} must be type boolean, not type ${typeName(e.type)}`, location);
}

export interface BoundCondition {
  /** Parts without subqueries, in the order they were written. */
  readonly plain: readonly Expression[];
  /** EXISTS, IN and the like, which keep or drop rows by themselves. */
  readonly tests: readonly Subquery[];
  /** Subqueries whose values `computed` uses. */
  readonly values: readonly Subquery[];
  readonly computed: readonly Expression[];
}

/** Binds a condition part by part, so that each EXISTS or IN of a conjunction becomes a semi- or anti-join. */
export function bindCondition(node: Node, context: ExpressionContext): BoundCondition {
  const plain: Expression[] = [];
  const tests: Subquery[] = [];
  const values: Subquery[] = [];
  const computed: Expression[] = [];
  for (const part of conjunctsOf(node)) {
    const test = context.subqueries === null ? undefined : bindTestedSubquery(part, context);
    if (test !== undefined) {
      tests.push(...test.tests);
      values.push(...test.values);
      continue;
    }
    const before = values.length;
    const partContext = context.subqueries === null ? context : { ...context, subqueries: values };
    const bound = asCondition(context.view.expression(part, partContext), context.clause, locationOf(part));
    (values.length > before ? computed : plain).push(bound);
  }
  return { plain, tests, values, computed };
}

/** The rows of `plan` for which the condition is true. */
export function filtered(plan: Plan, condition: BoundCondition): Plan {
  const before = filter(plan, condition.plain);
  // The left side of an IN may itself hold a subquery, whose value has to be there first.
  const valueIds = new Set(condition.values.flatMap(({ plan: right }) => right.columns.map(({ id }) => id)));
  const early = condition.tests.filter((test) => !uses(test.condition, valueIds));
  const late = condition.tests.filter((test) => uses(test.condition, valueIds));
  const withValues = withSubqueries(withSubqueries(before, early), condition.values);
  return filter(withSubqueries(withValues, late), condition.computed);
}

export function filter(input: Plan, conditions: readonly Expression[]): Plan {
  if (conditions.length === 0) return input;
  return { kind: 'filter', input, condition: and(conditions), columns: input.columns };
}

function conjunctsOf(node: Node): Node[] {
  if ('BoolExpr' in node && node.BoolExpr.boolop === 'AND_EXPR') return (node.BoolExpr.args ?? []).flatMap(conjunctsOf);
  return [node];
}
