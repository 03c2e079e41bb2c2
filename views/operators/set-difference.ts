import { Delta, emptyDelta } from '../delta.ts';
import type { Row, StateKey } from '../value.ts';
import type { Arrange } from './arrange.ts';
import type { KeyChanges } from './key-index.ts';
import { KeyIndex } from './key-index.ts';
import type { Operator } from './operator.ts';
import type { Span } from './window.ts';
import { sortedChanges, spanChange } from './window.ts';

export interface SetDifferenceOptions {
  readonly kind: 'except' | 'intersect';
  readonly all: boolean;
  /** Both by all their columns. */
  readonly left: Arrange;
  readonly right: Arrange;
  /** The order of the left arrangement. */
  readonly compare: (a: Row, b: Row) => number;
}

/** EXCEPT and INTERSECT: of equal rows of the left side so many copies as the number of equal rows on the right side allows. */
export class SetDifference implements Operator {
  readonly #options: SetDifferenceOptions;

  constructor(options: SetDifferenceOptions) {
    this.#options = options;
  }

  step(inputs: readonly Delta[]): Delta {
    const { left, right } = this.#options;
    const delta = inputs[0] ?? emptyDelta;
    const other = inputs[1] ?? emptyDelta;
    const leftIndex = new KeyIndex(delta, left.keys);
    const rightIndex = new KeyIndex(other, right.keys);
    const output = new Delta();
    for (const changes of leftIndex.keys) {
      this.#change(changes.key, delta, leftIndex, changes, rightIndex.get(changes.key), output);
    }
    for (const changes of rightIndex.keys) {
      if (leftIndex.get(changes.key) === undefined) {
        this.#change(changes.key, delta, leftIndex, undefined, changes, output);
      }
    }
    return output;
  }

  #change(
    key: StateKey,
    delta: Delta,
    index: KeyIndex,
    changes: KeyChanges | undefined,
    otherChanges: KeyChanges | undefined,
    output: Delta,
  ): void {
    const { left, right, compare } = this.#options;
    const total = right.arrangement.total(key);
    const changed = changes === undefined ? emptyDelta : sortedChanges(delta, index, changes, compare);
    const before = this.#span(total - (otherChanges?.total ?? 0));
    spanChange(left.arrangement.bag(key), changed, compare, before, this.#span(total), output);
  }

  /** The copies of a left row that are in the result when the right side has `total` equal ones. */
  #span(total: number): Span {
    const { kind, all } = this.#options;
    if (kind === 'except') return all ? { from: total, to: Infinity } : { from: 0, to: total === 0 ? 1 : 0 };
    return { from: 0, to: all ? total : Math.min(total, 1) };
  }
}
