import type { StateKey } from '../value.ts';
import type { Cached, DiskCache } from './disk-cache.ts';

/** All that a state has in memory, by key. */
interface EntryMap {
  readonly size: number;
  delete(key: StateKey): boolean;
  clear(): void;
}

/** What a state holds in memory while it is filled (StateStore.fill): keys that were not on disk, and are let go once they are written. */
export class FreshEntries {
  /** Keys that are not in memory are nowhere. */
  isFilled = false;
  readonly #entries: EntryMap;
  readonly #cache: DiskCache;
  #fresh: Cached[] = [];
  #keys: StateKey[] = [];

  constructor(entries: EntryMap, cache: DiskCache) {
    this.#entries = entries;
    this.#cache = cache;
  }

  /** Notes an entry that has been made. */
  add(key: StateKey, entry: Cached): void {
    this.#cache.count(entry);
    this.#fresh.push(entry);
    this.#keys.push(key);
  }

  /** All have been written, and none will be asked for before the end. */
  letGo(): void {
    if (this.#entries.size === this.#keys.length) this.#entries.clear();
    else for (const key of this.#keys) this.#entries.delete(key);
    for (const entry of this.#fresh) this.#cache.discount(entry);
    this.#fresh = [];
    this.#keys = [];
  }

  /** Some may be asked for again: they are kept as others are. */
  keep(): void {
    for (const entry of this.#fresh) this.#cache.adopt(entry);
    this.#fresh = [];
    this.#keys = [];
    this.isFilled = false;
  }
}
