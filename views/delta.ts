import type { Row } from './value.ts';

const noRows: readonly Row[] = [];
const noWeights: readonly number[] = [];
/** As many as any delta of insertions has had. */
const ones: number[] = [];

/**
 * A change of a relation: a z-set, rows with weights. `+1` adds the row once, `-1` takes it out once. Rows may repeat, and may cancel
 * out, unless a delta is said to be consolidated. A delta is not mutated once it has been handed on.
 */
export class Delta {
  // Most deltas of a small transaction have no rows, one, or an old and a new one: these arrays have no spare room.
  rows: readonly Row[] = noRows;
  weights: readonly number[] = noWeights;

  /** Each of the rows comes once. The array is taken over. */
  static insertions(rows: readonly Row[]): Delta {
    const delta = new Delta();
    delta.rows = rows;
    while (ones.length < rows.length) ones.push(1);
    delta.weights = ones.slice(0, rows.length);
    return delta;
  }

  get length(): number {
    return this.rows.length;
  }

  push(row: Row, weight: number): void {
    const { rows, weights } = this;
    if (rows.length === 0) {
      this.rows = [row];
      this.weights = [weight];
    } else if (rows.length === 1) {
      this.rows = [rows[0] as Row, row];
      this.weights = [weights[0] as number, weight];
    } else {
      (rows as Row[]).push(row);
      (weights as number[]).push(weight);
    }
  }
}

export const emptyDelta: Delta = Object.freeze(new Delta());
