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
  _leftIds: ReadonlySet<ColumnId>,
  _rightIds: ReadonlySet<ColumnId>,
): { readonly keys: readonly JoinKey[]; readonly residual: Expression | null } {
  return { keys: [], residual: condition };
}
