import { TidemarkError } from '../../base/errors.ts';
import type { ColumnId, Expression } from './expression.ts';
import type { Row, Value } from '../value.ts';

/** Where in a row the columns stand. */
export type Layout = ReadonlyMap<ColumnId, number>;

/** Functions over rows, generated once. They throw RowError for a row that cannot be evaluated. */
export function compileScalar(_expression: Expression, _layout: Layout): (row: Row) => Value {
  throw new TidemarkError('INTERNAL', 'not written yet');
}

/** NULL is false. */
export function compilePredicate(_expression: Expression, _layout: Layout): (row: Row) => boolean {
  throw new TidemarkError('INTERNAL', 'not written yet');
}

export function compileRow(_expressions: readonly Expression[], _layout: Layout): (row: Row) => Row {
  throw new TidemarkError('INTERNAL', 'not written yet');
}

/** As compilePredicate, over the columns of two rows; a column in both layouts is taken from the left one. */
export function compileJoinPredicate(
  _expression: Expression,
  _left: Layout,
  _right: Layout,
): (left: Row, right: Row) => boolean {
  throw new TidemarkError('INTERNAL', 'not written yet');
}
