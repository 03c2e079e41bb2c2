/**
 * `npm run reads -- [--times 10000] [--parallel 4] [--redis | --search]`: commits, waits and reads so many times, and counts what was stale
 * (docs/client.md). Exit code 1 when something was.
 */
import { parseArgs } from 'node:util';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import { startSearch } from '../servers/search.ts';
import { readYourWrites, redisPlace, searchPlace, sqlitePlace } from './read-your-writes.ts';

const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '10000' },
    parallel: { type: 'string', default: '4' },
    redis: { type: 'boolean', default: false },
    search: { type: 'boolean', default: false },
  },
});

const database = await startPostgres();
const redis = values.redis ? await startRedis() : null;
const search = values.search ? await startSearch({ engine: 'opensearch' }) : null;
try {
  const engine = search && searchPlace('opensearch', search.url, 'id');
  const place = engine ?? (redis === null ? sqlitePlace : redisPlace(redis.url));
  const options = { name: 'reads', times: Number(values.times), parallel: Number(values.parallel) };
  const { times, stale, p50Ms, p99Ms } = await readYourWrites(database.url(), place, options);
  for (const line of stale.slice(0, 10)) console.log(line);
  console.log(
    `${place.name}: ${times} times, ${stale.length} stale; commit to end of wait p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`,
  );
  if (stale.length > 0) process.exitCode = 1;
} finally {
  // Servers do not keep the process alive, and their end is awaited.
  const alive = setInterval(() => undefined, 1_000);
  await redis?.stop();
  await search?.stop();
  await database.stop('immediate');
  clearInterval(alive);
}
