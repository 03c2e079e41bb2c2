import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  fieldNull,
  fieldPositions,
  fieldUnchanged,
  packedSize,
  packRow,
  readFields,
  unpackRow,
  writeUnchanged,
} from '../../model/row.ts';

const lengths = fc.oneof(
  fc.integer({ min: 0, max: 20 }),
  fc.constantFrom(248, 249, 250, 251, 252, 253, 254, 255, 256, 65_534, 65_535, 65_536, 70_000),
);
const values = fc.array(
  fc.option(fc.tuple(lengths, fc.integer({ min: 0, max: 255 })).map(([length, byte]) => Buffer.alloc(length, byte))),
  {
    maxLength: 8,
  },
);

describe('packed rows', () => {
  it('give back every value and NULL as they were, wherever they lie in a buffer', () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 0, max: 9 }), (row, offset) => {
        const packed = packRow(row);
        expect(packed.length).toBe(
          row.reduce((sum, value) => sum + (value === null ? 1 : packedSize(value.length)), 0),
        );
        const buffer = Buffer.concat([Buffer.alloc(offset, 0xfb), packed, Buffer.alloc(3, 0xfd)]);
        const fields = fieldPositions(row.length);
        expect(readFields(buffer, offset, row.length, fields)).toBe(offset + packed.length);
        row.forEach((value, column) => {
          if (value === null) expect(fields.end[column]).toBe(fieldNull);
          else expect(buffer.subarray(fields.start[column], fields.end[column]).equals(value)).toBe(true);
        });
      }),
    );
  });

  it('tell the empty string, NULL and a value that was not sent apart', () => {
    const packed = packRow(['', null, 'x']);
    expect(unpackRow(packed, 0, 3)).toEqual(['', null, 'x']);
    const buffer = Buffer.alloc(1);
    writeUnchanged(buffer, 0);
    const fields = fieldPositions(1);
    readFields(buffer, 0, 1, fields);
    expect(fields.end[0]).toBe(fieldUnchanged);
  });

  it('say so when they are cut off or damaged, instead of giving bytes that are not there', () => {
    fc.assert(
      fc.property(values, fc.nat(), fc.nat(255), (row, where, byte) => {
        fc.pre(row.length > 0);
        const packed = packRow(row);
        const fields = fieldPositions(row.length);
        expect(() => readFields(packed.subarray(0, packed.length - 1), 0, row.length, fields)).toThrow(/row/);
        packed[where % packed.length] = byte;
        let end = -1;
        try {
          end = readFields(packed, 0, row.length, fields);
        } catch (error) {
          expect(error).toMatchObject({ code: 'INTERNAL' });
        }
        if (end < 0) return;
        expect(end).toBeLessThanOrEqual(packed.length);
        for (let column = 0; column < row.length; column++) {
          expect(fields.start[column]).toBeGreaterThanOrEqual(0);
          expect(fields.end[column]).toBeLessThanOrEqual(packed.length);
        }
      }),
      { numRuns: 500 },
    );
  });
});
