import type { Redis } from 'ioredis';
import { unpackRow } from '../../model/row.ts';
import type { Table } from '../../model/table.ts';
import { ChangeCursor } from '../../model/change.ts';
import { rowJsonEncoder } from '../../model/json.ts';
import { createSinkGroups } from '../../sinks/create-groups.ts';
import type { RedisSinkOptions } from '../../sinks/options.ts';
import { RedisTarget } from '../../sinks/redis/redis-target.ts';
import type { SinkGroup } from '../../sinks/sink-group.ts';
import type { SinkDependencies } from '../../sinks/sink.ts';
import type { Harness } from './harness.ts';

/** A sink of a table of `shop`, with keys `<table>:{*}`. */
export function redisSink(url: string, of: Table, changes: Partial<RedisSinkOptions> = {}): RedisSinkOptions {
  return {
    name: of.name,
    type: 'redis',
    url,
    from: of.topic,
    key: `${of.name}:{*}`,
    format: 'json',
    ttlMs: null,
    maxAtomicRows: 10_000,
    start: 'consistent',
    ...changes,
  };
}

/** Delivery to Redis from a harness's log, which can be stopped and started again. */
export class RedisDelivery {
  readonly groups: SinkGroup[];
  readonly #stop = new AbortController();
  readonly #done: Promise<void>[];

  constructor(harness: Harness, sinks: readonly RedisSinkOptions[], changes: Partial<SinkDependencies> = {}) {
    this.groups = createSinkGroups(sinks, harness.dependencies(changes), { redis: RedisTarget });
    this.#done = this.groups.map(async (group) => group.run(this.#stop.signal));
  }

  get status() {
    return this.groups.flatMap((group) => group.status());
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#done);
  }
}

/** The rows that the log holds of a table, as JSON by the text of their key's columns joined with `:`. */
export async function rowsOf(harness: Harness, of: Table): Promise<Map<string, string>> {
  const rows = new Map<string, string>();
  const record = new ChangeCursor();
  const { seq } = harness.log.frontier('shop');
  for await (const batch of harness.log.rows(of.topic, { upToSeq: seq })) {
    record.reset(batch.bytes);
    while (record.next()) {
      const table = harness.log.table(record.schemaId);
      if (table === undefined || !record.hasAfter) continue;
      const values = unpackRow(record.bytes, record.afterStart, table.columns.length);
      const key = table.key.map((index) => values[index]).join(':');
      rows.set(key, rowJsonEncoder(table).stringify(record.bytes, record.afterStart));
    }
  }
  return rows;
}

/** What Redis holds under a prefix, strings only, by what follows it. */
export async function stringsIn(client: Redis, prefix: string): Promise<Map<string, string>> {
  const keys = (await client.keys(`${prefix}*`)).toSorted();
  const values = keys.length > 0 ? await client.mget(keys) : [];
  return new Map(keys.map((key, index) => [key.slice(prefix.length), values[index] ?? '(no string)']));
}

export interface Record {
  readonly seq: number;
  readonly position: unknown;
  readonly consistent: boolean;
  readonly state: string;
  readonly fingerprint: string;
  readonly next: { readonly seq: number } | null;
}

/** The cursor key of a sink. */
export async function recordOf(client: Redis, sink: string): Promise<Record | null> {
  const text = await client.get(`tidemark:test:${sink}`);
  return text === null ? null : (JSON.parse(text) as Record);
}

/** The rows in the log's order of keys, so that two maps compare. */
export function sorted(rows: ReadonlyMap<string, string>): [string, string][] {
  return [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1));
}
