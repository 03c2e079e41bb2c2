import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { present } from '../../base/assert.ts';
import { ChangeCursor } from '../../model/change.ts';
import { ChangeSet } from '../../sinks/change-set.ts';
import { RedisTarget } from '../../sinks/redis/redis-target.ts';
import { describeRedis } from '../servers/redis-suite.ts';
import { Harness, caughtUp, table } from './harness.ts';
import { RedisDelivery, redisSink, rowsOf, sorted, stringsIn } from './redis-harness.ts';

const customers = table('customers', {
  id: 'int8',
  name: 'text',
  at: 'timestamptz',
  tags: { kind: 'array', element: { kind: 'scalar', name: 'text' }, delimiter: ',' },
});

describeRedis('what a redis sink holds, read back', {}, (suite) => {
  let harness: Harness;
  let client: Redis;

  beforeEach(async () => {
    harness = await Harness.create();
    client = suite.client();
    await client.flushall();
  });
  afterEach(async () => {
    await harness.close();
    client.disconnect();
  });

  it.each(['json', 'hash'] as const)('is what its rows say, and is mended where it is not: %s', async (format) => {
    const rows = 2_500;
    for (let id = 0; id < rows; id++) {
      const name = id % 7 === 0 ? null : `näme "${id}"`;
      harness.feeder.upsert(customers, { id: String(id), name, at: '2026-11-21 10:00:00.5+00', tags: `{a,"${id}"}` });
    }
    harness.feeder.commitConsistent(customers);
    await harness.feeder.durable();
    const sink = redisSink(suite.url, customers, { format });
    const delivery = new RedisDelivery(harness, [sink]);
    await caughtUp(delivery.groups, 1);
    await delivery.stop();
    await client.mset('customers:1:x', 'of somebody else', 'customers:list', '2');
    const target = new RedisTarget([sink], harness.dependencies());
    try {
      const states = await target.open();
      const cursor = present(states.get('customers')?.cursor, 'a cursor');
      const set = await wholeTable(harness);
      const expected = new Map(target.expect('customers', set, 0, set.count).map(({ key, text }) => [key, text]));
      expect(expected.size).toBe(rows);
      const scanned = async (): Promise<[string, string][]> => {
        const found = new Map<string, string>();
        for await (const batch of target.scan('customers')) for (const { key, text } of batch) found.set(key, text);
        return sorted(found);
      };
      expect(await scanned()).toEqual(sorted(expected));
      for (let id = 0; id < 100; id++) await client.del(`customers:${id}`);
      await client.mset('customers:200', '{"id":200}', 'customers:9999', 'extra', 'customers:-5', '');
      await client.lpush('customers:777777', 'a list');
      if (format === 'hash') await client.hset('customers:300', 'name', 'altered', 'more', '1');
      else await client.append('customers:300', ' ');
      const damaged = new Map(await scanned());
      const different = [...expected].filter(([key, text]) => damaged.has(key) && damaged.get(key) !== text);
      expect(different.map(([key]) => key)).toEqual(['customers:200', 'customers:300']);
      expect([...expected.keys()].filter((key) => !damaged.has(key)).length).toBe(100);
      const extra = [...damaged.keys()].filter((key) => !expected.has(key));
      expect(extra.toSorted()).toEqual(['customers:-5', 'customers:777777', 'customers:9999']);
      await target.begin();
      await target.repair('customers', set, extra);
      await target.commit(['customers'], cursor);
      expect(await scanned()).toEqual(sorted(expected));
      expect(await client.mget('customers:1:x', 'customers:list')).toEqual(['of somebody else', '2']);
      await client.del('customers:1:x', 'customers:list');
      if (format === 'json')
        expect(sorted(await stringsIn(client, 'customers:'))).toEqual(sorted(await rowsOf(harness, customers)));
    } finally {
      await target.close();
    }
  });
});

/** All rows that the log holds, as one set. */
async function wholeTable(harness: Harness): Promise<ChangeSet> {
  const set = new ChangeSet(customers.topic);
  const record = new ChangeCursor();
  for await (const batch of harness.log.rows(customers.topic, { upToSeq: harness.feeder.seq })) {
    record.reset(Buffer.from(batch.bytes));
    while (record.next()) set.add(record, harness.feeder.seq, false, false);
  }
  return set;
}
