import type { Row } from '../value.ts';

/**
 * Functions that make rows of other rows, generated as array literals: no loop, no growth, one allocation. Only numbers that are made
 * here enter the code.
 */

/** The columns at `positions`; null when that is the row itself. */
export function picker(positions: readonly number[], width: number): ((row: Row) => Row) | null {
  if (positions.length === width && positions.every((position, index) => position === index)) return null;
  return oneRowFunction(positions.map((position) => `row[${position}]`));
}

/** The columns at `left` of the first row, then those at `right` of the second. */
export function joiner(left: readonly number[], right: readonly number[]): (left: Row, right: Row) => Row {
  const items = [...left.map((position) => `left[${position}]`), ...right.map((position) => `right[${position}]`)];
  // oxlint-disable-next-line typescript/no-implied-eval -- see above
  return new Function('left', 'right', `return [${items.join(', ')}];`) as (left: Row, right: Row) => Row;
}

/** The row of `width` columns with so many NULLs before and after it. */
export function padder(before: number, width: number, after: number): (row: Row) => Row {
  const columns = Array.from({ length: width }, (_, position) => `row[${position}]`);
  return oneRowFunction([...nulls(before), ...columns, ...nulls(after)]);
}

function nulls(count: number): string[] {
  return Array.from({ length: count }, () => 'null');
}

function oneRowFunction(items: readonly string[]): (row: Row) => Row {
  // oxlint-disable-next-line typescript/no-implied-eval -- see above
  return new Function('row', `return [${items.join(', ')}];`) as (row: Row) => Row;
}

/** Equal for rows that hold the same values (`sameRow`), and for no others: 1.0 and 1.00 differ, as do 0 and -0. */
export function identityKey(row: Row, positions: readonly number[]): string {
  let key = '';
  for (const position of positions) {
    const value = row[position];
    switch (typeof value) {
      case 'string':
        key += `s${value.length}:${value}`;
        break;
      case 'number':
        key += Object.is(value, -0) ? 'n-0;' : `n${value};`;
        break;
      case 'bigint':
        key += `n${value};`;
        break;
      case 'boolean':
        key += value ? 't' : 'f';
        break;
      default:
        key += '_';
    }
  }
  return key;
}
