import { idsOf } from './columns.ts';
import { conjuncts } from './expressions.ts';
import { equalityOf, splitCondition } from './join-keys.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';
import type { JoinPlan, Plan } from './plan.ts';

type Key = readonly ColumnId[];

/** Sets of columns that no two rows of the plan share, as far as they are known; an empty one means one row at most. */
export function keysOf(plan: Plan): readonly Key[] {
  return candidates(plan).slice(0, 6);
}

/** Whether at most one row of the plan has given values in `fixed`. */
export function isSingle(plan: Plan, fixed: ReadonlySet<ColumnId>): boolean {
  return keysOf(plan).some((key) => key.every((id) => fixed.has(id)));
}

function candidates(plan: Plan): Key[] {
  switch (plan.kind) {
    case 'scan':
      return plan.key.length === 0 ? [] : [plan.key];
    case 'values':
      return plan.rows.length <= 1 ? [[]] : [];
    case 'filter': {
      // What is equal to a constant does not tell rows apart.
      const constant = new Set<ColumnId>();
      for (const part of conjuncts(plan.condition)) {
        const equality = equalityOf(part);
        if (equality?.right.kind === 'literal' && equality.left.kind === 'column') constant.add(equality.left.id);
        if (equality?.left.kind === 'literal' && equality.right.kind === 'column') constant.add(equality.right.id);
      }
      return keysOf(plan.input).map((key) => key.filter((id) => !constant.has(id)));
    }
    case 'project': {
      const outputs = new Map<ColumnId, ColumnId>();
      plan.expressions.forEach((e, at) => {
        const column = plan.columns[at];
        if (e.kind === 'column' && column !== undefined && !outputs.has(e.id)) outputs.set(e.id, column.id);
      });
      return keysOf(plan.input).flatMap((key) => renamed(key, outputs));
    }
    case 'join':
      return ofJoin(plan);
    case 'apply':
      return plan.type === 'semi' || plan.type === 'anti' || plan.type === 'scalar' ? [...keysOf(plan.left)] : [];
    case 'aggregate':
      return [plan.keys];
    case 'distinct':
      return [...keysOf(plan.input), plan.columns.map(({ id }) => id)];
    case 'topN':
      return plan.limit === 1 ? [plan.partition, ...keysOf(plan.input)] : [...keysOf(plan.input)];
    case 'union':
      return [];
    case 'except':
    case 'intersect':
      return plan.all ? [] : [plan.columns.map(({ id }) => id)];
    case 'expand': {
      const ordinal = plan.ordinality ? plan.columns.at(-1)?.id : undefined;
      return ordinal === undefined ? [] : keysOf(plan.input).map((key) => [...key, ordinal]);
    }
  }
}

function renamed(key: Key, outputs: ReadonlyMap<ColumnId, ColumnId>): Key[] {
  const result = key.flatMap((id) => outputs.get(id) ?? []);
  return result.length === key.length ? [result] : [];
}

function ofJoin(plan: JoinPlan): Key[] {
  const left = keysOf(plan.left);
  if (plan.type === 'semi' || plan.type === 'anti') return [...left];
  const right = keysOf(plan.right);
  const both = left.flatMap((l) => right.map((r) => [...l, ...r]));
  if (plan.type === 'full') return both;
  const { keys } = splitCondition(plan.condition, idsOf(plan.left), idsOf(plan.right));
  const fixedRight = columnIds(keys.map((key) => key.right));
  const fixedLeft = columnIds(keys.map((key) => key.left));
  const result = right.some((key) => key.every((id) => fixedRight.has(id))) ? [...left] : [];
  if (plan.type === 'inner' && left.some((key) => key.every((id) => fixedLeft.has(id)))) result.push(...right);
  return [...result, ...both];
}

export function columnIds(expressions: readonly Expression[]): Set<ColumnId> {
  return new Set(expressions.flatMap((e) => (e.kind === 'column' ? [e.id] : [])));
}
