import { filterOf, projectOf } from './build.ts';
import { idsOf } from './columns.ts';
import { columnOf, isNull, not, substitute } from './expressions.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';
import type { Ids } from './columns.ts';
import type { Plan, PlanColumn } from './plan.ts';

/**
 * A subplan evaluated for all values of its units at once. `plan` has the subplan's columns, and a column for each unit: the rows that
 * have the value d there are what the subplan gives for d. It may also have rows for values that no outer row has.
 */
export interface Unnested {
  readonly plan: Plan;
  readonly carried: ReadonlyMap<ColumnId, Carried>;
}

export interface Carried {
  readonly column: PlanColumn;
  /** The subplan gives nothing where the unit is NULL; rows of the plan that have NULL here mean nothing. */
  readonly strict: boolean;
}

/** The expression over the columns by which units are carried. */
export function replaced(e: Expression, { carried }: Unnested): Expression {
  const columns = new Map<ColumnId, Expression>();
  for (const [id, { column }] of carried) columns.set(id, columnOf(column));
  return substitute(e, columns);
}

/** Without the rows that mean nothing. */
export function cleaned({ plan, carried }: Unnested): Unnested {
  const strict = [...carried.values()].filter((unit) => unit.strict);
  if (strict.length === 0) return { plan, carried };
  const conditions = strict.map(({ column }) => not(isNull(columnOf(column))));
  const result = new Map<ColumnId, Carried>();
  for (const [id, { column }] of carried) result.set(id, { column, strict: false });
  return { plan: filterOf(plan, conditions), carried: result };
}

export function withCarried(columns: readonly PlanColumn[], { carried }: Unnested): PlanColumn[] {
  const result = [...columns];
  for (const { column } of carried.values()) if (!result.some(({ id }) => id === column.id)) result.push(column);
  return result;
}

/** The same with other ids where it carries a unit in a column that `left` has too. */
export function apart(ids: Ids, left: Plan, right: Unnested): Unnested {
  const taken = idsOf(left);
  if (!right.plan.columns.some(({ id }) => taken.has(id))) return right;
  const renamed = new Map<ColumnId, PlanColumn>();
  const columns = right.plan.columns.map((column) => {
    if (!taken.has(column.id)) return column;
    const own = ids.column(column.name, column.type);
    renamed.set(column.id, own);
    return own;
  });
  const carried = new Map<ColumnId, Carried>();
  for (const [id, { column, strict }] of right.carried) {
    carried.set(id, { column: renamed.get(column.id) ?? column, strict });
  }
  return { plan: projectOf(right.plan, right.plan.columns.map(columnOf), columns), carried };
}
