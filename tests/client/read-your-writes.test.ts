import { expect, test } from 'vitest';
import { describePostgres } from '../servers/suite.ts';
import { describeRedis } from '../servers/redis-suite.ts';
import { describeSearch } from '../servers/search-suite.ts';
import { readYourWrites, redisPlace, searchPlace, sqlitePlace } from './read-your-writes.ts';

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

describePostgres('what an application has committed and waited for in a search engine', (database) => {
  describeSearch('with an OpenSearch', { engine: 'opensearch' }, (search) => {
    test(
      'is what it reads there by id, and by a search once it has waited for that',
      { timeout: 600_000 },
      async () => {
        const options = { name: database.name, times: 60, parallel: 4 };
        for (const by of ['id', 'search'] as const) {
          const name = `${database.name}_${by}`;
          await database.query('DROP TABLE IF EXISTS counters');
          const place = searchPlace('opensearch', search.url, by);
          expect((await readYourWrites(database.url, place, { ...options, name })).stale).toEqual([]);
          await search.request('DELETE', '/counters-*');
        }
      },
    );
  });
});
