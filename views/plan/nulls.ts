import { childrenOf, conjuncts } from './expressions.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';
import type { Plan } from './plan.ts';

/** Columns of the plan that are never NULL, as far as it is known. */
export function nonNullColumns(plan: Plan): Set<ColumnId> {
  switch (plan.kind) {
    case 'scan':
      return new Set(plan.notNull ?? []);
    case 'values':
      return picked(plan, (at) => plan.rows.every((row) => row[at]?.kind === 'literal' && row[at].value !== null));
    case 'filter':
      return new Set([...nonNullColumns(plan.input), ...rejectsNull(plan.condition)]);
    case 'project': {
      const known = nonNullColumns(plan.input);
      return picked(plan, (at) => isNonNull(plan.expressions[at], known));
    }
    case 'join':
    case 'apply': {
      const left = plan.type === 'full' ? [] : nonNullColumns(plan.left);
      if (plan.type !== 'inner') return new Set(left);
      return new Set([...left, ...nonNullColumns(plan.right), ...rejectsNull(plan.condition)]);
    }
    case 'aggregate': {
      const known = nonNullColumns(plan.input);
      const counts = plan.aggregates.filter(isCount).map(({ id }) => id);
      return new Set([...plan.keys.filter((id) => known.has(id)), ...counts]);
    }
    case 'distinct':
    case 'topN':
      return nonNullColumns(plan.input);
    case 'union': {
      const inputs = plan.inputs.map((input) => ({ input, known: nonNullColumns(input) }));
      return picked(plan, (at) => inputs.every(({ input, known }) => has(known, input.columns[at]?.id)));
    }
    case 'except':
    case 'intersect': {
      const known = nonNullColumns(plan.left);
      return picked(plan, (at) => has(known, plan.left.columns[at]?.id));
    }
    case 'expand':
      return nonNullColumns(plan.input);
  }
}

function picked(plan: Plan, test: (at: number) => boolean): Set<ColumnId> {
  return new Set(plan.columns.filter((_, at) => test(at)).map(({ id }) => id));
}

function has(ids: ReadonlySet<ColumnId>, id: ColumnId | undefined): boolean {
  return id !== undefined && ids.has(id);
}

/** `count` alone gives a value, 0, for no rows; all other aggregates give NULL. */
export function isCount({ fn }: { readonly fn: { readonly id: string } }): boolean {
  return fn.id.startsWith('count(');
}

export function isNonNull(e: Expression | undefined, known: ReadonlySet<ColumnId>): boolean {
  if (e === undefined) return false;
  switch (e.kind) {
    case 'column':
      return known.has(e.id);
    case 'literal':
      return e.value !== null;
    case 'call':
      // Other strict functions may be NULL for arguments that are not.
      return e.fn.isEquality && e.args.every((arg) => isNonNull(arg, known));
    case 'coalesce':
      return e.args.some((arg) => isNonNull(arg, known));
    case 'and':
    case 'or':
    case 'not':
      return childrenOf(e).every((child) => isNonNull(child, known));
    case 'case':
      return [...e.branches.map(({ then }) => then), e.otherwise].every((result) => isNonNull(result, known));
    case 'isNull':
    case 'row':
    case 'array':
      return true;
  }
}

/** Columns that are not NULL wherever the condition is true. */
export function rejectsNull(condition: Expression): Set<ColumnId> {
  const ids = new Set<ColumnId>();
  for (const part of conjuncts(condition)) for (const id of rejectedBy(part)) ids.add(id);
  return ids;
}

function rejectedBy(e: Expression): Set<ColumnId> {
  switch (e.kind) {
    case 'and':
      return rejectsNull(e);
    case 'or': {
      const [first, ...others] = e.args.map(rejectsNull);
      return new Set([...(first ?? [])].filter((id) => others.every((other) => other.has(id))));
    }
    case 'not':
      return e.arg.kind === 'isNull' ? strictColumns(e.arg.arg) : strictColumns(e.arg);
    case 'coalesce': {
      // IS TRUE.
      const [tested, otherwise] = e.args;
      const isTrue = e.args.length === 2 && otherwise?.kind === 'literal' && otherwise.value === false;
      return isTrue && tested !== undefined ? rejectsNull(tested) : new Set();
    }
    case 'column':
    case 'call':
      return strictColumns(e);
    default:
      return new Set();
  }
}

/** Columns by which the expression is NULL when one of them is. */
function strictColumns(e: Expression): Set<ColumnId> {
  if (e.kind === 'column') return new Set([e.id]);
  if (e.kind === 'not') return strictColumns(e.arg);
  if (e.kind !== 'call' || !e.fn.strict) return new Set();
  return new Set(e.args.flatMap((arg) => [...strictColumns(arg)]));
}
