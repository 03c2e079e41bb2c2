import { Redis } from 'ioredis';
import type { SearchEngine } from '../servers/search.ts';
import { Difference } from './difference.ts';
import { sourceName, tables } from './schema.ts';

export interface SinkTable {
  /** Name of the sink; also its prefix in Redis, and its index. */
  readonly sink: string;
  readonly table: string;
  readonly target: 'kept' | 'lost' | 'search';
  /** SQL of the sink's name for a row `t`. */
  readonly keySql: string;
  /** The template of a Redis key. */
  readonly template: string;
}

/** What goes where: money into the Redis that keeps its data, since its reader must never be shown something older. */
export const sinkTables: readonly SinkTable[] = [
  redis('kept', 'savings', 'id'),
  redis('kept', 'checking', 'id'),
  redis('kept', 'items', 'id'),
  redis('lost', 'fulls', 'id'),
  redis('lost', 'counters', 'conn'),
  search('items', `id::text`),
  search('docs', `id::text`),
  search('pairs', `kind || '|' || id`),
];

function redis(target: 'kept' | 'lost', table: string, key: string): SinkTable {
  const sink = `redis_${table}`;
  return { sink, table, target, keySql: `'${sink}:' || ${key}`, template: `${sink}:{${key}}` };
}

function search(table: string, keySql: string): SinkTable {
  return { sink: `search_${table}`, table, target: 'search', keySql, template: '' };
}

/** The deployment's file. */
export function sinksFile(
  urls: { readonly source: string; readonly kept: string; readonly lost: string; readonly search: string },
  engine: SearchEngine,
  port: number,
): string {
  const sinks = sinkTables.map(({ sink, table, target, template }) => {
    const from = `from: ${sourceName}.public.${table}`;
    return target === 'search'
      ? `  ${sink}: { type: ${engine}, url: "${urls.search}", ${from}, index: ${sink} }`
      : `  ${sink}: { type: redis, url: "${urls[target]}", ${from}, key: "${template}", max_atomic_rows: 5000 }`;
  });
  return `version: 1
name: crash
data_dir: ./data
sources:
  ${sourceName}:
    type: postgres
    url: ${urls.source}
    tables: [${tables.map((table) => `public.${table}`).join(', ')}]
    snapshot: { mode: initial, chunk_rows: 700, parallel: 2 }
    heartbeat: 1s
sinks:
${sinks.join('\n')}
http: { host: 127.0.0.1, port: ${port} }
disk: { warn: 99%, stop: 100% }
`;
}

/** All rows that the sink has in Redis, by their keys. */
export async function redisDocuments(url: string, { sink }: SinkTable): Promise<Map<string, string>> {
  const client = new Redis(url);
  try {
    const held = new Map<string, string>();
    let cursor = '0';
    do {
      const [next, keys] = await client.scan(cursor, 'MATCH', `${sink}:*`, 'COUNT', 1000);
      cursor = next;
      const values = keys.length === 0 ? [] : await client.mget(keys);
      for (const [index, key] of keys.entries()) held.set(key, values[index] ?? '');
    } while (cursor !== '0');
    return held;
  } finally {
    client.disconnect();
  }
}

interface Hits {
  readonly hits: { readonly hits: readonly { _id: string; _source: unknown; sort: unknown[] }[] };
}

/** All documents of the sink's index, by their ids, as searches see them. */
export async function searchDocuments(url: string, { sink }: SinkTable): Promise<Map<string, string>> {
  const held = new Map<string, string>();
  let after: unknown[] | null = null;
  for (;;) {
    // _seq_no is the engine's own: one for every write of the index's only shard.
    const query = { size: 5000, sort: [{ _seq_no: 'asc' }], ...(after === null ? {} : { search_after: after }) };
    const response = await fetch(`${url}/${sink}/_search`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(query),
    });
    if (!response.ok) throw new Difference(`search of ${sink}: ${await response.text()}`);
    const { hits } = ((await response.json()) as Hits).hits;
    for (const { _id: id, _source: source } of hits) held.set(id, JSON.stringify(source));
    after = hits.at(-1)?.sort ?? null;
    if (after === null) return held;
  }
}

/** Fails with the first documents that differ. */
export function expectSameDocuments(
  { sink }: SinkTable,
  expected: ReadonlyMap<string, string>,
  held: ReadonlyMap<string, string>,
): void {
  const differences: string[] = [];
  for (const [key, doc] of expected) {
    const other = held.get(key);
    if (other === undefined) differences.push(`missing  ${key}`);
    else if (canonical(other) !== canonical(doc)) {
      differences.push(`expected ${doc.slice(0, 300)}\n  found    ${other.slice(0, 300)} at ${key}`);
    }
  }
  for (const key of held.keys()) if (!expected.has(key)) differences.push(`extra    ${key}`);
  if (differences.length === 0) return;
  throw new Difference(
    `sink ${sink}: ${differences.length} of ${expected.size} rows differ\n  ${differences.slice(0, 5).join('\n  ')}`,
  );
}

/** No number of the run is beyond what a double holds. */
function canonical(json: string): string {
  return JSON.stringify(JSON.parse(json));
}
