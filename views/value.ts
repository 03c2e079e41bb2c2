/**
 * A value of a view's row: a JavaScript primitive, so that rows compare with `===`, share what they hold and go to disk without
 * a mapping.
 *
 *   SQL NULL                   null
 *   bool                       boolean
 *   int2, int4, int8           number where a double holds it exactly (|n| < 2^53), else bigint: one form for each integer
 *   float4, float8             number
 *   every other type           string: the text that PostgreSQL's output function prints (see model/data-type.ts)
 *
 * Numerics, dates, json and the like stay text until an expression computes with them (expressions/compile.ts).
 */
export type Value = null | boolean | number | bigint | string;

/** A row; never mutated once it has left its maker, since deltas, states and views share it. */
export type Row = readonly Value[];

/**
 * What identifies a group of rows within one arrangement: the value itself for a key of one column (in the canonical form of
 * `expressions/key.ts`, so that 1.0 and 1.00 are one group), else a string that joins the columns' forms unambiguously. Keys compare as
 * JavaScript's Map compares them.
 */
export type StateKey = Value;

/** The canonical form of an integer: a number where it is safe, a bigint where it is not. */
export function integer(value: bigint): number | bigint {
  return value >= safeMin && value <= safeMax ? Number(value) : value;
}

const safeMax = BigInt(Number.MAX_SAFE_INTEGER);
const safeMin = BigInt(Number.MIN_SAFE_INTEGER);

/** Whether two rows of the same columns hold the same values. NaN equals itself; 0 and -0 differ, as their texts do. */
export function sameRow(a: Row, b: Row): boolean {
  if (a === b) return true;
  for (let index = 0; index < a.length; index++) {
    if (!Object.is(a[index], b[index])) return false;
  }
  return true;
}
