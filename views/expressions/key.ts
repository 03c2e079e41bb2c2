import { TidemarkError } from '../../base/errors.ts';
import type { SqlType } from '../type.ts';
import type { Row, StateKey } from '../value.ts';

/**
 * The key of a row's columns: equal exactly where SQL's `=` holds for each (two NULLs are equal with `keep`: GROUP BY, DISTINCT). undefined: one is
 * NULL and `nulls` is `skip`, so that it equals nothing (joins). `types` are those of the columns at `positions`.
 */
export function compileKey(
  _types: readonly SqlType[],
  _positions: readonly number[],
  _nulls: 'skip' | 'keep',
): (row: Row) => StateKey | undefined {
  throw new TidemarkError('INTERNAL', 'not written yet');
}
