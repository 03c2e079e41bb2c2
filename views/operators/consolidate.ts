import { Delta, emptyDelta } from '../delta.ts';
import { sameRow } from '../value.ts';
import type { Row, StateKey } from '../value.ts';
import { KeyIndex } from './key-index.ts';
import { identityKey } from './rows.ts';

/** Below this, comparing every row with every other costs less than hashing them. */
const pairwiseMax = 8;

/**
 * The same change with each row once and no weight 0. `keyOf`: any key that is equal for equal rows; the fewer rows share one, the better.
 * Null: there is none but the whole row.
 */
export function consolidate(delta: Delta, keyOf: ((row: Row) => StateKey | undefined) | null): Delta {
  const { rows, weights } = delta;
  if (rows.length < 2) return delta;
  const sums = weights.slice();
  if (rows.length <= pairwiseMax) {
    const all = rows.map((_, index) => index);
    return addUp(rows, sums, all) ? withoutZeros(rows, sums) : delta;
  }
  const hash = keyOf ?? wholeRow(rows[0] as Row);
  const index = new KeyIndex(
    delta,
    rows.map((row) => hash(row) ?? null),
  );
  if (index.keys.length === rows.length) return delta;
  let isChanged = false;
  for (const changes of index.keys) {
    if (changes.count === 1) continue;
    const chain: number[] = [];
    for (let at = changes.head; at >= 0; at = index.next[at] as number) chain.push(at);
    chain.reverse();
    if (chain.length <= pairwiseMax || keyOf === null ? addUp(rows, sums, chain) : addUpByRow(rows, sums, chain)) {
      isChanged = true;
    }
  }
  return isChanged ? withoutZeros(rows, sums) : delta;
}

/** Moves the weights of equal rows among those at `indexes` to the first of them; says whether there were any. */
function addUp(rows: readonly Row[], sums: number[], indexes: readonly number[]): boolean {
  let isChanged = false;
  for (let later = 1; later < indexes.length; later++) {
    const at = indexes[later] as number;
    for (let earlier = 0; earlier < later; earlier++) {
      const first = indexes[earlier] as number;
      if (!sameRow(rows[first] as Row, rows[at] as Row)) continue;
      sums[first] = (sums[first] as number) + (sums[at] as number);
      sums[at] = 0;
      isChanged = true;
      break;
    }
  }
  return isChanged;
}

function addUpByRow(rows: readonly Row[], sums: number[], indexes: readonly number[]): boolean {
  const hash = wholeRow(rows[0] as Row);
  const firsts = new Map<StateKey, number>();
  let isChanged = false;
  for (const at of indexes) {
    const key = hash(rows[at] as Row);
    const first = firsts.get(key);
    if (first === undefined) {
      firsts.set(key, at);
    } else {
      sums[first] = (sums[first] as number) + (sums[at] as number);
      sums[at] = 0;
      isChanged = true;
    }
  }
  return isChanged;
}

function wholeRow(example: Row): (row: Row) => StateKey {
  const positions = example.map((_, position) => position);
  return (row) => identityKey(row, positions);
}

function withoutZeros(rows: readonly Row[], weights: readonly number[]): Delta {
  const result = new Delta();
  for (let index = 0; index < rows.length; index++) {
    if (weights[index] !== 0) result.push(rows[index] as Row, weights[index] as number);
  }
  return result.length === 0 ? emptyDelta : result;
}

/** The first rows of a delta, as one to which others can be added. */
export function firstOf({ rows, weights }: Delta, count: number): Delta {
  const first = new Delta();
  for (let index = 0; index < count; index++) first.push(rows[index] as Row, weights[index] as number);
  return first;
}
