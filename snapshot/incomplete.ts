import type { StateChanges } from './state-changes.ts';

/**
 * Rows of which the stream sent an update without a large value that it did not change, and that is not held here: their events
 * are not published; the row is read by its key instead. The keys are in the log's state, so that a restart knows them.
 */
export class IncompleteKeys {
  readonly #topics = new Map<string, Map<string, readonly string[]>>();
  readonly #changes: StateChanges;

  constructor(changes: StateChanges, state: ReadonlyMap<string, string>) {
    this.#changes = changes;
    for (const [name, text] of state) {
      if (!name.startsWith(prefix)) continue;
      const { topic, key, values } = JSON.parse(text) as { topic: string; key: string; values: string[] };
      this.#keys(topic).set(key, values);
    }
  }

  /** Topics with incomplete keys. */
  topics(): string[] {
    return [...this.#topics.keys()];
  }

  has(topic: string): boolean {
    return this.#topics.has(topic);
  }

  includes(topic: string, key: string): boolean {
    return this.#topics.get(topic)?.has(key) ?? false;
  }

  /** Up to `count` keys: their bytes as latin1, and the values of their columns as text. */
  some(topic: string, count: number): { key: string; values: readonly string[] }[] {
    const found: { key: string; values: readonly string[] }[] = [];
    for (const [key, values] of this.#topics.get(topic) ?? []) {
      if (found.length === count) break;
      found.push({ key, values });
    }
    return found;
  }

  hold(topic: string, key: string, values: readonly string[]): void {
    const keys = this.#keys(topic);
    if (keys.has(key)) return;
    keys.set(key, values);
    this.#changes.set(stateName(topic, key), JSON.stringify({ topic, key, values }));
  }

  /** The whole row, or its end, has been published. */
  resolve(topic: string, key: string): void {
    const keys = this.#topics.get(topic);
    if (keys === undefined || !keys.delete(key)) return;
    if (keys.size === 0) this.#topics.delete(topic);
    this.#changes.set(stateName(topic, key), null);
  }

  /** The topic was truncated, or is no longer captured. */
  resolveAll(topic: string): void {
    for (const key of this.#topics.get(topic)?.keys() ?? []) this.resolve(topic, key);
  }

  #keys(topic: string): Map<string, readonly string[]> {
    let keys = this.#topics.get(topic);
    if (keys === undefined) {
      keys = new Map();
      this.#topics.set(topic, keys);
    }
    return keys;
  }
}

const prefix = 'incomplete:';

function stateName(topic: string, key: string): string {
  return `${prefix}${topic}:${Buffer.from(key, 'latin1').toString('hex')}`;
}
