import type { AggregateCall, Expression, SortKey } from '../expressions/expression.ts';
import type { ApplyPlan, Plan } from '../plan/plan.ts';

/** Takes the aggregates of a query while its expressions are bound. */
export interface AggregateSink {
  readonly calls: AggregateCall[];
  /** Subqueries in arguments: applied before rows are grouped. */
  readonly subqueries: Subquery[];
  /** The order of the rows that aggregates without ORDER BY see. */
  readonly order: readonly SortKey[];
}

/** A subquery of an expression, to be applied to the plan whose rows the expression sees. */
export interface Subquery {
  readonly type: ApplyPlan['type'];
  readonly plan: Plan;
  readonly condition: Expression;
}
