import { beforeAll, describe, expect, it } from 'vitest';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { runToybank } from './toybank.ts';

beforeAll(async () => {
  await loadSqlParser();
});

describe.each([1978, 20_260_101])('the toy bank, seed %i', (seed) => {
  describe.each([false, true])('late transfers: %s', (isLate) => {
    it.each([1, 7, 1000])('holds its totals after every transaction of %i', (batch) => {
      const { wrong, outputs, totals } = runToybank({ rows: 10_000, seed, isLate, batch });
      expect(wrong).toEqual([]);
      expect(outputs.outer, 'the total of 0 is said once').toBe(1);
      if (batch === 1) expect(totals, 'accounts come one by one, so that early totals differ').toBeGreaterThan(1);
      expect(outputs.inner).toBeGreaterThanOrEqual(totals);
    });
  });
});
