import { Redis } from 'ioredis';
import { join } from 'node:path';
import { present } from '../base/assert.ts';
import { systemClock } from '../base/clock.ts';
import { systemFiles } from '../base/files.ts';
import type { Log } from '../model/log.ts';
import { createSinkGroups } from '../sinks/create-groups.ts';
import { RedisTarget } from '../sinks/redis/redis-target.ts';
import { startRedis } from '../tests/servers/redis.ts';
import type { RedisServer } from '../tests/servers/redis.ts';
import type { Figure, Measured } from './figure.ts';
import { faster, figure, Stopwatch } from './figure.ts';
import { inFolder, openBenchLog } from './log-load.ts';
import {
  changesAt,
  changesPerTransaction,
  columns,
  fill,
  rowsPerCommit,
  stepAt,
  table,
  valuesOf,
} from './sink-load.ts';

/** The sink's rate over the backlog, against an ioredis pipeline of the same commands; as JSON and as hashes. */
export async function run(options: { scale: number }): Promise<Figure[]> {
  const n = changesAt(options.scale);
  return inFolder(async (directory) => {
    const log = await openBenchLog(directory);
    const server = await startRedis();
    try {
      await fill(log, n);
      return [
        await compare(log, server, directory, n, 'sinks-redis', 'json'),
        await compare(log, server, directory, n, 'sinks-redis-hash', 'hash'),
      ];
    } finally {
      await server.stop();
      await log.close();
    }
  });
}

async function compare(
  log: Log,
  server: RedisServer,
  directory: string,
  n: number,
  name: string,
  format: 'json' | 'hash',
): Promise<Figure> {
  const client = new Redis({ port: server.port, host: '127.0.0.1' });
  let reference = 0;
  let best: Measured | null = null;
  for (let round = 0; round < 3; round++) {
    await client.flushall();
    reference = Math.max(reference, n / (await raw(client, n, format)));
    await client.flushall();
    const watch = new Stopwatch();
    await deliver(log, server.url, join(directory, `${name}-${round}`), n, format);
    best = faster(best, watch.rate(n));
  }
  client.disconnect();
  return figure(name, 'rows/s', present(best, 'a round'), { name: 'ioredis pipeline', value: reference });
}

async function deliver(log: Log, url: string, directory: string, n: number, format: 'json' | 'hash'): Promise<void> {
  const sink = {
    name: 'bench',
    type: 'redis',
    url,
    from: table.topic,
    key: 'bench:{id}',
    start: 'consistent',
  } as const;
  const deps = { log, clock: systemClock, files: systemFiles, random: Math.random, report: () => undefined };
  const [group] = createSinkGroups(
    [{ ...sink, format, ttlMs: null, maxAtomicRows: 10_000 }],
    { ...deps, name: 'bench', directory, onError: 'stop' },
    { redis: RedisTarget },
  );
  const sinks = present(group, 'the group');
  const stop = new AbortController();
  const done = new Promise<void>((resolve) => {
    sinks.onProgress(() => {
      if (sinks.status()[0]?.seq === n / changesPerTransaction) resolve();
    });
  });
  const running = sinks.run(stop.signal);
  await done;
  stop.abort();
  await running;
}

/** Seconds that the commands take when the values are there already. */
async function raw(client: Redis, n: number, format: 'json' | 'hash'): Promise<number> {
  const names = Object.keys(columns);
  let seconds = 0;
  for (let from = 0; from < n; from += rowsPerCommit) {
    const steps = Array.from({ length: Math.min(rowsPerCommit, n - from) }, (_, index) => stepAt(from + index));
    const rows = steps.map(({ id }, index) => valuesOf(id, from + index));
    const values = rows.map((row) =>
      JSON.stringify(Object.fromEntries(row.map((value, column) => [names[column], value]))),
    );
    const fields = rows.map((row) => row.flatMap((value, column) => [names[column] ?? '', value]));
    const start = performance.now();
    const pipeline = client.pipeline();
    for (const [index, { op, id }] of steps.entries()) {
      if (op === 'delete') pipeline.del(`bench:${id}`);
      else if (format === 'json') pipeline.set(`bench:${id}`, values[index] ?? '');
      else pipeline.hset(`bench:${id}`, ...(fields[index] ?? []));
    }
    await pipeline.exec();
    seconds += (performance.now() - start) / 1000;
  }
  return seconds;
}
