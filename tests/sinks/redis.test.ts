import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isTidemarkError } from '../../base/errors.ts';
import type { Table } from '../../model/table.ts';
import type { RedisSinkOptions } from '../../sinks/options.ts';
import { RedisTarget } from '../../sinks/redis/redis-target.ts';
import { describeRedis } from '../servers/redis-suite.ts';
import { Harness, caughtUp, table, until } from './harness.ts';
import { RedisDelivery, recordOf, redisSink, rowsOf, sorted, stringsIn } from './redis-harness.ts';

const customers = table('customers', { id: 'int8', name: 'text', balance: 'numeric' });
const lines = table('lines', { shop: 'text', number: 'int4', at: 'timestamptz', paid: 'bool' }, [0, 1, 2]);

describeRedis('a redis sink', {}, (suite) => {
  let harness: Harness;
  let client: Redis;
  let delivery: RedisDelivery | null = null;

  beforeEach(async () => {
    harness = await Harness.create();
    client = suite.client();
    await client.flushall();
  });
  afterEach(async () => {
    await delivery?.stop();
    delivery = null;
    await harness.close();
    client.disconnect();
  });

  const run = (...sinks: readonly RedisSinkOptions[]): RedisDelivery => {
    delivery = new RedisDelivery(harness, sinks);
    return delivery;
  };
  const caught = async (): Promise<void> => {
    await harness.feeder.durable();
    await caughtUp(delivery?.groups ?? [], harness.feeder.seq);
  };

  it('holds the rows as JSON, with all digits, and says where they stand', async () => {
    harness.feeder.upsert(customers, { id: '1', name: 'Ada "C"', balance: '9007199254740993.10' });
    harness.feeder.upsert(customers, { id: '2', name: null, balance: null });
    harness.feeder.commitConsistent(customers);
    run(redisSink(suite.url, customers));
    await caught();
    expect(await client.get('customers:1')).toBe('{"id":1,"name":"Ada \\"C\\"","balance":9007199254740993.10}');
    expect(await client.get('customers:2')).toBe('{"id":2,"name":null,"balance":null}');
    const first = { seq: 1, position: '0/10', consistent: true, state: 'live' };
    expect(await recordOf(client, 'customers')).toMatchObject(first);
    harness.feeder.delete(customers, { id: '1' });
    harness.feeder.upsert(customers, { id: '2', name: 'Grace', balance: '1' }, 'update');
    harness.feeder.commit();
    await caught();
    expect(sorted(await stringsIn(client, 'customers:'))).toEqual([['2', '{"id":2,"name":"Grace","balance":1}']]);
    expect(await recordOf(client, 'customers')).toMatchObject({ seq: 2, position: '0/20', consistent: true });
  });

  it('holds the rows as hashes, without the fields that are NULL, and none of an older row', async () => {
    harness.feeder.upsert(customers, { id: '1', name: 'Ada', balance: '12.50' }).commitConsistent(customers);
    run(redisSink(suite.url, customers, { format: 'hash' }));
    await caught();
    expect(await client.hgetall('customers:1')).toEqual({ id: '1', name: 'Ada', balance: '12.50' });
    harness.feeder.upsert(customers, { id: '1', name: null, balance: 'NaN' }, 'update').commit();
    await caught();
    expect(await client.hgetall('customers:1')).toEqual({ id: '1', balance: 'NaN' });
    harness.feeder.delete(customers, { id: '1' }).commit();
    await caught();
    expect(await client.exists('customers:1')).toBe(0);
  });

  it('keeps rows apart whose keys have the same signs in other places', async () => {
    const rows = ['a:b', 'a', 'a%3Ab', 'a%', 'ä', '{x}', '', ' *?[', 'a-b'].flatMap((shop) => [
      { shop, number: '1', at: '2026-01-02 03:04:05+00', paid: 't' },
      { shop: `${shop}:1`, number: '-1', at: 'infinity', paid: 'f' },
    ]);
    for (const row of rows) harness.feeder.upsert(lines, row);
    harness.feeder.commitConsistent(lines);
    run(
      redisSink(suite.url, lines, { name: 'a', key: 'x:{*}' }),
      redisSink(suite.url, lines, { name: 'b', key: 'y-{number}-{shop}/{at}:line', format: 'hash' }),
    );
    await caught();
    expect((await client.keys('x:*')).length).toBe(rows.length);
    expect((await client.keys('y-*:line')).length).toBe(rows.length);
    expect(await client.get('x:a%3Ab:1:2026-01-02T03%3A04%3A05+00%3A00')).toContain('"shop":"a:b"');
    expect(await client.hget('y-1-a-b/2026-01-02T03%3A04%3A05+00%3A00:line', 'shop')).toBe('a-b');
    for (const row of rows) harness.feeder.delete(lines, row);
    harness.feeder.commit();
    await caught();
    expect((await client.keys('[xy]*')).length).toBe(0);
  });

  it('writes only the columns chosen, by the names chosen, and numbers in quotes where a double would round them', async () => {
    const row = { id: '9007199254740993', name: 'Ada', balance: '1.5' };
    harness.feeder.upsert(customers, row).commitConsistent(customers);
    const columns = { balance: 'balance', key: 'id' };
    run(redisSink(suite.url, customers, { key: 'c:{key}', columns, numbers: 'string' }));
    await caught();
    expect(await client.get('c:9007199254740993')).toBe('{"balance":1.5,"key":"9007199254740993"}');
  });

  it('lets rows expire that were not written again', async () => {
    harness.feeder.upsert(customers, { id: '1' }).upsert(customers, { id: '2' }).commitConsistent(customers);
    run(
      redisSink(suite.url, customers, { ttlMs: 60_000 }),
      redisSink(suite.url, customers, { name: 'other', key: 'hash:{id}', format: 'hash', ttlMs: 3_000_000 }),
    );
    await caught();
    expect(await client.pttl('customers:1')).toBeGreaterThan(0);
    expect(await client.pttl('customers:1')).toBeLessThanOrEqual(60_000);
    expect(await client.pttl('hash:2')).toBeGreaterThan(60_000);
    expect(await client.pttl('tidemark:test:customers')).toBe(-1);
    await client.persist('customers:1');
    harness.feeder.upsert(customers, { id: '1', name: 'Ada' }).commit();
    await caught();
    expect(await client.pttl('customers:1')).toBeGreaterThan(0);
  });

  it('sets a row aside that has no JSON, and writes the others', async () => {
    harness.feeder.upsert(customers, { id: '1', name: 'Ada' });
    harness.feeder.upsertPacked(customers, { id: '2' }, ['2', Buffer.from([0x61, 0xff]), null]);
    harness.feeder.upsert(customers, { id: '3', name: 'Grace' });
    harness.feeder.commitConsistent(customers);
    const { status, groups } = run(
      redisSink(suite.url, customers),
      redisSink(suite.url, customers, { name: 'hashes', key: 'h:{id}', format: 'hash' }),
    );
    expect(status.length).toBe(2);
    await caught();
    expect((await client.keys('customers:*')).toSorted()).toEqual(['customers:1', 'customers:3']);
    expect((await client.keys('h:*')).toSorted()).toEqual(['h:1', 'h:3']);
    expect(groups.flatMap((group) => group.status().map(({ deadLetters }) => deadLetters))).toEqual([1, 1]);
  });

  it('shows rows as they come with start: eager, and says when they are all there', async () => {
    harness.feeder.upsert(customers, { id: '1' }).commit(undefined, true);
    run(redisSink(suite.url, customers, { start: 'eager' }));
    await caught();
    expect(await client.exists('customers:1')).toBe(1);
    expect(await recordOf(client, 'customers')).toMatchObject({ seq: 1, consistent: false });
    harness.feeder.upsert(customers, { id: '2' }).commitConsistent(customers);
    await caught();
    expect(await recordOf(client, 'customers')).toMatchObject({ seq: 2, consistent: true });
  });

  it('fills in a new sink at once, and says that it is not consistent until it is', async () => {
    harness.feeder.upsert(customers, { id: '1' }).commit(undefined, true);
    await harness.feeder.durable();
    run(redisSink(suite.url, customers));
    await until('the first row', async () => (await client.exists('customers:1')) === 1);
    expect(await recordOf(client, 'customers')).toMatchObject({ consistent: false, state: 'filling' });
    harness.feeder.upsert(customers, { id: '2' }).commitConsistent(customers);
    await caught();
    expect(await recordOf(client, 'customers')).toMatchObject({ seq: 2, consistent: true, state: 'live' });
  });

  it('goes on after a restart where it was, in another database too', async () => {
    const url = `${suite.url}/3`;
    harness.feeder.upsert(customers, { id: '1' }).commitConsistent(customers);
    run(redisSink(url, customers));
    await caught();
    await delivery?.stop();
    harness.feeder.upsert(customers, { id: '2', name: 'Zoë' }).delete(customers, { id: '1' }).commit();
    run(redisSink(url, customers));
    await caught();
    expect(await client.dbsize()).toBe(0);
    await client.select(3);
    expect(sorted(await stringsIn(client, 'customers:'))).toEqual(sorted(await rowsOf(harness, customers)));
  });

  it.each<[string, Table, string, string, RegExp]>([
    ['without all columns of the key', lines, 'x:{shop}', 'SINK_TARGET', /leaves out 'number', 'at'/],
    ['with a column that is not of the key', customers, 'x:{id}:{name}', 'SINK_TARGET', /names 'name'/],
    ['without a key', table('events', { id: 'int8' }, []), 'x:{id}', 'SINK_TARGET', /has no key/],
  ])('stops for a template or table %s, and says what to write', async (_what, of, key, code, message) => {
    harness.feeder.upsert(of, { id: '1', shop: 's', number: '1' }).commitConsistent(of);
    await harness.feeder.durable();
    const { groups } = run(redisSink(suite.url, of, { key }));
    await until('the error', () => (groups[0]?.status()[0]?.error ?? null) !== null);
    const error = groups[0]?.status()[0]?.error;
    expect(error?.code).toBe(code);
    expect(error?.message).toMatch(message);
    expect(error?.hint).toBeTruthy();
    expect(harness.events.filter(({ type }) => type === 'sink.retrying')).toEqual([]);
  });
});

