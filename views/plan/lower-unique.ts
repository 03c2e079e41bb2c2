import type { ColumnId, Expression } from '../expressions/expression.ts';
import { idsOf } from './columns.ts';
import { splitCondition } from './join-keys.ts';
import { isSingle } from './keys.ts';
import type { JoinPlan, Plan } from './plan.ts';

/**
 * Whether the plan leaves no room for two rows with the same values in the columns `ids`. Beside the keys of plan/keys.ts it knows that
 * columns of GROUP BY can follow from others: of `GROUP BY o.id, o.status, c.name`, the order's key alone tells the groups apart.
 */
export function isUniqueBy(plan: Plan, ids: ReadonlySet<ColumnId>): boolean {
  if (isSingle(plan, ids)) return true;
  switch (plan.kind) {
    case 'filter':
    case 'topN':
      return isUniqueBy(plan.input, ids);
    case 'project': {
      const inner = plan.expressions.flatMap((e, index) => {
        const column = plan.columns[index];
        return e.kind === 'column' && column !== undefined && ids.has(column.id) ? [e.id] : [];
      });
      return isUniqueBy(plan.input, new Set(inner));
    }
    case 'aggregate': {
      const determined = new Set(plan.keys.filter((id) => ids.has(id)));
      for (let size = -1; size < determined.size;) {
        size = determined.size;
        addDetermined(plan.input, determined);
      }
      return plan.keys.every((id) => determined.has(id));
    }
    default:
      return false;
  }
}

/** Adds columns whose values follow from those of `known` in every row of the plan. */
function addDetermined(plan: Plan, known: Set<ColumnId>): void {
  switch (plan.kind) {
    case 'scan':
      if (plan.key.length > 0 && plan.key.every((id) => known.has(id))) addAll(plan, known);
      return;
    case 'filter':
    case 'topN':
    case 'distinct':
      return addDetermined(plan.input, known);
    case 'project':
      // What is computed follows from columns: those that are passed on carry over, the others are known once their columns are.
      plan.expressions.forEach((e, index) => {
        const id = plan.columns[index]?.id ?? -1;
        if (e.kind === 'column' && known.has(id)) known.add(e.id);
      });
      addDetermined(plan.input, known);
      plan.expressions.forEach((e, index) => {
        const id = plan.columns[index]?.id ?? -1;
        if (e.kind === 'literal' || (e.kind === 'column' && known.has(e.id))) known.add(id);
      });
      return;
    case 'aggregate':
      if (plan.keys.every((id) => known.has(id))) addAll(plan, known);
      return;
    case 'join':
      return addOfJoin(plan, known);
    default:
  }
}

/**
 * An equality carries over what is known; to the side that a left join fills up with NULLs only where the equalities are all that
 * decides about partners, since only then all rows with these values have one, or none.
 */
function addOfJoin({ type, left, right, condition }: JoinPlan, known: Set<ColumnId>): void {
  if (type === 'full') return;
  addDetermined(left, known);
  if (type === 'semi' || type === 'anti') return;
  const { keys, residual } = splitCondition(condition, idsOf(left), idsOf(right));
  const isKnown = (e: Expression): boolean => e.kind === 'literal' || (e.kind === 'column' && known.has(e.id));
  for (const key of keys) {
    const isCarried = type === 'inner' || (residual === null && keys.every((other) => isKnown(other.left)));
    if (isCarried && isKnown(key.left) && key.right.kind === 'column') known.add(key.right.id);
    if (type === 'inner' && isKnown(key.right) && key.left.kind === 'column') known.add(key.left.id);
  }
  addDetermined(right, known);
}

function addAll({ columns }: Plan, known: Set<ColumnId>): void {
  for (const { id } of columns) known.add(id);
}
