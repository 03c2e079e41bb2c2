import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SortedBag } from '../../../views/state/bag.ts';
import type { Row } from '../../../views/value.ts';

function compare(a: Row, b: Row): number {
  return Number(a[0]) - Number(b[0]);
}

/** The bag against a Map: rows in order with their weights, no empty chunk, and the counts. */
function same(bag: SortedBag, weights: ReadonlyMap<number, number>): void {
  const rows = bag.chunks.flatMap((chunk) => chunk.rows.map((row, at) => [row[0], chunk.weights[at]]));
  const expected = [...weights].toSorted(([a], [b]) => a - b);
  expect(rows).toEqual(expected);
  expect(bag.size).toBe(expected.length);
  expect(bag.total).toBe(expected.reduce((sum, [, weight]) => sum + weight, 0));
  if (bag.chunks.length > 1) expect(bag.chunks.every((chunk) => chunk.rows.length > 0)).toBe(true);
}

/** Adds runs of neighbouring numbers, up or down, and takes them out, so that chunks fill up, split, empty and join. */
const runs = fc.array(
  fc.record({
    from: fc.nat(3000),
    length: fc.nat(900),
    step: fc.constantFrom(1, -1, 7, -3),
    weight: fc.constantFrom(1, 1, -1, 2),
  }),
  { maxLength: 14, size: 'max' },
);

describe('the rows of one key in memory', () => {
  it('stay in order, each once with its weight, however many they are', () => {
    fc.assert(
      fc.property(runs, (given) => {
        const bag = new SortedBag([], []);
        const weights = new Map<number, number>();
        for (const { from, length, step, weight } of given) {
          for (let count = 0; count < length; count++) {
            const value = from + count * step;
            const sum = (weights.get(value) ?? 0) + weight;
            if (sum === 0) weights.delete(value);
            else weights.set(value, sum);
            bag.add([value], weight, compare);
          }
          same(bag, weights);
        }
        for (const [value, weight] of weights) bag.add([value], -weight, compare);
        same(bag, new Map());
      }),
      { numRuns: 60 },
    );
  });
});
