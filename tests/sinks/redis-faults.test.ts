import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isTidemarkError, messageOf } from '../../base/errors.ts';
import type { TidemarkError } from '../../base/errors.ts';
import type { CheckResult } from '../../model/source.ts';
import { checkRedis } from '../../sinks/redis/check.ts';
import { RedisTarget } from '../../sinks/redis/redis-target.ts';
import type { RedisSinkOptions } from '../../sinks/options.ts';
import { CuttingProxy } from '../servers/cutting-proxy.ts';
import { startRedis } from '../servers/redis.ts';
import { describeRedis } from '../servers/redis-suite.ts';
import { Harness, caughtUp, table, until } from './harness.ts';
import { RedisDelivery, recordOf, redisSink, rowsOf, sorted, stringsIn } from './redis-harness.ts';

const customers = table('customers', { id: 'int8', name: 'text' });

let harness: Harness;
let delivery: RedisDelivery | null = null;
beforeEach(async () => {
  harness = await Harness.create();
});
afterEach(async () => {
  await delivery?.stop();
  delivery = null;
  await harness.close();
});

async function openError(sinks: readonly RedisSinkOptions[], commandMs = 30_000): Promise<TidemarkError> {
  const target = new RedisTarget(sinks, harness.dependencies(), { connectMs: 5_000, commandMs });
  try {
    await target.open();
  } catch (error) {
    if (isTidemarkError(error)) return error;
    throw error;
  } finally {
    await target.close();
  }
  throw new Error('it opened');
}

async function checked(sinks: readonly RedisSinkOptions[]): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for await (const result of checkRedis(sinks, 'test')) results.push(result);
  return results;
}

const failures = (results: readonly CheckResult[]): CheckResult[] => results.filter(({ level }) => level === 'error');

describe.each([
  ['with appendonly, each write synced', 'always', false],
  ['with appendonly, synced each second', 'everysec', false],
  ['without persistence', 'none', false],
  ['whose disk is lost', 'always', true],
] as const)('a Redis %s that is killed', (_title, persistence, isForgotten) => {
  describeRedis('under a sink', { persistence }, (suite) => {
    it('holds what the log holds once it is back', async () => {
      const client = suite.client();
      for (let id = 0; id < 200; id++) harness.feeder.upsert(customers, { id: String(id), name: 'first' });
      harness.feeder.commitConsistent(customers);
      await harness.feeder.durable();
      delivery = new RedisDelivery(harness, [redisSink(suite.url, customers, { maxAtomicRows: 50 })]);
      await caughtUp(delivery.groups, 1);
      for (let round = 1; round <= 3; round++) {
        for (let commit = 0; commit < 40; commit++) {
          const rows = commit % 10 === 0 ? 120 : 3;
          for (let row = 0; row < rows; row++) {
            const id = String((round * 31 + commit * 7 + row * 13) % 200);
            if (row % 5 === 4) harness.feeder.delete(customers, { id });
            else harness.feeder.upsert(customers, { id, name: `${round}.${commit}` });
          }
          harness.feeder.commit();
          await harness.feeder.durable();
          if (commit !== 15 + round) continue;
          await suite.server.kill();
          if (isForgotten) suite.server.forget();
          await suite.server.start();
        }
        // What the server says decides: the status is of what it said last.
        harness.feeder.upsert(customers, { id: '0', name: `end ${round}` }).commit();
        await harness.feeder.durable();
        await until('the sink to be live', async () => {
          const record = await recordOf(client, 'customers');
          return record?.state === 'live' && record.consistent && record.seq === harness.feeder.seq;
        });
        expect(sorted(await stringsIn(client, 'customers:'))).toEqual(sorted(await rowsOf(harness, customers)));
      }
    });
  });
});

describeRedis('a redis sink behind an address that follows the primary', {}, (suite) => {
  it('goes on from what a replica has that lost the last writes', async () => {
    const replica = await startRedis({ settings: [`replicaof 127.0.0.1 ${suite.server.port}`] });
    const proxy = await CuttingProxy.start(suite.server.port);
    const second = new Redis({ port: replica.port, host: '127.0.0.1' });
    try {
      const rows = (version: number, count: number): void => {
        for (let id = 0; id < count; id++) {
          if (id % 4 === version % 4) harness.feeder.delete(customers, { id: String(id) });
          else harness.feeder.upsert(customers, { id: String(id), name: String(version) });
        }
      };
      rows(1, 100);
      harness.feeder.commitConsistent(customers);
      await harness.feeder.durable();
      const sink = redisSink(`redis://127.0.0.1:${proxy.port}`, customers, { maxAtomicRows: 30 });
      delivery = new RedisDelivery(harness, [sink]);
      await caughtUp(delivery.groups, 1);
      await until('the replica to follow', async () => (await recordOf(second, 'customers'))?.seq === 1);
      // From here on the replica hears of nothing, while the primary takes more, and then is gone.
      await second.replicaof('NO', 'ONE');
      for (let version = 2; version < 8; version++) {
        rows(version, version === 5 ? 90 : 10);
        harness.feeder.commit();
      }
      await harness.feeder.durable();
      await caughtUp(delivery.groups, 7);
      await suite.server.kill();
      proxy.target = replica.port;
      await until('the replica to be caught up', async () => {
        const record = await recordOf(second, 'customers');
        return record?.seq === 7 && record.consistent;
      });
      expect(sorted(await stringsIn(second, 'customers:'))).toEqual(sorted(await rowsOf(harness, customers)));
      await until('the error to be over', () => delivery?.status[0]?.error === null);
    } finally {
      await delivery?.stop();
      second.disconnect();
      await proxy.stop();
      await replica.stop();
    }
  });
});

