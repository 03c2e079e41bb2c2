import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ValueReader, ValueWriter } from '../../../views/state/codec.ts';
import type { Value } from '../../../views/value.ts';
import { sameRow } from '../../../views/value.ts';

const values: fc.Arbitrary<Value> = fc.oneof(
  fc.constantFrom<Value>(null, true, false, 0, -0, NaN, Infinity, 2 ** 53 - 1, 1 - 2 ** 53, 2n ** 53n, -(2n ** 63n)),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.bigInt().filter((value) => value > 2n ** 53n || value < -(2n ** 53n)),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 300 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 5 }).map((codes) => String.fromCharCode(...codes)),
);
const rows = fc.array(values, { maxLength: 8 });

describe('values on disk', () => {
  it('come back as they were, also of text that is not well-formed', () => {
    fc.assert(
      fc.property(rows, rows, (first, second) => {
        const writer = new ValueWriter(16);
        writer.row(first);
        writer.count(first.length * 1_000_003);
        writer.row(second);
        const reader = new ValueReader().reset(writer.buffer.subarray(0, writer.at), 0);
        expect(sameRow(reader.row(first.length), first)).toBe(true);
        expect(reader.count()).toBe(first.length * 1_000_003);
        expect(sameRow(reader.row(second.length), second)).toBe(true);
        expect(reader.at).toBe(writer.at);
      }),
      { numRuns: 500 },
    );
  });

  it('are never the beginning of another, so that keys of one state do not run into each other', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        if (Object.is(a, b)) return;
        const [left, right] = [bytesOf(a), bytesOf(b)];
        expect(right.subarray(0, left.length).equals(left)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

function bytesOf(value: Value): Buffer {
  const writer = new ValueWriter(16);
  writer.value(value);
  return writer.buffer.subarray(0, writer.at);
}
