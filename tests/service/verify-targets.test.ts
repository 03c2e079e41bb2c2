import { beforeAll, expect, it } from 'vitest';
import { describeRedis } from '../servers/redis-suite.ts';
import { describeSearch } from '../servers/search-suite.ts';
import { describePostgres } from '../servers/suite.ts';
import { Verified, startLoad } from './verify-harness.ts';

const none = { missing: [], extra: [], different: [] };
const setup = `
  CREATE TABLE customers (id bigint PRIMARY KEY, name text, balance numeric(12,2));
  INSERT INTO customers SELECT n, 'customer ' || n, n / 4.0 FROM generate_series(1, 5000) n;
  ANALYZE`;

describeRedis('verify of sinks on Redis', {}, (redis) => {
  describePostgres('from a table', (database) => {
    beforeAll(async () => database.query(setup));

    it('lists and repairs what was changed behind its back, as JSON and as hashes, while 500 commits a second go on', async () => {
      const verified = await Verified.start(
        database,
        '[public.customers]',
        `sinks:
  json: { type: redis, url: ${redis.url}, from: customers, key: "json:{id}" }
  hash: { type: redis, url: ${redis.url}, from: customers, key: "hash:{id}", format: hash }
  brief: { type: redis, url: ${redis.url}, from: customers, key: "brief:{id}", ttl: 1h }`,
      );
      await verified.caughtUp();
      const client = redis.client();
      const load = startLoad(database, 'customers', { rows: 1_000, perSecond: 500 });
      try {
        for (const sink of ['json', 'hash', 'brief']) expect(await verified.verify(sink), sink).toMatchObject(none);
        for (const form of ['json', 'hash', 'brief']) {
          const keys = Array.from({ length: 200 }, (_, index) => `${form}:${2_000 + index}`);
          await client.del(...keys.slice(0, 100));
          // Another value, or another type of value.
          for (const key of keys.slice(100)) await client.set(key, '{"id":1}');
        }
        await client.set('json:900719925474099312', '{}');
        const json = await verified.verify('json', true);
        expect(json).toMatchObject({ counts: { missing: 100, extra: 1, different: 100 }, repaired: 201 });
        expect(json.missing[0]).toBe('json:2000');
        expect(json.extra).toEqual(['json:900719925474099312']);
        const hash = await verified.verify('hash', true);
        expect(hash).toMatchObject({ counts: { missing: 100, extra: 0, different: 100 }, repaired: 200 });
        const brief = await verified.verify('brief', true);
        expect(brief).toMatchObject({ counts: { missing: 0, extra: 0, different: 100 }, repaired: 100 });
        expect(brief.notes).toEqual(['100 rows are not there, and count as expired (ttl)']);
        for (const sink of ['json', 'hash']) expect(await verified.verify(sink), sink).toMatchObject(none);
      } finally {
        await load.stop();
      }
      expect(await client.hgetall('hash:2150')).toEqual({ id: '2150', name: 'customer 2150', balance: '537.50' });
    }, 300_000);
  });
});

describeSearch('verify of a sink on OpenSearch', { engine: 'opensearch' }, (search) => {
  describePostgres('from a table', (database) => {
    beforeAll(async () => database.query(setup));

    it('lists and repairs what was changed behind its back while 500 commits a second go on', async () => {
      const sink = `docs: { type: opensearch, url: ${search.url}, from: customers, index: customers, refresh: engine }`;
      const verified = await Verified.start(database, '[public.customers]', `sinks:\n  ${sink}`);
      await verified.caughtUp();
      const load = startLoad(database, 'customers', { rows: 1_000, perSecond: 500 });
      try {
        expect(await verified.verify('docs')).toMatchObject(none);
        const lines = Array.from({ length: 100 }, (_, index) => [
          { delete: { _id: String(2_000 + index) } },
          { index: { _id: String(2_100 + index) } },
          { id: 2_100 + index, name: 'wrong' },
        ]).flat();
        const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
        // The alias is for readers alone.
        const [index] = Object.keys((await search.request('GET', '/_alias/customers')).body);
        const written = await search.request('POST', `/${index}/_bulk?refresh=true`, body);
        expect(written.body.errors, written.text).toBe(false);
        const found = await verified.verify('docs', true);
        expect(found).toMatchObject({ counts: { missing: 100, extra: 0, different: 100 }, repaired: 200 });
        expect(found.missing[0]).toBe('2000');
        expect(await verified.verify('docs')).toMatchObject(none);
      } finally {
        await load.stop();
      }
    }, 300_000);
  });
});
