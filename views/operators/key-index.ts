import type { Delta } from '../delta.ts';
import type { StateKey } from '../value.ts';

/** The changes under one key of a delta, as a chain of indexes into it. */
export interface KeyChanges {
  /** Sum of the weights: by how much the key's total changed. */
  total: number;
  /** Index of one of the rows; `KeyIndex.next` leads to the others. */
  head: number;
  count: number;
}

/** A delta by its keys; rows without a key are left out. */
export class KeyIndex {
  readonly keys = new Map<StateKey, KeyChanges>();
  /** For each row the index of another one under the same key; −1 at the end. */
  readonly next: number[] = [];

  constructor(delta: Delta, keys: readonly (StateKey | undefined)[]) {
    const { weights } = delta;
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index];
      this.next.push(-1);
      if (key === undefined) continue;
      const found = this.keys.get(key);
      if (found === undefined) {
        this.keys.set(key, { total: weights[index] as number, head: index, count: 1 });
      } else {
        found.total += weights[index] as number;
        this.next[index] = found.head;
        found.head = index;
        found.count++;
      }
    }
  }
}
