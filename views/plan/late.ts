import { projectOf } from './build.ts';
import { addColumns, columnOf, columnsIn } from './expressions.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';
import type { Plan, PlanColumn, TopNPlan } from './plan.ts';

/**
 * ORDER BY … LIMIT over computed columns: what neither orders nor partitions the rows is computed after it, for the rows that are left. So
 * a row that is cut off cannot fail.
 */
export function computedLate(plan: TopNPlan): Plan {
  const { input } = plan;
  if (input.kind !== 'project') return plan;
  const used = columnsIn(...plan.order.map(({ expression }) => expression));
  plan.partition.forEach((id) => used.add(id));
  const late = new Map<ColumnId, Expression>();
  const columns: PlanColumn[] = [];
  const expressions: Expression[] = [];
  input.columns.forEach((column, at) => {
    const e = input.expressions[at];
    if (e === undefined) return;
    if (used.has(column.id) || e.kind === 'column') {
      columns.push(column);
      expressions.push(e);
    } else {
      late.set(column.id, e);
    }
  });
  if (late.size === 0) return plan;
  const needed = new Set<ColumnId>();
  for (const e of late.values()) addColumns(e, needed);
  for (const column of input.input.columns) {
    if (!needed.has(column.id) || columns.some(({ id }) => id === column.id)) continue;
    columns.push(column);
    expressions.push(columnOf(column));
  }
  const rows = projectOf(input.input, expressions, columns);
  const top: Plan = { ...plan, input: rows, columns };
  return projectOf(
    top,
    input.columns.map((column) => late.get(column.id) ?? columnOf(column)),
    input.columns,
  );
}
