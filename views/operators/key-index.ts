import type { Delta } from '../delta.ts';
import type { StateKey } from '../value.ts';

/** The changes under one key of a delta, as a chain of indexes into it. */
export interface KeyChanges {
  readonly key: StateKey;
  /** Sum of the weights: by how much the key's total changed. */
  total: number;
  /** Index of one of the rows; `KeyIndex.next` leads to the others. */
  head: number;
  count: number;
}

/** So many keys are looked through one by one, which costs less than a Map would, when a step is a single small transaction. */
const listedMax = 8;

/** A delta by its keys; rows without a key are left out. */
export class KeyIndex {
  /** One for each key. */
  keys: readonly KeyChanges[] = [];
  /** For each row the index of another one under the same key; −1 at the end. */
  readonly next: readonly number[];
  #map: Map<StateKey, KeyChanges> | null = null;

  /** `keys`: of the delta's rows; there may be more behind them. */
  constructor(delta: Delta, keys: readonly (StateKey | undefined)[]) {
    const { weights } = delta;
    const next = weights.map(noOther);
    this.next = next;
    for (let index = 0; index < weights.length; index++) {
      const key = keys[index];
      if (key === undefined) continue;
      const found = this.get(key);
      if (found === undefined) {
        this.#add({ key, total: weights[index] as number, head: index, count: 1 });
      } else {
        found.total += weights[index] as number;
        next[index] = found.head;
        found.head = index;
        found.count++;
      }
    }
  }

  get(key: StateKey): KeyChanges | undefined {
    if (this.#map !== null) return this.#map.get(key);
    for (const changes of this.keys) {
      if (isSameKey(changes.key, key)) return changes;
    }
    return undefined;
  }

  #add(changes: KeyChanges): void {
    if (this.keys.length === 0) this.keys = [changes];
    else (this.keys as KeyChanges[]).push(changes);
    if (this.#map !== null) {
      this.#map.set(changes.key, changes);
    } else if (this.keys.length > listedMax) {
      this.#map = new Map(this.keys.map((known) => [known.key, known]));
    }
  }
}

function noOther(): number {
  return -1;
}

/** As Map compares keys: 0 is -0, and NaN is itself. */
export function isSameKey(a: StateKey | undefined, b: StateKey): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}
