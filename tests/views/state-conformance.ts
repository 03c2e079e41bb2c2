import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sqlScalar } from '../../views/type.ts';
import type { Arrangement, ArrangementSpec, Records, StateStore } from '../../views/state/port.ts';
import type { Row, StateKey, Value } from '../../views/value.ts';
import { sameRow } from '../../views/value.ts';

/** Opens the store that a case is about; `reopen` leaves it as a crash would, and opens what was durable. */
export interface StateStores {
  open(): Promise<StateStore>;
  /** Null for a store that does not outlive its process. */
  readonly reopen: ((store: StateStore) => Promise<StateStore>) | null;
  dispose(): Promise<void>;
}

/** Rows of two columns, in descending order of the second. */
const spec: ArrangementSpec = {
  types: [sqlScalar('text'), sqlScalar('int8')],
  compare: (a, b) => compareValues(b[1] ?? null, a[1] ?? null) || compareValues(a[0] ?? null, b[0] ?? null),
};

function compareValues(a: Value, b: Value): number {
  const [left, right] = [rank(a), rank(b)];
  if (left !== right) return left - right;
  if (Object.is(a, b) || a === null || b === null) return 0;
  if (typeof a === 'number' && typeof b === 'number') return compareNumbers(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareNumbers(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
  return a === b ? (Object.is(a, -0) ? -1 : 1) : a - b;
}

function rank(value: Value): number {
  return ['boolean', 'number', 'bigint', 'string', 'object'].indexOf(typeof value);
}

const texts = fc.oneof(
  fc.constantFrom('', 'a', 'ab', 'ä', '\0', 'x'.repeat(159), 'x'.repeat(160), 'é'.repeat(130), '\ud800', '日本語😀'),
  fc.string({ maxLength: 60 }),
);
const values: fc.Arbitrary<Value> = fc.oneof(
  fc.constantFrom<Value>(null, true, false, 0, -0, 63, 64, -1, -256, 2 ** 53 - 1, 1 - 2 ** 53, 0.1, NaN, Infinity),
  fc.constantFrom<Value>(2n ** 53n, -(2n ** 63n), 65_535, 65_536, 16_777_216, -4_294_967_297),
  fc.integer(),
  fc.double(),
  texts,
);
const rows: fc.Arbitrary<Row> = fc.tuple(values, values);
/** Few keys, so that bags grow; long ones, that do not fit a key of LMDB. */
const keys: fc.Arbitrary<StateKey> = fc.oneof(
  { arbitrary: fc.constant<StateKey>(1), weight: 4 },
  {
    arbitrary: fc.constantFrom<StateKey>(1, 2, '1', 1n, true, null, 0.5, 'k'.repeat(500), `${'k'.repeat(600)}2`),
    weight: 4,
  },
  { arbitrary: values.filter((value) => !Object.is(value, -0)), weight: 1 },
);

type Action =
  | { readonly type: 'add'; readonly key: StateKey; readonly rows: readonly Row[] }
  | { readonly type: 'take'; readonly key: StateKey; readonly share: number }
  | { readonly type: 'set'; readonly key: StateKey; readonly record: Row }
  | { readonly type: 'delete'; readonly key: StateKey }
  | { readonly type: 'look'; readonly key: StateKey }
  | { readonly type: 'commit' | 'flushed' | 'relieve' | 'reopen' };

const add = (maxLength: number): fc.Arbitrary<Action> =>
  fc.record({ type: fc.constant('add' as const), key: keys, rows: fc.array(rows, { minLength: 1, maxLength }) });

const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.oneof(
    { arbitrary: add(80), weight: 2 },
    { arbitrary: add(2), weight: 3 },
    {
      arbitrary: fc.record({
        type: fc.constant('take' as const),
        key: keys,
        share: fc.constantFrom(0.02, 0.02, 0.5, 0.9, 1),
      }),
      weight: 4,
    },
    {
      arbitrary: fc.record({
        type: fc.constant('set' as const),
        key: keys,
        record: fc.array(values, { maxLength: 5 }),
      }),
      weight: 1,
    },
    { arbitrary: fc.record({ type: fc.constant('delete' as const), key: keys }), weight: 1 },
    { arbitrary: fc.record({ type: fc.constant('look' as const), key: keys }), weight: 2 },
    {
      arbitrary: fc.record({
        type: fc.constantFrom('commit' as const, 'commit', 'flushed', 'flushed', 'relieve', 'reopen'),
      }),
      weight: 5,
    },
  ),
  { maxLength: 80, size: 'max' },
);

/** What a store must hold: plain lists. */
class Model {
  readonly bags = new Map<StateKey, { row: Row; weight: number }[]>();
  readonly records = new Map<StateKey, Row>();

  add(key: StateKey, row: Row, weight: number): void {
    const bag = this.bags.get(key) ?? [];
    const found = bag.find((each) => spec.compare(each.row, row) === 0);
    if (found) found.weight += weight;
    else bag.push({ row, weight });
    const left = bag.filter((each) => each.weight !== 0);
    if (left.length > 0) this.bags.set(key, left);
    else this.bags.delete(key);
  }

  copy(): Model {
    const copy = new Model();
    for (const [key, bag] of this.bags)
      copy.bags.set(
        key,
        bag.map((each) => ({ ...each })),
      );
    for (const [key, record] of this.records) copy.records.set(key, record);
    return copy;
  }
}

export function describeStateStore(name: string, make: () => Promise<StateStores>): void {
  describe(`state in ${name}`, () => {
    let stores: StateStores;
    beforeEach(async () => {
      stores = await make();
    });
    afterEach(async () => stores.dispose());

    it('equals plain lists after any sequence of changes, commits and crashes', async () => {
      await fc.assert(
        fc.asyncProperty(actions, async (script) => new Run(stores).play(script)),
        { numRuns: 60, endOnFailure: false },
      );
    }, 60_000);

    it('keeps the rows of a key in order, however many there are', async () => {
      const store = await stores.open();
      const arrangement = store.arrangement('a', spec);
      const order = Array.from({ length: 3_000 }, (_, index) => (index * 1_237) % 3_000);
      for (const number of order) arrangement.add(7, [`row ${number}`, number], 1);
      store.commit('1');
      await store.flushed();
      for (const number of order) if (number % 3 === 0) arrangement.add(7, [`row ${number}`, number], -1);
      store.commit('2');
      const bag = arrangement.bag(7);
      const found = bag?.chunks.flatMap((chunk) => chunk.rows.map((row) => row[1])) ?? [];
      expect(found).toEqual(order.filter((number) => number % 3 !== 0).toSorted((a, b) => b - a));
      expect(bag).toMatchObject({ total: 2_000, size: 2_000 });
      await store.close();
    });

    it('keeps all and only the rows of a key that grows and shrinks', async () => {
      let store = await stores.open();
      let arrangement = store.arrangement('a', spec);
      const model = new Model();
      const change = async (from: number, to: number, weight: number): Promise<void> => {
        for (let number = from; number < to; number++) {
          const row = [`${'long '.repeat(number % 20)}${number}`, number % 2 === 0 ? number : null];
          model.add('k', row, weight);
          arrangement.add('k', row, weight);
        }
        store.commit('x');
        await store.flushed();
        // Another key is looked at, so that there is something to forget.
        arrangement.bag('other');
      };
      for (const kept of [3, 0, 8, 1]) {
        await change(0, 300, 1);
        await change(kept, 300, -1);
        await change(700, 703, 1);
        compareKey(model, 'k', arrangement);
        await change(700, 703, -1);
        await change(300, 600, 1);
        if (stores.reopen) {
          store = await stores.reopen(store);
          arrangement = store.arrangement('a', spec);
        }
        compareKey(model, 'k', arrangement);
        await change(300, 600, -1);
        await change(0, kept, -1);
        expect(arrangement.bag('k')).toBeUndefined();
        expect([...arrangement.entries()]).toEqual([]);
      }
      await store.close();
    });

    it('lets a record be changed in place', async () => {
      const store = await stores.open();
      const records = store.records('r');
      records.set('k', [1, 'x']);
      store.commit('1');
      const record = records.get('k') ?? [];
      record[0] = 2;
      records.set('k', record);
      store.commit('2');
      await store.flushed();
      expect(records.get('k')).toEqual([2, 'x']);
      expect(records.size).toBe(1);
      await store.close();
    });
  });
}

/** Plays one script against a store and the model, and compares all that can be asked. */
class Run {
  readonly #stores: StateStores;
  #model = new Model();
  #committed = new Model();
  /** What a crash may leave: the models of commits that are not known to be durable yet, oldest first. */
  #pending: { meta: string; model: Model }[] = [];
  #durableMeta: string | null = null;
  #commits = 0;

  constructor(stores: StateStores) {
    this.#stores = stores;
  }

  async play(script: readonly Action[]): Promise<void> {
    let store = await this.#stores.open();
    let [arrangement, records] = [store.arrangement('a', spec), store.records('r')];
    for (const action of script) {
      if (action.type !== 'reopen') {
        await this.#do(action, store, arrangement, records);
        continue;
      }
      if (this.#stores.reopen === null) continue;
      // Files are copied while one transaction at most is being written, as a crash would leave them.
      if (this.#pending.length > 1) {
        await store.flushed();
        this.#settle();
      }
      store = await this.#stores.reopen(store);
      [arrangement, records] = [store.arrangement('a', spec), store.records('r')];
      this.#takeUp(store);
      this.#compare(arrangement, records);
    }
    this.#compare(arrangement, records);
    await store.close();
  }

  /** After a crash the store is as of a commit, none older than the newest that was known to be durable. */
  #takeUp(store: StateStore): void {
    const possible = [{ meta: this.#durableMeta, model: this.#committed }, ...this.#pending];
    const found = possible.find(({ meta }) => meta === store.meta);
    if (store.meta === null && found === undefined) {
      // Torn within a large step.
      this.#model = new Model();
    } else {
      expect(possible.map(({ meta }) => meta)).toContain(store.meta);
      this.#model = found?.model.copy() ?? new Model();
    }
    this.#committed = this.#model.copy();
    this.#durableMeta = store.meta;
    this.#pending = [];
  }

  async #do(action: Action, store: StateStore, arrangement: Arrangement, records: Records): Promise<void> {
    switch (action.type) {
      case 'add':
        for (const row of action.rows) this.#add(arrangement, action.key, row, 1);
        return;
      case 'take': {
        const bag = this.#model.bags.get(action.key) ?? [];
        const count = Math.ceil(bag.length * action.share);
        for (const { row, weight } of bag.slice(0, count)) this.#add(arrangement, action.key, row, -weight);
        return;
      }
      case 'set':
        this.#model.records.set(action.key, action.record);
        records.set(action.key, [...action.record]);
        return;
      case 'delete':
        this.#model.records.delete(action.key);
        records.delete(action.key);
        return;
      case 'look':
        return this.#compareKey(action.key, arrangement, records);
      case 'commit':
        store.commit(String(++this.#commits));
        this.#pending.push({ meta: String(this.#commits), model: this.#model.copy() });
        return;
      case 'flushed':
        await store.flushed();
        return this.#settle();
      case 'relieve':
        await store.relieve?.();
        return this.#settle();
      default:
    }
  }

  #add(arrangement: Arrangement, key: StateKey, row: Row, weight: number): void {
    this.#model.add(key, row, weight);
    arrangement.add(key, row, weight);
  }

  #settle(): void {
    const last = this.#pending.at(-1);
    if (last === undefined) return;
    this.#durableMeta = last.meta;
    this.#committed = last.model;
    this.#pending = [];
  }

  #compare(arrangement: Arrangement, records: Records): void {
    const found = new Set<StateKey>();
    for (const [key] of arrangement.entries()) {
      expect(found.has(key)).toBe(false);
      found.add(key);
    }
    expect(found).toEqual(new Set(this.#model.bags.keys()));
    for (const key of [...this.#model.bags.keys(), ...this.#model.records.keys()]) {
      this.#compareKey(key, arrangement, records);
    }
    expect(new Map(records.entries())).toEqual(this.#model.records);
    expect(records.size).toBe(this.#model.records.size);
  }

  #compareKey(key: StateKey, arrangement: Arrangement, records: Records): void {
    compareKey(this.#model, key, arrangement);
    expect(records.get(key)).toEqual(this.#model.records.get(key));
  }
}

function compareKey(model: Model, key: StateKey, arrangement: Arrangement): void {
  const expected = (model.bags.get(key) ?? []).toSorted((a, b) => spec.compare(a.row, b.row));
  const total = expected.reduce((sum, { weight }) => sum + weight, 0);
  expect(arrangement.total(key)).toBe(total);
  const bag = arrangement.bag(key);
  expect(bag === undefined).toBe(expected.length === 0);
  const found = (bag?.chunks ?? []).flatMap(({ rows: some, weights }) =>
    some.map((row, index) => ({ row, weight: weights[index] })),
  );
  expect(found.length).toBe(expected.length);
  for (const [index, { row, weight }] of expected.entries()) {
    expect(sameRow(found[index]?.row ?? [], row)).toBe(true);
    expect(found[index]?.weight).toBe(weight);
  }
}
