import type { Row } from './value.ts';

/**
 * A change of a relation: a z-set, rows with weights. `+1` adds the row once, `-1` takes it out once. Rows may repeat, and may cancel
 * out, unless a delta is said to be consolidated. A delta is not mutated once it has been handed on.
 */
export class Delta {
  readonly rows: Row[] = [];
  readonly weights: number[] = [];

  get length(): number {
    return this.rows.length;
  }

  push(row: Row, weight: number): void {
    this.rows.push(row);
    this.weights.push(weight);
  }
}

export const emptyDelta: Delta = Object.freeze(new Delta());