describeRedis('a redis sink', {}, (suite) => {
  beforeEach(async () => {
    const client = suite.client();
    await client.flushall();
    client.disconnect();
  });

  it('notices a server that hangs, stops in spite of it, and goes on when it answers again', async () => {
    const sink = redisSink(suite.url, customers);
    suite.server.pause();
    const error = await openError([sink], 100);
    expect([error.code, error.hint]).toEqual(['SINK_UNREACHABLE', expect.stringContaining('tried again')]);
    suite.server.resume();
    harness.feeder.upsert(customers, { id: '1', name: 'a' }).commitConsistent(customers);
    await harness.feeder.durable();
    delivery = new RedisDelivery(harness, [sink]);
    await caughtUp(delivery.groups, 1);
    suite.server.pause();
    harness.feeder.upsert(customers, { id: '1', name: 'b' }).commit();
    await harness.feeder.durable();
    await delivery.stop();
    suite.server.resume();
    delivery = new RedisDelivery(harness, [sink]);
    await caughtUp(delivery.groups, 2);
    expect(await suite.client().get('customers:1')).toBe('{"id":1,"name":"b"}');
  });

  it('says who does not answer', async () => {
    const gone = await startRedis();
    const { url } = gone;
    await gone.stop();
    const error = await openError([redisSink(url, customers)]);
    expect([error.code, error.message]).toEqual([
      'SINK_UNREACHABLE',
      expect.stringMatching(/127\.0\.0\.1:\d+ .*ECONNREFUSED/),
    ]);
    const [result] = failures(await checked([redisSink(url, customers)]));
    expect([result?.subject, result?.fix]).toEqual(['customers: url', expect.stringContaining('Start it')]);
    expect((await openError([redisSink('redis://no-such-host.invalid', customers)])).code).toBe('SINK_UNREACHABLE');
    expect((await openError([redisSink(`${suite.url}/99`, customers)])).message).toContain(
      'no database of that number',
    );
  });

  it('is well with a server that has all it needs', async () => {
    const results = await checked([
      redisSink(suite.url, customers),
      redisSink(suite.url, customers, { name: 'b', key: 'b:{id}' }),
    ]);
    expect(failures(results)).toEqual([]);
    expect(results.map(({ subject }) => subject)).toEqual([
      'customers, b: url',
      'customers, b: server',
      'customers, b: maxmemory-policy',
      'customers, b: persistence',
      'customers, b: permissions',
      'customers: key',
      'b: key',
    ]);
    expect(await suite.client().keys('*probe*')).toEqual([]);
  });

  it('does not begin on a server that drops rows', async () => {
    const client = suite.client();
    for (const policy of ['allkeys-lru', 'volatile-ttl']) {
      await client.config('SET', 'maxmemory-policy', policy);
      const [result] = failures(await checked([redisSink(suite.url, customers)]));
      expect(result).toMatchObject({
        subject: 'customers: maxmemory-policy',
        fix: expect.stringContaining('noeviction'),
      });
    }
    await client.config('SET', 'maxmemory-policy', 'allkeys-lfu');
    const error = await openError([redisSink(suite.url, customers)]);
    await client.config('SET', 'maxmemory-policy', 'noeviction');
    expect([error.code, error.message]).toEqual(['SINK_SETTING', expect.stringContaining('allkeys-lfu')]);
  });

  it('waits while the server has no memory left, and goes on', async () => {
    const client = suite.client();
    harness.feeder.upsert(customers, { id: '1', name: 'a' }).commitConsistent(customers);
    await harness.feeder.durable();
    delivery = new RedisDelivery(harness, [redisSink(suite.url, customers, { key: 'm:{id}' })]);
    await caughtUp(delivery.groups, 1);
    await client.config('SET', 'maxmemory', '1');
    harness.feeder.upsert(customers, { id: '1', name: 'b' }).commit();
    await harness.feeder.durable();
    await until('the refusal', () => delivery?.status[0]?.error?.message.includes('no memory left') === true);
    await client.config('SET', 'maxmemory', '0');
    await caughtUp(delivery.groups, 2);
    expect(await client.get('m:1')).toBe('{"id":1,"name":"b"}');
  });
});

/** What docs/redis.md says that the user needs. */
const page = readFileSync(join(import.meta.dirname, '../../docs/redis.md'), 'utf8');
const leastCommands = (/^ACL SETUSER tidemark .*$/m.exec(page)?.[0] ?? '')
  .split(' ')
  .filter((part) => part.startsWith('+'));
