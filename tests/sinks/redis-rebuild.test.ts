import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RedisSinkOptions } from '../../sinks/options.ts';
import { describeRedis } from '../servers/redis-suite.ts';
import { Harness, caughtUp, table, until } from './harness.ts';
import { RedisDelivery, recordOf, redisSink, rowsOf, sorted, stringsIn } from './redis-harness.ts';

const customers = table('customers', { id: 'int8', name: 'text' });

describeRedis('a redis sink that is built anew', {}, (suite) => {
  let harness: Harness;
  let client: Redis;
  let delivery: RedisDelivery | null = null;

  beforeEach(async () => {
    harness = await Harness.create();
    client = suite.client();
    await client.flushall();
    for (let id = 1; id <= 30; id++) harness.feeder.upsert(customers, { id: String(id), name: `n${id}` });
    harness.feeder.commitConsistent(customers);
    await harness.feeder.durable();
  });
  afterEach(async () => {
    await delivery?.stop();
    delivery = null;
    await harness.close();
    client.disconnect();
  });

  const run = async (...sinks: readonly RedisSinkOptions[]): Promise<RedisDelivery> => {
    await delivery?.stop();
    delivery = new RedisDelivery(harness, sinks);
    return delivery;
  };
  const caught = async (): Promise<void> => {
    await harness.feeder.durable();
    await caughtUp(delivery?.groups ?? [], harness.feeder.seq);
  };
  const isLive = async (sink = 'customers'): Promise<boolean> => {
    const record = await recordOf(client, sink);
    return record?.state === 'live' && record.consistent && record.seq === harness.feeder.seq;
  };
  const equal = async (prefix = 'customers:'): Promise<void> => {
    expect(sorted(await stringsIn(client, prefix))).toEqual(sorted(await rowsOf(harness, customers)));
  };
  const retried = (): string[] =>
    harness.events.flatMap((event) =>
      event.type === 'sink.retrying' ? [`${event.error.code} ${event.error.message}`] : [],
    );

  it('is filled in again after FLUSHALL, which the next commit notices', async () => {
    await run(
      redisSink(suite.url, customers),
      redisSink(suite.url, customers, { name: 'hashes', key: 'h:{id}', format: 'hash' }),
    );
    await caught();
    await client.flushall();
    harness.feeder.upsert(customers, { id: '1', name: 'new' }).commit();
    await harness.feeder.durable();
    await until('both to be live', async () => (await isLive()) && (await isLive('hashes')));
    await equal();
    expect(await client.hget('h:30', 'name')).toBe('n30');
    expect(retried().every((error) => /has lost what was written/.test(error))).toBe(true);
  });

  it('is filled in again after FLUSHALL and after a restart, though nothing happens at its source', async () => {
    await run(redisSink(suite.url, customers));
    await caught();
    await client.flushall();
    await until('the rows', async () => (await client.exists('customers:30')) === 1 && (await isLive()));
    await equal();
    await suite.server.kill();
    await suite.server.start();
    await until('the rows', async () => (await client.exists('customers:30')) === 1 && (await isLive()));
    await equal();
  });

  it('is written again, and rid of what is not in the log, when somebody removes its cursor', async () => {
    await run(redisSink(suite.url, customers));
    await caught();
    await client.del('tidemark:test:customers');
    await client.mset('customers:1', 'altered', 'customers:77', 'extra');
    harness.feeder.delete(customers, { id: '2' }).commit();
    await harness.feeder.durable();
    await until('the sink to be live', async () => isLive());
    await equal();
  });

  it('removes the keys of the template that it had, and no others', async () => {
    const own = redisSink(suite.url, customers, { key: 'customers:{id}' });
    const other = redisSink(suite.url, customers, { name: 'other', key: 'customers:{id}:x' });
    await run(own, other);
    await caught();
    const foreign = { 'customers:list': '1', 'customers:1:orders': '2', customers: '3', 'customers:': '4', 'x:5': '5' };
    await client.mset(foreign);
    await run({ ...own, key: 'c:{id}' }, other);
    await until('the new keys', async () => (await client.exists('c:30')) === 1 && (await isLive()));
    await equal('c:');
    const left = (await client.keys('customers*')).filter((key) => !key.endsWith(':x'));
    expect(left.toSorted()).toEqual(
      Object.keys(foreign)
        .filter((key) => !key.startsWith('x'))
        .toSorted(),
    );
    expect((await client.keys('customers:*:x')).length).toBe(30);
    await run({ ...own, ttlMs: 900_000, key: 'c:{id}' }, other);
    await until('the rows to expire some day', async () => (await client.pttl('c:30')) > 0 && (await isLive()));
    expect(await client.exists(...Object.keys(foreign))).toBe(5);
  });

  it('exchanges keys with another sink without losing rows', async () => {
    const name = (one: string, key: string): RedisSinkOptions => redisSink(suite.url, customers, { name: one, key });
    await run(name('a', 'x:{id}'), name('b', 'y:{id}'));
    await caught();
    await run(name('a', 'y:{id}'), name('b', 'x:{id}'));
    const key = async (sink: string): Promise<string> =>
      JSON.parse((await client.get(`tidemark:test:${sink}`)) ?? '{}').key;
    await until(
      'both',
      async () =>
        (await isLive('a')) && (await isLive('b')) && (await key('a')) === 'y:{id}' && (await key('b')) === 'x:{id}',
    );
    await equal('x:');
    await equal('y:');
  });

  it('goes on with its keys under another name, without the cursor of the old one', async () => {
    await run(redisSink(suite.url, customers, { name: 'before' }));
    await caught();
    await client.set('customers:99', 'stale');
    await run(redisSink(suite.url, customers, { name: 'after' }));
    await until('the new name', async () => isLive('after'));
    await equal();
    expect(await client.exists('tidemark:test:before')).toBe(0);
  });

  it('leaves keys alone that were there before it, and says how to go on', async () => {
    await client.set('customers:5', 'somebody else’s');
    const { groups } = await run(redisSink(suite.url, customers));
    await until('the refusal', () => groups[0]?.status()[0]?.error?.code === 'SINK_TARGET');
    const error = groups[0]?.status()[0]?.error;
    expect(error?.message).toContain('such as customers:5');
    expect(error?.hint).toContain("--pattern 'customers:*'");
    expect(await client.keys('customers:*')).toEqual(['customers:5']);
    await client.del('customers:5');
    await until('the start', async () => isLive());
    await equal();
  });

  it('writes rows of before again when columns come, go or are renamed', async () => {
    await run(redisSink(suite.url, customers));
    await caught();
    const changed = table('customers', { id: 'int8', full_name: 'text', age: 'int4' }, [0], [1, 2, 3]);
    harness.feeder.upsert(changed, { id: '1', full_name: 'Ada', age: '36' }).commit();
    await harness.feeder.durable();
    await until(
      'the new columns',
      async () => (await client.get('customers:2')) === '{"id":2,"full_name":"n2","age":null}',
    );
    await until('the sink to be live', async () => isLive());
    expect(await client.get('customers:1')).toBe('{"id":1,"full_name":"Ada","age":36}');
    expect((await client.keys('customers:*')).length).toBe(30);
    expect(retried()).toEqual(["SINK_FAILED The columns of sink 'customers' changed"]);
    const dropped = table('customers', { id: 'int8', age: 'int4' }, [0], [1, 3]);
    harness.feeder.upsert(dropped, { id: '2', age: '7' }).commit();
    await harness.feeder.durable();
    await until('the column to be gone', async () => (await client.get('customers:3')) === '{"id":3,"age":null}');
    await until('the sink to be live', async () => isLive());
    expect(await client.get('customers:1')).toBe('{"id":1,"age":36}');
  });

  it('catches up beside a sink that is there already, and goes on with it from then on', async () => {
    const first = redisSink(suite.url, customers);
    await run(first);
    await caught();
    harness.feeder.upsert(customers, { id: '1', name: 'second' }).commit();
    const added = redisSink(suite.url, customers, { name: 'added', key: 'added:{id}' });
    await run(first, added);
    await until('both', async () => (await isLive()) && (await isLive('added')));
    harness.feeder.upsert(customers, { id: '1', name: 'third' }).delete(customers, { id: '2' }).commit();
    await caught();
    await equal();
    await equal('added:');
  });

  it('is shown together with what the same commit brings to other sinks', async () => {
    const orders = table('orders', { id: 'int8', name: 'text' });
    harness.feeder.upsert(orders, { id: '1', name: 'one' }).commitConsistent(orders);
    await run(redisSink(suite.url, customers), redisSink(suite.url, orders));
    await caught();
    // The table is being read again: the sink that begins anew cannot be shown before that is done.
    harness.feeder.commit({ [`consistent:${orders.topic}`]: null });
    await harness.feeder.durable();
    await run(redisSink(suite.url, customers), redisSink(suite.url, orders, { ttlMs: 1_000_000 }));
    const seqOf = async (sink: string): Promise<number> => (await recordOf(client, sink))?.next?.seq ?? 0;
    for (let round = 0; round < 3; round++) {
      harness.feeder.upsert(customers, { id: '1', name: `round ${round}` }).commit();
      await harness.feeder.durable();
      await until('the copy to follow', async () => (await seqOf('orders')) === harness.feeder.seq && (await isLive()));
    }
    harness.feeder.upsert(customers, { id: '1', name: 'together' }).upsert(orders, { id: '2', name: 'two' });
    harness.feeder.commitConsistent(orders);
    await harness.feeder.durable();
    await until('both', async () => (await isLive()) && (await isLive('orders')));
    expect(await client.get('customers:1')).toBe('{"id":1,"name":"together"}');
    expect(await client.mget('orders:1', 'orders:2')).toEqual(['{"id":1,"name":"one"}', '{"id":2,"name":"two"}']);
  });

  it('takes the table over from another writer, which stops', async () => {
    await run(redisSink(suite.url, customers));
    await caught();
    const second = new RedisDelivery(harness, [redisSink(suite.url, customers)]);
    try {
      await caughtUp(second.groups, harness.feeder.seq);
      harness.feeder.upsert(customers, { id: '1', name: 'second' }).commit();
      await harness.feeder.durable();
      await caughtUp(second.groups, harness.feeder.seq);
      await until('the first to be fenced', () => delivery?.status[0]?.error?.code === 'SINK_FENCED');
      await equal();
      expect(second.status[0]?.error).toBe(null);
    } finally {
      await second.stop();
    }
  });

  it('changes nothing when the whole log is read again', async () => {
    for (let round = 0; round < 20; round++) {
      harness.feeder
        .upsert(customers, { id: String(round), name: `r${round}` })
        .delete(customers, { id: String(30 - round) })
        .commit();
    }
    await run(redisSink(suite.url, customers));
    await caught();
    const before = await stringsIn(client, 'customers:');
    await delivery?.stop();
    const held = JSON.parse((await client.get('tidemark:test:customers')) ?? '') as { fingerprint: string };
    await client.set('tidemark:test:customers', JSON.stringify({ ...held, fingerprint: 'another' }));
    await run(redisSink(suite.url, customers));
    await until(
      'the sink to be live',
      async () => (await recordOf(client, 'customers'))?.fingerprint === held.fingerprint && (await isLive()),
    );
    expect(await stringsIn(client, 'customers:')).toEqual(before);
    expect(await client.keys('*#next')).toEqual([]);
  });
});