it.each<[string[], RegExp]>([
  [['c:{id}:x', 'c:{*}'], /could write the same key/],
  [['c:{id}', 'c:{id}'], /could write the same key/],
  [['c-{a}', 'c-{a}-{b}'], /could write the same key/],
  [['c{a}', '{a}'], /could write the same key/],
  [['tidemark:{id}'], /the program's own/],
  [['{a}:{b}'], /the program's own/],
  [['c:{a}{b}'], /a sign between/],
  [['c:{a}x{b}'], /begins with a sign/],
  [['c:{a'], /braces/],
  [['c'], /share one key/],
])('refuses the templates %j, under which rows could get in each other’s way', async (keys, message) => {
  const harness = await Harness.create();
  try {
    const sinks = keys.map((key, index) => redisSink('redis://127.0.0.1', customers, { name: `s${index}`, key }));
    const make = (): unknown => new RedisTarget(sinks, harness.dependencies());
    expect(make).toThrow(message);
    expect(make).toThrow(expect.toSatisfy((error) => isTidemarkError(error, 'CONFIG_INVALID')));
  } finally {
    await harness.close();
  }
});

it.each<[string[]]>([
  [['customers:{id}', 'customers:{id}:orders', '{id}', 'customers-{id}:']],
  [['c:{a}:{b}', 'c:{a}', 'd:{a}-{b}:x']],
])('takes the templates %j, whose keys cannot be the same', async (keys) => {
  const harness = await Harness.create();
  try {
    const sinks = keys.map((key, index) => redisSink('redis://127.0.0.1', customers, { name: `s${index}`, key }));
    expect(new RedisTarget(sinks, harness.dependencies()).type).toBe('redis');
  } finally {
    await harness.close();
  }
});
