import { TidemarkError } from '../../base/errors.ts';
import type { SqlType } from '../type.ts';
import type { Row } from '../value.ts';

export interface OrderKey {
  readonly position: number;
  readonly type: SqlType;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** ORDER BY: 0 for rows that SQL does not tell apart. Text orders by code point (COLLATE "C"). */
export function compareBy(_keys: readonly OrderKey[]): (a: Row, b: Row) => number {
  throw new TidemarkError('INTERNAL', 'not written yet');
}

/** A total order over whole rows: 0 only for rows that are the same (`sameRow`). */
export function compareRows(_types: readonly SqlType[]): (a: Row, b: Row) => number {
  throw new TidemarkError('INTERNAL', 'not written yet');
}
