import { Delta, emptyDelta } from '../delta.ts';
import { sameRow } from '../value.ts';
import type { Row } from '../value.ts';
import { identityKey } from './rows.ts';

/** Below this, comparing every row with every other costs less than hashing them. */
const pairwiseMax = 8;

/** The same change with each row once and no weight 0. */
export function consolidate(delta: Delta): Delta {
  const { length } = delta;
  if (length < 2) return delta;
  return length <= pairwiseMax ? consolidatePairwise(delta) : consolidateByKey(delta);
}

function consolidatePairwise(delta: Delta): Delta {
  const { rows, weights } = delta;
  let repeats = 0;
  const sums = weights.slice();
  for (let index = 1; index < rows.length; index++) {
    const row = rows[index] as Row;
    for (let earlier = 0; earlier < index; earlier++) {
      if (sums[earlier] === 0 || !sameRow(rows[earlier] as Row, row)) continue;
      sums[earlier] = (sums[earlier] as number) + (weights[index] as number);
      sums[index] = 0;
      repeats++;
      break;
    }
  }
  return repeats === 0 ? delta : withoutZeros(rows, sums);
}

function consolidateByKey(delta: Delta): Delta {
  const { rows, weights } = delta;
  const positions = (rows[0] as Row).map((_, position) => position);
  const first = new Map<string, number>();
  const sums = weights.slice();
  for (let index = 0; index < rows.length; index++) {
    const key = identityKey(rows[index] as Row, positions);
    const earlier = first.get(key);
    if (earlier === undefined) {
      first.set(key, index);
    } else {
      sums[earlier] = (sums[earlier] as number) + (weights[index] as number);
      sums[index] = 0;
    }
  }
  return first.size === rows.length ? delta : withoutZeros(rows, sums);
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
