import { expect, test } from 'vitest';
import { SinkFailingError } from '../../client/errors.ts';
import { describePostgres } from '../servers/suite.ts';
import { runOutage } from './outage-run.ts';

describePostgres('a web server that is away while 50,000 changes go by', (database) => {
  // `npm run outage` lets 2,000,000 go by, and takes Redis away as well.
  test('costs nobody else anything, is told, and is caught up with from the log', { timeout: 300_000 }, async () => {
    const { name, url: databaseUrl } = database;
    const result = await runOutage({ name, databaseUrl, changes: 50_000, rows: 2_500, rowBytes: 200, diskMibMax: 100 });
    expect(result.readyStatus).toBe(503);
    expect(result.reasons).toEqual([expect.stringMatching(/^sink hook: .*ECONNREFUSED/)]);
    expect(result.waitError).toBeInstanceOf(SinkFailingError);
    expect(result.rssMax - result.rssBefore).toBeLessThan(150);
    expect(result.snapshotRows).toEqual([2_500, 2_500]);
    expect(result.different).toEqual({ hook: 0 });
    expect(result.readyAfterwards).toBe(true);
  });
});
