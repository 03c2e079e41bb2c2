import fc from 'fast-check';
import { expect } from 'vitest';
import { systemFiles } from '../../../base/files.ts';
import { Delta } from '../../../views/delta.ts';
import { Build } from '../../../views/operators/build.ts';
import type { PartLimits } from '../../../views/operators/groups.ts';
import { identityKey } from '../../../views/operators/rows.ts';
import type { BoundView } from '../../../views/plan/plan.ts';
import { buildEngine } from '../../../views/plan/lower.ts';
import { MemoryStore } from '../../../views/state/memory.ts';
import type { Arrangement, ArrangementSpec, StateStore } from '../../../views/state/port.ts';
import { SortSpace } from '../../../views/state/sorter.ts';
import type { Row } from '../../../views/value.ts';
import { evaluate } from './definition.ts';

/** What happens to one relation: a row comes, one of those there goes or is replaced. */
export type Change =
  | { readonly kind: 'insert'; readonly relation: string; readonly row: Row }
  | { readonly kind: 'delete'; readonly relation: string; readonly pick: number }
  | { readonly kind: 'update'; readonly relation: string; readonly pick: number; readonly row: Row };

export function changesOf(relations: Readonly<Record<string, fc.Arbitrary<Row>>>): fc.Arbitrary<Change[][]> {
  const change = fc.oneof(
    ...Object.entries(relations).flatMap(([relation, row]): fc.WeightedArbitrary<Change>[] => [
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('insert'), relation: fc.constant(relation), row }) },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('delete'), relation: fc.constant(relation), pick: fc.nat() }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('update'), relation: fc.constant(relation), pick: fc.nat(), row }),
      },
    ]),
  );
  const batch = fc.oneof(
    { weight: 3, arbitrary: fc.array(change, { maxLength: 3 }) },
    { weight: 1, arbitrary: fc.array(change, { maxLength: 40, size: 'max' }) },
  );
  return fc.array(batch, { maxLength: 12, size: 'max' });
}

/** A multiset of rows, by what they hold. */
export class Bag {
  readonly counts = new Map<string, number>();

  add(row: Row, weight: number): void {
    const key = identityKey(
      row,
      row.map((_, index) => index),
    );
    const count = (this.counts.get(key) ?? 0) + weight;
    if (count === 0) this.counts.delete(key);
    else this.counts.set(key, count);
  }

  static of(rows: readonly Row[]): Bag {
    const bag = new Bag();
    for (const row of rows) bag.add(row, 1);
    return bag;
  }

  sorted(): [string, number][] {
    return [...this.counts].toSorted(([a], [b]) => (a < b ? -1 : 1));
  }
}

/** The relations' rows, and what a batch changes in them. */
class Tables {
  readonly rows = new Map<string, Row[]>();

  apply(batch: readonly Change[]): Map<string, Delta> {
    const deltas = new Map<string, Delta>();
    for (const change of batch) {
      const rows = this.rows.get(change.relation) ?? [];
      this.rows.set(change.relation, rows);
      const delta = deltas.get(change.relation) ?? new Delta();
      deltas.set(change.relation, delta);
      if (change.kind !== 'insert') {
        if (rows.length === 0) continue;
        const [gone] = rows.splice(change.pick % rows.length, 1);
        if (gone !== undefined) delta.push(gone, -1);
      }
      if (change.kind !== 'delete') {
        rows.push(change.row);
        delta.push(change.row, 1);
      }
    }
    return deltas;
  }
}

/** State in memory that holds its users to never taking out what is not there. */
class StrictStore extends MemoryStore {
  override arrangement(name: string, spec: ArrangementSpec): Arrangement {
    const made = super.arrangement(name, spec);
    const add = made.add.bind(made);
    made.add = (key, row, weight) => {
      add(key, row, weight);
      for (const { weights } of made.bag(key)?.chunks ?? []) {
        if (weights.some((sum) => sum < 0))
          throw new Error(`${name} has less than nothing of a row under ${String(key)}`);
      }
    };
    return made;
  }
}

/** Sorters that hold nothing in memory, and parts as small as can be. */
const smallest: PartLimits = { rows: 1, bytes: 1, cutRows: 2, cutBytes: 1_000 };

/** Builds a state of the rows that are there after the first batches, then holds the engine to the batch definition as `holds` does. */
export async function holdsAfterBuild(
  view: BoundView,
  batches: readonly (readonly Change[])[],
  store: StateStore,
  directory: string,
): Promise<void> {
  const tables = new Tables();
  const first = batches.slice(0, Math.ceil(batches.length / 2));
  for (const batch of first) tables.apply(batch);
  const result = new Bag();
  const engine = buildEngine([view], store);
  const space = new SortSpace(0, { files: systemFiles, directory });
  const build = new Build({
    engine,
    store,
    space,
    take: (_, { rows, weights }) => rows.forEach((row, index) => result.add(row, weights[index] ?? 0)),
    reject: () => undefined,
    pause: async () => {},
    limits: smallest,
  });
  await build.run(async function* rows(relation) {
    for (const row of tables.rows.get(relation) ?? []) yield Delta.insertions([row]);
  });
  await space.close();
  store.commit('built');
  const all = [...result.counts.values()];
  expect(
    all.every((count) => count > 0),
    'less than nothing of a row',
  ).toBe(true);
  expect(result.sorted(), 'what was built').toEqual(Bag.of(evaluate(view.plan, tables.rows)).sorted());
  holds(view, batches.slice(first.length), store, { tables, result });
}

/**
 * Runs the batches through an engine of the view and holds it, after each, to the batch definition over what the relations hold. Every
 * third step goes to an engine made anew over the same state.
 */
export function holds(
  view: BoundView,
  batches: readonly (readonly Change[])[],
  store: StateStore = new StrictStore(),
  before: { readonly tables: Tables; readonly result: Bag } = { tables: new Tables(), result: new Bag() },
): void {
  const { tables, result } = before;
  let engine = buildEngine([view], store);
  for (const [number, batch] of batches.entries()) {
    if (number % 3 === 2) engine = buildEngine([view], store);
    const changed = engine.step(tables.apply(batch)).get(view.name) ?? new Delta();
    store.commit(String(number));
    const once = new Bag();
    for (const [index, row] of changed.rows.entries()) {
      result.add(row, changed.weights[index] ?? 0);
      once.add(row, 1);
    }
    expect(
      [...once.counts.values()].every((count) => count === 1) && !changed.weights.includes(0),
      'a delta that is not consolidated',
    ).toBe(true);
    const expected = Bag.of(evaluate(view.plan, tables.rows));
    expect(result.sorted(), `after batch ${number}: ${JSON.stringify(batch)}`).toEqual(expected.sorted());
  }
}
