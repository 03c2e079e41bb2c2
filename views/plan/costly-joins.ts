import { idsOf, relationsIn, visit } from './columns.ts';
import { splitCondition } from './join-keys.ts';
import { isSingle } from './keys.ts';
import type { Plan } from './plan.ts';

/** A join that finds partners by no equality: a changed row of one side is compared with every row of the other. */
export interface CostlyJoin {
  /** The relations whose rows are combined on each side, as the query has them. */
  readonly left: readonly string[];
  readonly right: readonly string[];
}

export function costlyJoins(plan: Plan): readonly CostlyJoin[] {
  const found: CostlyJoin[] = [];
  visit(plan, (node) => {
    if (node.kind !== 'join' || isOneRow(node.left) || isOneRow(node.right)) return;
    const { keys } = splitCondition(node.condition, idsOf(node.left), idsOf(node.right));
    if (keys.length === 0) found.push({ left: relationsIn(node.left), right: relationsIn(node.right) });
  });
  return found;
}

function isOneRow(plan: Plan): boolean {
  return isSingle(plan, new Set());
}
