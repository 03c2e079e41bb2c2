import { assert } from '../../base/assert.ts';
import type { Row, StateKey } from '../value.ts';
import { DiskBag } from './disk-bag.ts';
import { BagEntry } from './disk-bag-entry.ts';
import { headKey, headSpread, markDirty } from './disk-context.ts';
import type { DiskContext, StateInfo } from './disk-context.ts';
import { behind } from './disk-environment.ts';
import { FreshEntries } from './disk-fill.ts';
import type { Arrangement, ArrangementSpec, Bag } from './port.ts';

/**
 * An arrangement on disk. A small bag is one entry under its key: head, the key when that is hashed, then for each row its weight and
 * its values. A large one is spread: the entry holds head, key, the sum of the weights and the number of rows, and each row is an
 * entry of its own (disk-bag-entry.ts), so that one row more does not write the others again.
 *
 * Whatever is asked of a key begins with one look at its entry. A small bag is loaded with it; a spread one stays where it is
 * until its rows are asked for: its sum is known, and rows that are added wait for the next write, which looks up each alone.
 */
export class DiskArrangement implements Arrangement {
  readonly #context: DiskContext;
  readonly #info: StateInfo;
  readonly #spec: ArrangementSpec;
  readonly #entries = new Map<StateKey, BagEntry>();
  readonly fresh: FreshEntries;

  constructor(context: DiskContext, info: StateInfo, spec: ArrangementSpec) {
    this.#context = context;
    this.#info = info;
    this.#spec = spec;
    this.fresh = new FreshEntries(this.#entries, context.cache);
  }

  add(key: StateKey, row: Row, weight: number): void {
    const entry = this.#entry(key);
    const before = entry.total;
    entry.add(row, weight);
    const after = entry.total;
    if (before === 0 || after === 0) {
      this.#info.keys += (after === 0 ? 0 : 1) - (before === 0 ? 0 : 1);
      this.#info.changed = true;
    }
    markDirty(this.#context, entry);
  }

  bag(key: StateKey): Bag | undefined {
    const entry = this.#entry(key);
    const bag = entry.bag ?? entry.load();
    return bag.size === 0 ? undefined : bag;
  }

  total(key: StateKey): number {
    return this.#entry(key).total;
  }

  *entries(): Iterable<readonly [StateKey, Bag]> {
    const { environment } = this.#context;
    const seen = new Set<StateKey>();
    for (const [key, entry] of Array.from(this.#entries)) {
      seen.add(key);
      const bag = entry.bag ?? entry.load();
      if (bag.size > 0) yield [key, bag];
    }
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(this.#info.id, 0);
    const { reader } = environment;
    for (const entry of environment.range(prefix, behind(prefix))) {
      if (BagEntry.isRow(entry.key, reader)) continue;
      const head = reader.reset(entry.value, 0).byte();
      if ((head & headKey) === 0) reader.reset(entry.key, 4);
      const key = reader.value();
      if (seen.has(key)) continue;
      if ((head & headSpread) !== 0) {
        const spread = this.#entry(key);
        yield [key, spread.bag ?? spread.load()];
        continue;
      }
      if ((head & headKey) === 0) reader.reset(entry.value, 1);
      const bag = new DiskBag();
      BagEntry.readInline(reader, entry.value.length, this.#spec.types.length, bag);
      yield [key, bag];
    }
  }

  #entry(key: StateKey): BagEntry {
    let entry = this.#entries.get(key);
    if (entry !== undefined) {
      entry.used = true;
      return entry;
    }
    const { environment, cache } = this.#context;
    entry = new BagEntry(key, this.#context, this.#info, this.#spec, this.#entries);
    if (this.fresh.isFilled) {
      entry.read(undefined);
      this.#entries.set(key, entry);
      this.fresh.add(key, entry);
      return entry;
    }
    environment.key(this.#info.id, key);
    entry.read(environment.get());
    assert(entry.total >= 0, 'an arrangement on disk with negative weights');
    this.#entries.set(key, entry);
    cache.add(entry);
    return entry;
  }
}
