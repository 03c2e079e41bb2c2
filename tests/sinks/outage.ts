/**
 * `npm run outage -- [--changes 2000000] [--redis]`: takes a web server (and a Redis) away from its sink while so many changes go by, and
 * brings it back (docs/testing.md). Exit code 1 when something was not bounded, or differs afterwards.
 */
import { parseArgs } from 'node:util';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import { runOutage } from './outage-run.ts';

const { values } = parseArgs({
  options: {
    changes: { type: 'string', default: '2000000' },
    rows: { type: 'string', default: '20000' },
    'row-bytes': { type: 'string', default: '800' },
    redis: { type: 'boolean', default: false },
  },
});

/** The log is kept for readers that are away up to 1 GiB (docs/log-format.md); how far it goes beyond that while it is merged is told. */
const diskMibMax = 1300;
/** Above what the service takes with all sinks in place. */
const memoryMibMax = 150;

const database = await startPostgres();
const redis = values.redis ? await startRedis({ persistence: 'everysec' }) : undefined;
try {
  const result = await runOutage({
    name: 'outage',
    databaseUrl: database.url(),
    changes: Number(values.changes),
    rows: Number(values.rows),
    rowBytes: Number(values['row-bytes']),
    diskMibMax,
    ...(redis === undefined ? {} : { redis }),
    say: (line) => console.log(line),
  });
  console.log(result);
  const { rssBefore, rssMax, snapshotRows, different } = result;
  const isBounded = rssMax - rssBefore < memoryMibMax;
  const isSame = Object.values(different).every((count) => count === 0);
  const [before, after] = snapshotRows;
  if (!isBounded || !isSame || before !== after || result.readyStatus !== 503) process.exitCode = 1;
} finally {
  // Servers do not keep the process alive, and their end is awaited.
  const alive = setInterval(() => undefined, 1_000);
  await redis?.stop();
  await database.stop('immediate');
  clearInterval(alive);
}
