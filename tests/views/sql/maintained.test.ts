import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Delta } from '../../../views/delta.ts';
import type { Engine } from '../../../views/engine.ts';
import { textOf } from '../../../views/expressions/text.ts';
import { buildEngine } from '../../../views/plan/lower.ts';
import type { BoundView } from '../../../views/plan/plan.ts';
import { bindView, loadSqlParser } from '../../../views/sql/bind.ts';
import { MemoryStore } from '../../../views/state/memory.ts';
import type { Row } from '../../../views/value.ts';
import { evaluate } from '../operators/definition.ts';
import { difference, RowBag } from '../oracle/bag.ts';
import { fixtureCatalog, fixtureRows } from './fixture.ts';
import { queries } from './queries.ts';

beforeAll(loadSqlParser);

/** A row of the fixture that comes or goes. */
interface Change {
  readonly relation: string;
  readonly row: Row;
  readonly weight: 1 | -1;
}

describe('a view that is kept up to date row by row holds what the query answers', () => {
  it.each(queries)('%s', (sql) => {
    const view = bindView({ name: 'v', sql, key: [], catalog: fixtureCatalog });
    fc.assert(
      fc.property(history(), fc.integer({ min: 1, max: 5 }), (changes, batch) => {
        const engine = buildEngine([view], new MemoryStore());
        const contents = new Map<string, Row[]>();
        const bag = new RowBag();
        for (let at = 0; at < changes.length; at += batch) {
          const step = changes.slice(at, at + batch);
          for (const change of step) apply(change, contents);
          for (const [, delta] of engine.step(inputs(engine, step))) collect(view, delta, bag);
          const expected = RowBag.of(evaluate(view.plan, contents).map((row) => texts(view, row)));
          if (!expected.normalised().equals(bag.normalised())) expect.fail(difference(expected, bag));
        }
      }),
      { numRuns: 3 },
    );
  });
});

/** All rows of the fixture in some order, some of them taken out again and put back meanwhile. */
function history(): fc.Arbitrary<Change[]> {
  const rows = [...fixtureRows].flatMap(([relation, list]) => list.map((row) => ({ relation, row })));
  const positions = rows.map((_, at) => at);
  return fc
    .tuple(
      fc.shuffledSubarray(positions, { minLength: positions.length, maxLength: positions.length }),
      fc.array(fc.tuple(fc.nat(positions.length - 1), fc.boolean()), { maxLength: 12 }),
    )
    .map(([order, again]) => {
      const changes = order.flatMap((at): Change[] => {
        const row = rows[at];
        return row === undefined ? [] : [{ ...row, weight: 1 }];
      });
      for (const [at, back] of again) {
        const change = changes[at];
        if (
          change === undefined ||
          change.weight < 0 ||
          changes.some((other) => other.row === change.row && other.weight < 0)
        ) {
          continue;
        }
        changes.push({ ...change, weight: -1 });
        if (back) changes.push(change);
      }
      return changes;
    });
}

function apply({ relation, row, weight }: Change, contents: Map<string, Row[]>): void {
  const rows = contents.get(relation) ?? [];
  if (weight > 0) rows.push(row);
  else rows.splice(rows.indexOf(row), 1);
  contents.set(relation, rows);
}

function inputs(engine: Engine, changes: readonly Change[]): Map<string, Delta> {
  const deltas = new Map<string, Delta>();
  for (const { relation, positions } of engine.inputs) {
    const delta = new Delta();
    for (const change of changes) {
      if (change.relation !== relation) continue;
      const row = positions.map((at) => change.row[at] ?? null);
      delta.push(row, change.weight);
    }
    if (delta.length > 0) deltas.set(relation, delta);
  }
  return deltas;
}

function collect(view: BoundView, delta: Delta, bag: RowBag): void {
  delta.rows.forEach((row, at) => bag.add(texts(view, row), delta.weights[at] ?? 0));
}

function texts(view: BoundView, row: Row): (string | null)[] {
  return view.columns.map(({ type }, at) => {
    const value = row[at] ?? null;
    return value === null ? null : textOf(value, type);
  });
}
