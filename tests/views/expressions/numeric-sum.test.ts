import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  addNumericText,
  addNumericValue,
  initNumericSum,
  numericSum,
  numericSumSlots,
  numericSumText,
} from '../../../views/expressions/aggregates/numeric-sum.ts';
import { formatNumeric, readNumeric } from '../../../views/expressions/numeric.ts';
import type { Value } from '../../../views/value.ts';

interface Row {
  readonly unscaled: bigint;
  readonly scale: number;
}

function textOf({ unscaled, scale }: Row): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  const text = scale === 0 ? whole : `${whole}.${digits.slice(-scale)}`;
  return unscaled < 0n ? `-${text}` : text;
}

const largest = 10n ** 33n;
/** Of every length; many near the ends of the limbs. */
const unscaled = fc.oneof(
  fc.bigInt(-99n, 99n),
  fc.bigInt(-(10n ** 15n) - 9n, 10n ** 15n + 9n),
  fc.bigInt(10n ** 9n - 9n, 10n ** 9n + 9n),
  fc.bigInt(-(10n ** 18n) - 9n, 9n - 10n ** 18n),
  fc.bigInt(10n ** 18n - 9n, 10n ** 18n + 9n),
  fc.bigInt(2n ** 53n - 9n, 2n ** 53n + 9n),
  fc.bigInt(9n * 10n ** 26n, 10n ** 27n + 9n),
  fc.bigInt(-largest, largest),
);
const row: fc.Arbitrary<Row> = fc.record({ unscaled, scale: fc.constantFrom(0, 0, 0, 2, 9, 12, 20) });

/** The exact sum, at the largest scale among the rows. */
function exact(rows: readonly Row[]): string {
  const scale = Math.max(...rows.map((each) => each.scale));
  return textOf({
    unscaled: rows.reduce((sum, each) => sum + each.unscaled * 10n ** BigInt(scale - each.scale), 0n),
    scale,
  });
}

it('sums numerics of any length exactly, whatever came and went before', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(row, fc.integer({ min: 1, max: 12 })), { maxLength: 30 }),
      fc.infiniteStream(fc.nat()),
      (items, order) => {
        const state: Value[] = ['before'];
        initNumericSum(state, 1);
        expect(state).toHaveLength(1 + numericSumSlots);
        const rows: Row[] = [];
        const check = (): void => {
          expect(state[1]).toBe(rows.length);
          if (rows.length === 0) return;
          const sum = exact(rows);
          expect([formatNumeric(numericSum(state, 1)), numericSumText(state, 1)]).toEqual([sum, sum]);
        };
        for (const [item, times] of items) {
          const text = textOf(item);
          if (times > 9) {
            addNumericValue(state, 1, readNumeric(text), times);
          } else {
            for (let count = 0; count < times; count++) addNumericText(state, 1, text, 1);
          }
          rows.push(...Array.from({ length: times }, () => item));
          check();
        }
        while (rows.length > 0) {
          const [gone] = rows.splice((order.next().value ?? 0) % rows.length, 1);
          if (gone !== undefined) addNumericText(state, 1, textOf(gone), -1);
          check();
        }
        const fresh: Value[] = ['before'];
        initNumericSum(fresh, 1);
        expect(state).toEqual(fresh);
      },
    ),
    { numRuns: 300 },
  );
});

it('takes rows out before they have come in', () => {
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (rows) => {
      const state: Value[] = [];
      initNumericSum(state, 0);
      for (const each of rows) addNumericText(state, 0, textOf(each), -1);
      for (const each of [...rows, ...rows]) addNumericText(state, 0, textOf(each), 1);
      expect(formatNumeric(numericSum(state, 0))).toBe(exact(rows));
    }),
  );
});
