import { sqlScalar } from '../type.ts';
import { and, conjuncts, isNull, sameExpression, within } from './expressions.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';

export interface JoinKey {
  /** Over the columns of the left side alone. */
  readonly left: Expression;
  /** Over the columns of the right side alone. */
  readonly right: Expression;
  /** `left IS NOT DISTINCT FROM right`: NULL finds NULL. Otherwise a NULL finds nothing. */
  readonly nullsEqual: boolean;
}

/**
 * Takes the equalities between the two sides out of a join's condition: `condition` is true exactly where all `keys` are equal and
 * `residual` (null: nothing is left) is true.
 */
export function splitCondition(
  condition: Expression,
  leftIds: ReadonlySet<ColumnId>,
  rightIds: ReadonlySet<ColumnId>,
): { readonly keys: readonly JoinKey[]; readonly residual: Expression | null } {
  const keys: JoinKey[] = [];
  const rest: Expression[] = [];
  for (const part of conjuncts(condition)) {
    const key = joinKey(part, leftIds, rightIds);
    if (key === null) rest.push(part);
    else keys.push(key);
  }
  return { keys, residual: rest.length === 0 ? null : and(rest) };
}

function joinKey(e: Expression, leftIds: ReadonlySet<ColumnId>, rightIds: ReadonlySet<ColumnId>): JoinKey | null {
  const equality = equalityOf(e);
  if (equality === null) return null;
  const { left, right, nullsEqual } = equality;
  if (isOver(left, leftIds) && isOver(right, rightIds)) return { left, right, nullsEqual };
  if (isOver(right, leftIds) && isOver(left, rightIds)) return { left: right, right: left, nullsEqual };
  return null;
}

function isOver(e: Expression, ids: ReadonlySet<ColumnId>): boolean {
  return e.kind !== 'literal' && within(e, ids);
}

/** `a = b`, or `a IS NOT DISTINCT FROM b` as `notDistinct` makes it. */
export function equalityOf(e: Expression): JoinKey | null {
  if (e.kind === 'call' && e.fn.isEquality) return pairOf(e.args, false);
  if (e.kind !== 'coalesce' || e.args.length !== 2) return null;
  const [equal, bothNull] = e.args;
  if (equal?.kind !== 'call' || !equal.fn.isEquality || bothNull?.kind !== 'and') return null;
  const pair = pairOf(equal.args, true);
  const [leftNull, rightNull] = bothNull.args;
  if (pair === null || leftNull?.kind !== 'isNull' || rightNull?.kind !== 'isNull' || bothNull.args.length !== 2) {
    return null;
  }
  return sameExpression(leftNull.arg, pair.left) && sameExpression(rightNull.arg, pair.right) ? pair : null;
}

function pairOf(args: readonly Expression[], nullsEqual: boolean): JoinKey | null {
  const [left, right] = args;
  return left === undefined || right === undefined || args.length !== 2 ? null : { left, right, nullsEqual };
}

/**
 * `left IS NOT DISTINCT FROM right`, given `left = right` with its implicit casts: never NULL itself. `coalesce(left = right,
 * left IS NULL AND right IS NULL)` is the form by which `equalityOf` knows it again.
 */
export function notDistinct(equality: Expression): Expression {
  const pair = equality.kind === 'call' ? pairOf(equality.args, true) : null;
  if (pair === null) return equality;
  const bothNull: Expression = { kind: 'and', args: [isNull(pair.left), isNull(pair.right)], type: sqlScalar('bool') };
  return { kind: 'coalesce', args: [equality, bothNull], type: sqlScalar('bool') };
}
