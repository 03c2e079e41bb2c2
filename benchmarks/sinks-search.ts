import { join } from 'node:path';
import { Pool } from 'undici';
import { present } from '../base/assert.ts';
import { systemClock } from '../base/clock.ts';
import { systemFiles } from '../base/files.ts';
import type { Log } from '../model/log.ts';
import { createSinkGroups } from '../sinks/create-groups.ts';
import type { SearchSinkOptions } from '../sinks/options.ts';
import { derivedFields } from '../sinks/search/mapping.ts';
import { SearchTarget } from '../sinks/search/search-target.ts';
import { search, startSearch } from '../tests/servers/search.ts';
import type { SearchServer } from '../tests/servers/search.ts';
import type { Figure, Measured } from './figure.ts';
import { faster, figure, Stopwatch } from './figure.ts';
import { inFolder, openBenchLog } from './log-load.ts';
import { changesAt, changesPerTransaction, columns, fill, stepAt, table, valuesOf } from './sink-load.ts';

/** The engine, which shares the machine, takes 10 to 30 µs of CPU a document: a tenth of the standard backlog is enough to see. */
const share = 0.1;
const documentsPerRequest = 1_000;
const requestsInFlight = 2;

/**
 * Changes a second from the embedded log into OpenSearch until searches see them all, against `_bulk` requests of the same changes sent by
 * undici, as many in flight, being in memory as text; and the same for a rebuild, from the command to the moved alias. Delivery sends the
 * net change of each key and batch, the raw client every change.
 */
export async function run(options: { scale: number }): Promise<Figure[]> {
  const found = search.find({ engine: 'opensearch' });
  if (!found.found) {
    console.error(found.reason);
    return [];
  }
  const n = changesAt(options.scale * share);
  return inFolder(async (directory) => {
    const log = await openBenchLog(directory);
    const server = await startSearch({ engine: 'opensearch' });
    try {
      await fill(log, n);
      return await compare(log, server, directory, n);
    } finally {
      await server.stop();
      await log.close();
    }
  });
}

async function compare(log: Log, server: SearchServer, directory: string, n: number): Promise<Figure[]> {
  const pool = new Pool(server.url, { connections: requestsInFlight });
  let reference = 0;
  let first: Measured | null = null;
  let rebuilt: Measured | null = null;
  // A round before those that count: Java compiles what is hot.
  await raw(pool, n, 'warm');
  for (let round = 0; round < 3; round++) {
    reference = Math.max(reference, n / (await raw(pool, n, `raw-${round}`)));
    const options = sinkOptions(server.url, `bench-${round}`);
    const measured = await deliver(log, options, join(directory, `sink-${round}`), n);
    first = faster(first, measured.first);
    rebuilt = faster(rebuilt, measured.rebuilt);
  }
  await pool.close();
  const rawClient = { name: 'undici, _bulk', value: reference };
  return [
    figure('sinks-opensearch', 'rows/s', present(first, 'a round'), rawClient),
    figure('sinks-opensearch-rebuild', 'rows/s', present(rebuilt, 'a round'), rawClient),
  ];
}

function sinkOptions(url: string, index: string): SearchSinkOptions {
  return {
    name: index,
    type: 'opensearch',
    url,
    from: table.topic,
    index,
    mapping: null,
    settings: { number_of_replicas: 0 },
    routing: null,
    refresh: 1_000,
    start: 'consistent',
  };
}

async function deliver(
  log: Log,
  options: SearchSinkOptions,
  directory: string,
  n: number,
): Promise<{ first: Measured; rebuilt: Measured }> {
  const deps = { log, clock: systemClock, files: systemFiles, random: Math.random, report: () => undefined };
  const [made] = createSinkGroups(
    [options],
    { ...deps, name: 'bench', directory, onError: 'stop' },
    { search: SearchTarget },
  );
  const group = present(made, 'the group');
  const stop = new AbortController();
  const last = n / changesPerTransaction;
  const reached = async (isThere: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const stopListening = group.onProgress(() => {
        const error = group.status()[0]?.error;
        if (error) console.error(error);
        if (!isThere()) return;
        stopListening();
        resolve();
      });
    });
  const watch = new Stopwatch();
  const there = reached(() => group.status()[0]?.seq === last);
  const running = group.run(stop.signal);
  await there;
  if (group.target instanceof SearchTarget) await group.target.makeSearchable(options.name);
  const first = watch.rate(n);
  const again = new Stopwatch();
  await group.rebuild(options.name);
  await reached(() => group.status()[0]?.rebuild === null);
  const rebuilt = again.rate(n);
  stop.abort();
  await running;
  return { first, rebuilt };
}

/** Seconds from making the index to searches that see everything, the requests being in memory as text already. */
async function raw(pool: Pool, n: number, index: string): Promise<number> {
  const names = Object.keys(columns);
  const shape = table.columns.map(({ id, name, type }) => ({ id, name, type }));
  const mappings = { properties: derivedFields(shape, sinkOptions('', index)) };
  const settings = { index: { number_of_shards: 1, number_of_replicas: 0, refresh_interval: '-1' } };
  const bodies: Buffer[] = [];
  for (let from = 0; from < n; from += documentsPerRequest) {
    const lines = Array.from({ length: Math.min(documentsPerRequest, n - from) }, (_, offset) => {
      const { op, id } = stepAt(from + offset);
      const version = (Math.floor((from + offset) / changesPerTransaction) + 1) * 1024;
      const place = `"_id":"${id}","version":${version},"version_type":"external_gte"`;
      if (op === 'delete') return `{"delete":{${place}}}\n`;
      const values = valuesOf(id, from + offset).map((value, column) => [names[column], value]);
      return `{"index":{${place}}}\n${JSON.stringify(Object.fromEntries(values))}\n`;
    });
    bodies.push(Buffer.from(lines.join('')));
  }
  const start = performance.now();
  await send(pool, 'PUT', `/${index}`, JSON.stringify({ settings, mappings }), 'application/json');
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let body = bodies[next++]; body !== undefined; body = bodies[next++]) {
      await send(pool, 'POST', `/${index}/_bulk?filter_path=errors`, body, 'application/x-ndjson');
    }
  };
  await Promise.all(Array.from({ length: requestsInFlight }, worker));
  await send(pool, 'POST', `/${index}/_refresh`, '', 'application/json');
  return (performance.now() - start) / 1000;
}

async function send(
  pool: Pool,
  method: 'PUT' | 'POST',
  path: string,
  body: Buffer | string,
  contentType: string,
): Promise<void> {
  const { statusCode, body: answer } = await pool.request({
    method,
    path,
    body,
    headers: { 'content-type': contentType },
  });
  const text = await answer.text();
  if (statusCode !== 200) console.error(text.slice(0, 300));
}
