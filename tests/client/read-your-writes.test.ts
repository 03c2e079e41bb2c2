import { expect, test } from 'vitest';
import { describePostgres } from '../servers/suite.ts';
import { describeRedis } from '../servers/redis-suite.ts';
import { readYourWrites, redisPlace, sqlitePlace } from './read-your-writes.ts';

/** `npm run reads` does it 10,000 times. */
const times = 1_000;

describePostgres('what an application has committed and waited for', (database) => {
  test('is what it reads in SQLite', { timeout: 180_000 }, async () => {
    const result = await readYourWrites(database.url, sqlitePlace, { name: database.name, times, parallel: 4 });
    expect(result.stale).toEqual([]);
    expect(result.times).toBe(times);
  });
});

describePostgres('what an application has committed and waited for in a cache', (database) => {
  describeRedis('with a Redis', {}, (redis) => {
    test('is what it reads there', { timeout: 180_000 }, async () => {
      const options = { name: database.name, times, parallel: 4 };
      const result = await readYourWrites(database.url, redisPlace(redis.url), options);
      expect(result.stale).toEqual([]);
      expect(result.times).toBe(times);
    });
  });
});
