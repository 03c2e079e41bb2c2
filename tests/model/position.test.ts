import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatLsn, lsn, lsnOrder, parseLsn } from '../../model/position.ts';

const anyLsn = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

describe('positions of PostgreSQL', () => {
  it('are printed as they were read, up to the last', () => {
    fc.assert(
      fc.property(anyLsn, (value) => {
        expect(parseLsn(formatLsn(lsn(value)))).toBe(value);
      }),
    );
    expect(formatLsn(lsn(0x16_b374_d848n))).toBe('16/B374D848');
    expect(lsnOrder.normalise('0016/b374d848')).toBe('16/B374D848');
    expect(formatLsn(lsn(2n ** 64n - 1n))).toBe('FFFFFFFF/FFFFFFFF');
  });

  it('are ordered as numbers, not as text', () => {
    expect(lsnOrder.covers('10/0', '9/FFFFFFFF')).toBe(true);
    expect(lsnOrder.covers('9/FFFFFFFF', '10/0')).toBe(false);
    fc.assert(
      fc.property(anyLsn, anyLsn, (held, wanted) => {
        expect(lsnOrder.covers(formatLsn(lsn(held)), formatLsn(lsn(wanted)))).toBe(held >= wanted);
      }),
    );
  });

  it('refuse everything else with a hint', () => {
    for (const wrong of ['', '16', '16/', '/1', '16/123456789', 'g/1', ' 1/1', '1/1\n', '-1/1', '1/1/1']) {
      expect(() => parseLsn(wrong), JSON.stringify(wrong)).toThrow(
        expect.objectContaining({ code: 'POSITION_INVALID' }),
      );
    }
  });
});
