import { filterOf, projectOf } from './build.ts';
import { idsOf } from './columns.ts';
import { and, columnOf, columnsIn, conjuncts, uses, within } from './expressions.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';
import type { Plan, PlanColumn } from './plan.ts';

export interface PulledUp {
  /** Its columns are the plan's, and those that the conditions need besides. */
  readonly plan: Plan;
  /** Over the plan's columns and the outer ones. */
  readonly conditions: readonly Expression[];
}

/** Takes correlated conditions out of a subplan, from where they can be tested above it as well. */
export function pullUp(plan: Plan, outer: ReadonlySet<ColumnId>): PulledUp {
  switch (plan.kind) {
    case 'filter': {
      const input = pullUp(plan.input, outer);
      const parts = conjuncts(plan.condition);
      return {
        plan: filterOf(
          input.plan,
          parts.filter((part) => !uses(part, outer)),
        ),
        conditions: [...input.conditions, ...parts.filter((part) => uses(part, outer))],
      };
    }
    case 'join': {
      const left = pullUp(plan.left, outer);
      if (plan.type === 'full') return { plan, conditions: [] };
      if (plan.type !== 'inner') {
        const columns = plan.type === 'left' ? [...left.plan.columns, ...plan.right.columns] : left.plan.columns;
        return { plan: { ...plan, left: left.plan, columns }, conditions: left.conditions };
      }
      const right = pullUp(plan.right, outer);
      const parts = conjuncts(plan.condition);
      return {
        plan: {
          ...plan,
          left: left.plan,
          right: right.plan,
          condition: and(parts.filter((part) => !uses(part, outer))),
          columns: [...left.plan.columns, ...right.plan.columns],
        },
        conditions: [...left.conditions, ...right.conditions, ...parts.filter((part) => uses(part, outer))],
      };
    }
    case 'project': {
      if (plan.expressions.some((e) => uses(e, outer))) return { plan, conditions: [] };
      const input = pullUp(plan.input, outer);
      const hidden = hiddenColumns(input, idsOf(plan), outer);
      return {
        plan: projectOf(input.plan, [...plan.expressions, ...hidden.map(columnOf)], [...plan.columns, ...hidden]),
        conditions: input.conditions,
      };
    }
    case 'distinct': {
      const input = pullUp(plan.input, outer);
      const kept = idsOf(plan);
      const visible = (id: ColumnId): boolean => kept.has(id) || outer.has(id);
      if (!input.conditions.every((e) => within(e, { has: visible })) || input.plan.columns.length > kept.size) {
        return { plan, conditions: [] };
      }
      return { plan: { ...plan, input: input.plan, columns: input.plan.columns }, conditions: input.conditions };
    }
    default:
      return { plan, conditions: [] };
  }
}

/** Columns of the input that the conditions use and the projection leaves out. */
function hiddenColumns(input: PulledUp, kept: ReadonlySet<ColumnId>, outer: ReadonlySet<ColumnId>): PlanColumn[] {
  const used = columnsIn(...input.conditions);
  return input.plan.columns.filter(({ id }) => used.has(id) && !kept.has(id) && !outer.has(id));
}
