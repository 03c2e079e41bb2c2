import { filterOf, joinOf } from './build.ts';
import { idsOf } from './columns.ts';
import { uses, within } from './expressions.ts';
import { splitCondition } from './join-keys.ts';
import { columnIds, isSingle } from './keys.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';
import type { Plan } from './plan.ts';

/**
 * Joins plans in the order in which they are connected by equalities, beginning with the first: next comes one that is found by its
 * key (the result does not grow), else the first that is connected at all. What nothing connects is joined by other conditions, or crossed.
 */
export function joined(inputs: readonly Plan[], conditions: readonly Expression[]): Plan {
  let open = [...conditions];
  const components: Plan[] = [];
  const remaining = [...inputs];
  const take = (plan: Plan, ids: ReadonlySet<ColumnId>): Expression[] => {
    const all = new Set([...idsOf(plan), ...ids]);
    const now = open.filter((e) => within(e, all) && (uses(e, ids) || ids.size === 0));
    open = open.filter((e) => !now.includes(e));
    return now;
  };
  for (let start = remaining.shift(); start !== undefined; start = remaining.shift()) {
    let plan = start;
    for (;;) {
      const at = next(plan, remaining, open);
      const leaf = remaining[at];
      if (leaf === undefined) break;
      remaining.splice(at, 1);
      plan = joinOf('inner', plan, leaf, take(plan, idsOf(leaf)));
    }
    components.push(plan);
  }
  const [first, ...others] = components;
  if (first === undefined) return { kind: 'values', rows: [[]], columns: [] };
  const plan = others.reduce((left, right) => joinOf('inner', left, right, take(left, idsOf(right))), first);
  return filterOf(plan, open);
}

function next(plan: Plan, remaining: readonly Plan[], open: readonly Expression[]): number {
  const ids = idsOf(plan);
  let connected = -1;
  for (const [at, leaf] of remaining.entries()) {
    const leafIds = idsOf(leaf);
    const keys = open.flatMap((e) => splitCondition(e, ids, leafIds).keys);
    if (keys.length === 0) continue;
    if (isSingle(leaf, columnIds(keys.map(({ right }) => right)))) return at;
    if (connected < 0) connected = at;
  }
  return connected;
}
