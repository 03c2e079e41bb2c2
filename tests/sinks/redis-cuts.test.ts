import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { present } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';
import { CuttingProxy } from '../servers/cutting-proxy.ts';
import { describeRedis } from '../servers/redis-suite.ts';
import { Harness, caughtUp, table, until } from './harness.ts';
import { RedisDelivery, recordOf, redisSink, rowsOf } from './redis-harness.ts';
import type { Record } from './redis-harness.ts';

const accounts = table('accounts', { id: 'int8', version: 'int4' });
const notes = table('notes', { id: 'int8', version: 'int4' });
/** Failures are followed by the next attempt at once. */
const hasty = {
  ...systemClock,
  sleep: async (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 2), signal),
};

/** Rows and the records of all sinks, in one step. */
const everything = `
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  if redis.call('TYPE', key).ok == 'string' then found[#found + 1] = key; found[#found + 1] = redis.call('GET', key) end
end
return found`;

describeRedis('a connection to Redis that breaks at any moment', {}, (suite) => {
  let harness: Harness;
  let client: Redis;
  /** By commit, what the log held of each table. */
  let states: Map<string, string>[];
  const versions = new Map<string, number>();
  /** Looks at which a record said that rows and position do not fit each other. */
  let torn = 0;

  beforeEach(async () => {
    harness = await Harness.create();
    client = new Redis({ port: suite.server.port, host: '127.0.0.1' });
    states = [new Map()];
    versions.clear();
  });
  afterEach(async () => {
    client.disconnect();
    await harness.close();
  });

  /** Commits, and remembers what the tables hold from there on. */
  const commit = async (): Promise<void> => {
    harness.feeder.commitConsistent(accounts, notes);
    await harness.feeder.durable();
    const state = new Map<string, string>();
    for (const of of [accounts, notes])
      for (const [key, row] of await rowsOf(harness, of)) state.set(`${of.name}:${key}`, row);
    states.push(state);
  };
  const put = (from: number, to: number, version: number): void => {
    for (let id = from; id < to; id++) harness.feeder.upsert(accounts, { id: String(id), version: String(version) });
  };

  /** What readers see is a commit where the record says so, and no row is older than it was before. */
  const judge = async (): Promise<void> => {
    const reply = (await client.eval(everything, 0)) as string[];
    const found = new Map(
      Array.from({ length: reply.length / 2 }, (_, index) => [reply[2 * index] ?? '', reply[2 * index + 1] ?? '']),
    );
    for (const [key, row] of found) {
      if (key.startsWith('tidemark:')) continue;
      const { version } = JSON.parse(row) as { version: number };
      expect([key, version]).toEqual([key, Math.max(version, versions.get(key) ?? 0)]);
      versions.set(key, version);
    }
    for (const sink of ['accounts', 'notes']) {
      const text = found.get(`tidemark:test:${sink}`);
      const record = text === undefined ? null : (JSON.parse(text) as Record);
      if (record?.consistent === false) torn++;
      if (record?.consistent !== true) continue;
      const own = (rows: ReadonlyMap<string, string>): [string, string][] =>
        [...rows].filter(([key]) => key.startsWith(`${sink}:`)).toSorted(([a], [b]) => (a < b ? -1 : 1));
      expect([sink, record.seq, own(found)]).toEqual([sink, record.seq, own(present(states[record.seq], 'a state'))]);
    }
  };

  /** Runs the work with the connection cut at its first request, then at its second, … until it ends before the cut. */
  const atEveryCut = async (work: (url: string) => Promise<void>, prepare: () => Promise<void>): Promise<number> => {
    for (let cut = 1; ; cut++) {
      const proxy = await CuttingProxy.start(suite.server.port);
      try {
        await client.flushall();
        versions.clear();
        await prepare();
        proxy.cutAt = cut;
        proxy.cutAfter = cut % 2 === 0;
        let failure: unknown = null;
        proxy.onCut = async () =>
          judge().catch((error: unknown) => {
            failure = error;
          });
        await work(`redis://127.0.0.1:${proxy.port}`);
        await judge();
        if (failure !== null) throw new Error(`at request ${cut}`, { cause: failure });
        if (proxy.writes < cut) return cut;
      } finally {
        await proxy.stop();
      }
    }
  };
  const isLive = async (): Promise<boolean> => (await recordOf(client, 'accounts'))?.state === 'live';
  const deliver = async (url: string, changes: Parameters<typeof redisSink>[2] = {}): Promise<void> => {
    const sinks = [
      redisSink(url, accounts, { maxAtomicRows: 10, ...changes }),
      redisSink(url, notes, { maxAtomicRows: changes.maxAtomicRows ?? 10 }),
    ];
    const delivery = new RedisDelivery(harness, sinks, { clock: hasty });
    try {
      await caughtUp(delivery.groups, states.length - 1);
      if (changes?.ttlMs)
        await until('the new state', async () => (await client.pttl('accounts:6')) > 0 && (await isLive()));
    } finally {
      await delivery.stop();
    }
  };

  it('never shows half a transaction, nor an older row: commits larger than one step', async () => {
    put(0, 15, 1);
    harness.feeder.upsert(notes, { id: '1', version: '1' });
    await commit();
    const cuts = await atEveryCut(deliver, async () => {
      if (states.length > 2) return;
      put(5, 30, 2);
      for (let id = 0; id < 5; id++) harness.feeder.delete(accounts, { id: String(id) });
      harness.feeder.upsert(notes, { id: '1', version: '2' });
      await commit();
      put(10, 12, 3);
      await commit();
    });
    expect(cuts).toBeGreaterThan(5);
  });

  it('never shows half a transaction, nor an older row: what came while it was away', async () => {
    put(0, 15, 1);
    await commit();
    let round = 1;
    const cuts = await atEveryCut(deliver, async () => {
      await deliver(suite.url);
      await judge();
      round += 10;
      put(5, 30, round);
      for (let id = 0; id < 5; id++) harness.feeder.delete(accounts, { id: String(id) });
      harness.feeder.upsert(notes, { id: '1', version: String(round) });
      await commit();
      put(0, 12, round + 1);
      await commit();
    });
    expect(cuts).toBeGreaterThan(6);
  });

  it.each([
    ['larger than one step', 10],
    ['that one step can change', 10_000],
  ])('never shows half a state, nor an older row: a sink %s, built anew', async (_size, maxAtomicRows) => {
    put(0, 15, 1);
    for (let id = 40; id < 60; id++) harness.feeder.upsert(notes, { id: String(id), version: '1' });
    await commit();
    put(5, 30, 2);
    await commit();
    put(20, 22, 3);
    await commit();
    torn = 0;
    const cuts = await atEveryCut(
      async (url) => deliver(url, { ttlMs: 1_000_000, maxAtomicRows }),
      async () => deliver(suite.url),
    );
    expect(cuts).toBeGreaterThan(7);
    if (maxAtomicRows > 10) expect(torn).toBe(0);
    else expect(torn).toBeGreaterThan(0);
    expect(await client.pttl('accounts:6')).toBeGreaterThan(0);
  });
});
