import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { withPosition } from '../../client/postgres.ts';
import { Deployment } from './deployment.ts';

/** A kind of sink, how it is written in the file, and how an application reads a row of it. */
export interface Place {
  readonly name: string;
  /** The sink `copy` of the file. */
  readonly sink: string;
  /** Whether reads are searches, which see what was refreshed. */
  readonly searchable?: boolean;
  /** Connects; `read` gives the value of a row. */
  readonly open: (directory: string) => { read(id: number): Promise<number>; close(): Promise<void> };
}

export const sqlitePlace: Place = {
  name: 'sqlite',
  sink: '{ type: sqlite, path: ./copy.db, from: counters, table: counters }',
  open: (directory) => {
    const database = new DatabaseSync(join(directory, 'copy.db'), { readOnly: true });
    const statement = database.prepare('SELECT value FROM counters WHERE id = ?');
    return {
      read: async (id) => Number(statement.get(id)?.['value'] ?? Number.NaN),
      close: async () => database.close(),
    };
  },
};

export function redisPlace(url: string): Place {
  return {
    name: 'redis',
    sink: `{ type: redis, url: "${url}", from: counters, key: "counters:{id}" }`,
    open: () => {
      const redis = new Redis(url);
      return {
        read: async (id) => (JSON.parse((await redis.get(`counters:${id}`)) ?? '{}') as { value: number }).value,
        close: async () => redis.disconnect(),
      };
    },
  };
}

/** A search engine, read by id (realtime get), or by a search. */
export function searchPlace(engine: 'opensearch' | 'elasticsearch', url: string, by: 'id' | 'search'): Place {
  const get = async (path: string): Promise<unknown> => (await fetch(new URL(path, url))).json();
  const byId = async (id: number): Promise<number> => {
    const { _source: row } = (await get(`/counters/_doc/${id}`)) as { _source?: { value: number } };
    return row?.value ?? Number.NaN;
  };
  const bySearch = async (id: number): Promise<number> => {
    const found = (await get(`/counters/_search?q=id:${id}`)) as { hits: { hits: { _source: { value: number } }[] } };
    const { _source: row } = found.hits.hits[0] ?? {};
    return row?.value ?? Number.NaN;
  };
  return {
    name: `${engine} by ${by}`,
    sink: `{ type: ${engine}, url: "${url}", from: counters, index: counters }`,
    searchable: by === 'search',
    open: () => ({ read: by === 'id' ? byId : bySearch, close: async () => undefined }),
  };
}

export interface ReadsResult {
  readonly times: number;
  /** What was read and was not what had been committed. */
  readonly stale: readonly string[];
  /** From the answer to COMMIT to the end of the wait, the position's query included. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * So many times: commits a row's next value, waits for the sink by the position of the commit, and reads the row there. `parallel`
 * connections each do it with rows of their own.
 */
export async function readYourWrites(
  databaseUrl: string,
  place: Place,
  options: { readonly name: string; readonly times: number; readonly parallel: number },
): Promise<ReadsResult> {
  const pool = new Pool({ connectionString: databaseUrl, max: options.parallel });
  await pool.query('CREATE TABLE counters (id int PRIMARY KEY, value int NOT NULL)');
  await pool.query('INSERT INTO counters SELECT id, 0 FROM generate_series(1, $1) AS id', [options.parallel]);
  const source = `sources: { shop: { type: postgres, url: "${databaseUrl}", tables: [public.counters] } }\n`;
  const deployment = await Deployment.start(options.name, `${source}sinks: { copy: ${place.sink} }\n`);
  try {
    await deployment.client.waitFor('copy', 'now', { timeoutMs: 60_000 });
    const reader = place.open(deployment.directory);
    const stale: string[] = [];
    const tookMs: number[] = [];
    let left = options.times;
    const work = async (id: number): Promise<void> => {
      for (let value = 1; left > 0; value++) {
        left--;
        const { position } = await withPosition(pool, async (client) =>
          client.query('UPDATE counters SET value = $1 WHERE id = $2', [value, id]),
        );
        const startedMs = performance.now();
        await deployment.client.waitFor('copy', position, { timeoutMs: 60_000, searchable: place.searchable === true });
        tookMs.push(performance.now() - startedMs);
        const read = await reader.read(id);
        if (read !== value) stale.push(`row ${id} was ${read} after ${value} had been committed at ${position}`);
      }
    };
    await Promise.all(Array.from({ length: options.parallel }, async (_, index) => work(index + 1)));
    await reader.close();
    const sorted = tookMs.toSorted((a, b) => a - b);
    const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
    return { times: tookMs.length, stale, p50Ms: at(0.5), p99Ms: at(0.99) };
  } finally {
    await deployment.stop();
    await pool.end();
  }
}