const leastKeys = '~tidemark:test* ~customers:*';

describeRedis('a redis sink with a password', { settings: ['requirepass s3cret/!'] }, (suite) => {
  const at = (login: string): string => suite.url.replace('redis://', `redis://${login}`);
  let admin: Redis;
  beforeEach(() => {
    admin = suite.client('s3cret/!');
  });

  it('says what is wrong with user and password', async () => {
    for (const login of ['', ':wrong@', 'nobody:s3cret@']) {
      const error = await openError([redisSink(at(login), customers)]);
      expect([login, error.code, error.hint]).toEqual([
        login,
        'SINK_AUTH',
        expect.stringContaining('redis://user:password@'),
      ]);
      expect(`${error.message}${messageOf(error.cause)}`).not.toMatch(/s3cret|:wrong/);
      const [result] = failures(await checked([redisSink(at(login), customers)]));
      expect([login, result?.fix]).toEqual([login, expect.stringContaining('redis://user:password@')]);
    }
    expect(failures(await checked([redisSink(at(`:${encodeURIComponent('s3cret/!')}@`), customers)]))).toEqual([]);
  });

  it('runs as a user who may do no more than the documentation says', async () => {
    await admin.call('ACL', ['SETUSER', 'tidemark', 'reset', 'on', '>pw', ...leastKeys.split(' '), ...leastCommands]);
    const sinks = [redisSink(at('tidemark:pw@'), customers, { maxAtomicRows: 5 })];
    expect(failures(await checked(sinks))).toEqual([]);
    for (let id = 0; id < 20; id++) harness.feeder.upsert(customers, { id: String(id), name: 'a' });
    harness.feeder.commitConsistent(customers);
    await harness.feeder.durable();
    delivery = new RedisDelivery(harness, sinks);
    await caughtUp(delivery.groups, 1);
    for (let id = 0; id < 15; id++) harness.feeder.delete(customers, { id: String(id) });
    harness.feeder.commit();
    await harness.feeder.durable();
    await caughtUp(delivery.groups, 2);
    expect((await admin.keys('customers:*')).length).toBe(5);
    await delivery.stop();
    delivery = new RedisDelivery(
      harness,
      sinks.map((sink) => ({ ...sink, format: 'hash', ttlMs: 100_000 })),
    );
    await until('hashes', async () => (await admin.type('customers:19')) === 'hash');
    expect(delivery.status[0]?.error ?? null).toBe(null);
  });

  it.each(leastCommands.filter((command) => !/info|eval$|[+]mget|hgetall|type|select|[+]scan$/.test(command)))(
    'says before it writes that the user lacks %s',
    async (command) => {
      const commands = leastCommands.filter((other) => other !== command);
      await admin.call('ACL', ['SETUSER', 'tidemark', 'reset', 'on', '>pw', ...leastKeys.split(' '), ...commands]);
      const sinks = [redisSink(at('tidemark:pw@'), customers, { key: 'customers:{*}' })];
      const error = await openError(sinks);
      expect([error.code, error.hint]).toEqual(['SINK_PRIVILEGE', expect.stringContaining('ACL SETUSER')]);
      const [result] = failures(await checked(sinks));
      expect(result).toMatchObject({ subject: 'customers: permissions', fix: expect.stringContaining('ACL SETUSER') });
    },
  );

  it('says before it writes that keys are out of the user’s reach', async () => {
    await admin.call('ACL', [
      'SETUSER',
      'tidemark',
      'reset',
      'on',
      '>pw',
      '~tidemark:test*',
      '~other:*',
      ...leastCommands,
    ]);
    const error = await openError([redisSink(at('tidemark:pw@'), customers)]);
    expect(error.code).toBe('SINK_PRIVILEGE');
  });
});

describeRedis('a redis sink on the wrong kind of server', { settings: ['cluster-enabled yes'] }, (suite) => {
  it('refuses a node of a cluster, and says so', async () => {
    const error = await openError([redisSink(suite.url, customers)]);
    expect([error.code, error.message]).toEqual(['SINK_SETTING', expect.stringContaining('Cluster')]);
    const [result] = failures(await checked([redisSink(suite.url, customers)]));
    expect(result).toMatchObject({ subject: 'customers: server', fix: expect.stringContaining('not clustered') });
  });

  it('refuses a replica, and says so', async () => {
    const primary = await startRedis();
    const replica = await startRedis({ settings: [`replicaof 127.0.0.1 ${primary.port}`] });
    try {
      const error = await openError([redisSink(replica.url, customers)]);
      expect([error.code, error.hint]).toEqual(['SINK_SETTING', expect.stringContaining('primary')]);
      const [result] = failures(await checked([redisSink(replica.url, customers)]));
      expect(result).toMatchObject({ subject: 'customers: server', fix: expect.stringContaining('primary') });
    } finally {
      await replica.stop();
      await primary.stop();
    }
  });
});
