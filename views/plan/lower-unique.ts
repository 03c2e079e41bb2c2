import type { ColumnId, Expression } from '../expressions/expression.ts';
import { splitCondition } from './join-keys.ts';
import type { JoinPlan, Plan } from './plan.ts';

/** Plans of views by the relation under which they are scanned. */
export type ViewPlans = ReadonlyMap<string, Plan>;

/** Whether the plan alone says that no two of its rows have the same values in the columns `ids`. */
export function isUniqueBy(plan: Plan, ids: ReadonlySet<ColumnId>, views: ViewPlans): boolean {
  switch (plan.kind) {
    case 'scan': {
      const view = views.get(plan.relation);
      if (view === undefined) return plan.key.length > 0 && plan.key.every((id) => ids.has(id));
      const inner = plan.columns.flatMap(({ id }, index) => {
        const column = view.columns[plan.positions[index] ?? -1];
        return ids.has(id) && column !== undefined ? [column.id] : [];
      });
      return isUniqueBy(view, new Set(inner), views);
    }
    case 'filter':
      return isUniqueBy(plan.input, ids, views);
    case 'project': {
      const inner = plan.expressions.flatMap((e, index) => {
        const column = plan.columns[index];
        return e.kind === 'column' && column !== undefined && ids.has(column.id) ? [e.id] : [];
      });
      return isUniqueBy(plan.input, new Set(inner), views);
    }
    case 'aggregate':
      return plan.keys.every((id) => ids.has(id));
    case 'distinct':
      return plan.columns.every(({ id }) => ids.has(id)) || isUniqueBy(plan.input, ids, views);
    case 'topN': {
      const isOne = plan.single === true || plan.limit === 1;
      return (isOne && plan.partition.every((id) => ids.has(id))) || isUniqueBy(plan.input, ids, views);
    }
    case 'join':
      return isJoinUniqueBy(plan, ids, views);
    case 'values':
      return plan.rows.length <= 1;
    case 'apply':
    case 'union':
    case 'except':
    case 'intersect':
    case 'expand':
      return false;
  }
}

/** A pair is told by what tells its rows; one side's alone is enough where each of its rows has one partner at most. */
function isJoinUniqueBy(plan: JoinPlan, ids: ReadonlySet<ColumnId>, views: ViewPlans): boolean {
  const { type, left, right, condition } = plan;
  if (type === 'full') return false;
  const isLeftUnique = isUniqueBy(left, ids, views);
  if (type === 'semi' || type === 'anti') return isLeftUnique;
  const isRightUnique = isUniqueBy(right, ids, views);
  if (isLeftUnique && isRightUnique) return true;
  const { keys } = splitCondition(condition, idsOf(left), idsOf(right));
  if (isLeftUnique) return isUniqueBy(right, columnsAmong(keys.map((key) => key.right)), views);
  return type === 'inner' && isRightUnique && isUniqueBy(left, columnsAmong(keys.map((key) => key.left)), views);
}

/**
 * Columns that tell the plan's rows apart, where they are there: what rows are ordered by when nothing else is said. Only base
 * tables' keys count, through operators that keep their rows as they are.
 */
export function rowKey(plan: Plan): readonly ColumnId[] {
  switch (plan.kind) {
    case 'scan':
      return plan.key;
    case 'filter':
    case 'topN':
      return rowKey(plan.input);
    case 'join':
      return plan.type === 'semi' || plan.type === 'anti'
        ? rowKey(plan.left)
        : [...rowKey(plan.left), ...rowKey(plan.right)];
    case 'project':
      return rowKey(plan.input).flatMap((id) => {
        const at = plan.expressions.findIndex((e) => e.kind === 'column' && e.id === id);
        return plan.columns[at]?.id ?? [];
      });
    case 'aggregate':
      return plan.keys;
    case 'values':
    case 'apply':
    case 'distinct':
    case 'union':
    case 'except':
    case 'intersect':
    case 'expand':
      return [];
  }
}

function idsOf({ columns }: Plan): ReadonlySet<ColumnId> {
  return new Set(columns.map(({ id }) => id));
}

function columnsAmong(expressions: readonly Expression[]): ReadonlySet<ColumnId> {
  return new Set(expressions.flatMap((e) => (e.kind === 'column' ? [e.id] : [])));
}
