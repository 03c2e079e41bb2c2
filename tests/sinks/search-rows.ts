import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseConfig } from '../../config/load.ts';
import { scalar } from '../../model/data-type.ts';
import type { SearchSuite } from '../servers/search-suite.ts';
import { until } from '../servers/process.ts';
import type { Row } from './harness.ts';
import { table } from './harness.ts';
import { deadlineMs, jsonOf, SearchFixture } from './search-harness.ts';
import type { Changes } from './search-harness.ts';

const page = join(import.meta.dirname, '../../docs/opensearch.md');

const everything = table('everything', {
  id: 'int8',
  small: 'int2',
  flag: 'bool',
  price: 'numeric',
  ratio: 'float8',
  body: 'text',
  bytes: 'bytea',
  token: 'uuid',
  day: 'date',
  clock: 'time',
  local: 'timestamp',
  at: 'timestamptz',
  span: 'interval',
  doc: 'jsonb',
  raw: 'json',
  range: 'other',
  tags: { kind: 'array', element: scalar('text'), delimiter: ',' },
  counts: { kind: 'array', element: scalar('int4'), delimiter: ',' },
  place: {
    kind: 'composite',
    fields: [
      { name: 'street', type: scalar('text') },
      { name: 'number', type: scalar('int4') },
    ],
  },
});

const usual: Row = {
  id: '9007199254740993',
  small: '-5',
  flag: 't',
  price: '12345678901234567890.125',
  ratio: '0.1',
  body: 'Zwölf Boxkämpfer "jagen"\nEva',
  bytes: '\\xdeadbeef',
  token: '4bf7cb23-1e2e-4c8e-9f0a-0b6d6fd0a2a1',
  day: '2026-11-21',
  clock: '14:10:00.5',
  local: '2026-11-21 14:10:00.123456',
  at: '2026-11-21 14:10:00.123456+00',
  span: '1 day 02:00:00',
  doc: '{"a": {"b": 1.50}, "lines": [{"sku": "x1", "qty": 2}, {"sku": "x2", "qty": 3}]}',
  raw: '{"z" :\n 1.10}',
  range: '[1,5)',
  tags: '{red,"dark green",NULL}',
  counts: '{1,2,3}',
  place: '("Main Street",7)',
};

/** What is no date or number of an engine's is in the document all the same. */
const unusual: Row = {
  id: '-1',
  price: 'NaN',
  ratio: 'Infinity',
  body: '',
  day: 'infinity',
  local: '0044-03-15 12:00:00 BC',
  at: '294276-12-31 23:59:59+00',
};

async function withFixture(
  suite: SearchSuite,
  [from, changes]: [Parameters<typeof SearchFixture.create>[1], Changes?],
  body: (fixture: SearchFixture) => Promise<void>,
): Promise<void> {
  const fixture = await SearchFixture.create(suite, from, changes ?? {});
  try {
    await body(fixture);
  } finally {
    await fixture.close();
  }
}

/** What a row becomes, and how it is found. */
export function rowTests(suite: SearchSuite): void {
  it('holds every type as its canonical JSON, and finds it by its meaning', async () => {
    await withFixture(suite, [everything], async (fixture) => {
      fixture.feeder.upsert(everything, usual).upsert(everything, unusual).commitConsistent(everything);
      fixture.run();
      await fixture.searchable();
      const id = '9007199254740993';
      expect(await fixture.source(id)).toBe(jsonOf(everything, usual));
      expect(await fixture.source('-1')).toBe(jsonOf(everything, unusual));
      const found = [
        { term: { id } },
        { range: { small: { lt: 0 } } },
        { term: { flag: true } },
        { range: { price: { gt: 1e19, lt: 2e19 } } },
        { range: { ratio: { gt: 0.09, lt: 0.11 } } },
        { match: { body: 'boxkämpfer' } },
        { term: { 'body.keyword': usual['body'] } },
        { term: { token: usual['token'] } },
        { range: { day: { gte: '2026-11-21', lte: '2026-11-21' } } },
        { range: { local: { gte: '2026-11-21T14:10:00', lt: '2026-11-21T14:10:01' } } },
        { range: { at: { gte: '2026-11-21T15:10:00+01:00', lt: '2026-11-21T14:10:01Z' } } },
        { match: { 'doc.lines.sku': 'x2' } },
        { range: { 'doc.a.b': { gt: 1.4, lt: 1.6 } } },
        { term: { 'tags.keyword': 'dark green' } },
        { term: { counts: 3 } },
        { match: { 'place.street': 'main' } },
        { term: { 'place.number': 7 } },
      ];
      for (const query of found) expect([query, await fixture.find(query)]).toEqual([query, [id]]);
      expect(fixture.group?.status()[0]?.deadLetters).toBe(0);
    });
  });

  it('equals the source whatever the transactions, restarts and keys', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (run) => withFixture(suite, [notes], async (fixture) => play(fixture, run))),
      { numRuns: 6, endOnFailure: true },
    );
  });

  it('sets one row of 10,000 aside that the mapping refuses, with the reason, and holds the others', async () => {
    const rows = table('rows', { id: 'int8', doc: 'jsonb' });
    await withFixture(suite, [rows], async (fixture) => {
      fixture.feeder.upsert(rows, { id: '1', doc: '{"size": 1}' }).commitConsistent(rows);
      fixture.run();
      await fixture.searchable();
      for (let id = 2; id <= 10_000; id++) {
        fixture.feeder.upsert(rows, { id: String(id), doc: id === 7_777 ? '{"size": {"w": 1}}' : `{"size": ${id}}` });
      }
      fixture.feeder.commit();
      await fixture.searchable();
      expect((await fixture.contents()).size).toBe(9_999);
      expect(fixture.group?.status()[0]).toMatchObject({ deadLetters: 1, error: null });
      const [letter] = (await fixture.group?.deadLetters(fixture.options.name)) ?? [];
      expect(letter).toMatchObject({ key: '{"id":7777}' });
      expect(letter?.reason).toMatch(/pars.*doc\.size|doc\.size.*pars/s);
      // Mended at its source, it is no dead letter any more.
      fixture.feeder.upsert(rows, { id: '7777', doc: '{"size": 5}' }).commit();
      await fixture.searchable();
      expect((await fixture.contents()).size).toBe(10_000);
      expect(fixture.group?.status()[0]?.deadLetters).toBe(0);
    });
  });

  it('finds lines of an order one by one by the file of docs/opensearch.md', async () => {
    const docs = table('docs', { id: 'int8', status: 'text', lines: 'json' });
    const example = /```yaml\n(.*?)```/s.exec(readFileSync(page, 'utf8'))?.[1] ?? '';
    const [sink] = parseConfig(example, 'tidemark.yaml', {}).sinks;
    if (sink?.type !== 'opensearch') throw new Error('the page shows no sink');
    const { mapping, settings, refresh } = sink;
    expect({ mapping, refresh }).toEqual({ mapping: { lines: { type: 'nested' } }, refresh: 1_000 });
    await withFixture(suite, [docs, { mapping, settings, refresh }], async (fixture) => {
      const lines = '[{"sku":"a","qty":1},{"sku":"b","qty":2}]';
      fixture.feeder.upsert(docs, { id: '1', status: 'paid', lines }).commitConsistent(docs);
      fixture.run();
      await fixture.searchable();
      expect(await fixture.find(both('a', 1))).toEqual(['1']);
      expect(await fixture.find(both('a', 2))).toEqual([]);
      expect(await fixture.find({ term: { 'status.keyword': 'paid' } })).toEqual(['1']);
    });
  });

  it('routes by a column of the key, and says what is wrong with routing by another', async () => {
    const tenants = table('tenants', { tenant: 'text', id: 'int8', name: 'text' }, [0, 1]);
    const settings = { number_of_replicas: 0, number_of_shards: 3 };
    await withFixture(suite, [tenants, { settings, routing: 'tenant' }], async (fixture) => {
      for (const id of ['1', '2', '3', '4']) {
        fixture.feeder.upsert(tenants, { tenant: `t${Number(id) % 2}`, id, name: 'x' });
      }
      fixture.feeder.commitConsistent(tenants);
      fixture.run();
      await fixture.searchable();
      fixture.feeder.delete(tenants, { tenant: 't1', id: '1' }).upsert(tenants, { tenant: 't0', id: '2', name: 'y' });
      fixture.feeder.commit();
      await fixture.searchable();
      const reply = await suite.request('GET', `/${fixture.options.index}/_search?routing=t0&size=10`);
      const routed = reply.body.hits.hits.map(
        (hit: { _id: string; _routing: string }) => `${hit._id} by ${hit._routing}`,
      );
      expect(routed).toEqual(expect.arrayContaining(['t0|2 by t0', 't0|4 by t0']));
      expect(await fixture.find({ term: { _routing: 't0' } })).toEqual(['t0|2', 't0|4']);
      expect([...(await fixture.contents()).keys()].toSorted()).toEqual(['t0|2', 't0|4', 't1|3']);
    });
    await withFixture(suite, [tenants, { settings, routing: 'name' }], async (fixture) => {
      fixture.feeder.upsert(tenants, { tenant: 't', id: '1', name: 'x' }).commitConsistent(tenants);
      fixture.run();
      await until('the sink to fail', () => fixture.error() === 'SINK_TARGET', deadlineMs);
      expect(fixture.group?.status()[0]?.error?.message).toContain(
        "routes by column 'name', which is not part of its key",
      );
    });
  });

  it('quotes numbers that a double cannot hold where that is asked for', async () => {
    const rows = table('numbers', { id: 'int8', n: 'numeric' });
    await withFixture(suite, [rows, { numbers: 'string' }], async (fixture) => {
      fixture.feeder.upsert(rows, { id: '9007199254740993', n: '1.5' }).commitConsistent(rows);
      fixture.run();
      await fixture.searchable();
      expect(await fixture.source('9007199254740993')).toBe('{"id":"9007199254740993","n":1.5}');
      expect(await fixture.find({ term: { id: '9007199254740993' } })).toEqual(['9007199254740993']);
    });
  });

  it('follows columns that come in place, and columns that go by a new index, without a gap for readers', async () => {
    const one = table('shapes', { id: 'int8', name: 'text', old: 'text' });
    const two = table('shapes', { id: 'int8', name: 'text', old: 'text', size: 'int4' });
    const three = table('shapes', { id: 'int8', name: 'text', size: 'int4' }, [0], [1, 2, 4]);
    await withFixture(suite, [one], async (fixture) => {
      fixture.feeder.upsert(one, { id: '1', name: 'a', old: 'o' }).commitConsistent(one);
      fixture.run();
      await fixture.searchable();
      const first = await fixture.index();
      fixture.feeder.upsert(two, { id: '2', name: 'b', old: 'o', size: '3' }).commit();
      await fixture.searchable();
      expect(await fixture.find({ term: { size: 3 } })).toEqual(['2']);
      expect(await fixture.index()).toBe(first);
      fixture.feeder.upsert(three, { id: '3', name: 'c', size: '4' }).commit();
      await fixture.searchable();
      expect(await fixture.index()).not.toBe(first);
      expect(await fixture.source('1')).toBe('{"id":1,"name":"a"}');
      expect(await fixture.source('2')).toBe('{"id":2,"name":"b","size":3}');
      expect(await fixture.source('3')).toBe('{"id":3,"name":"c","size":4}');
    });
  });

  it('says which mapping, settings or columns an engine does not take', async () => {
    const rows = table('refused', { id: 'int8', _id: 'text' });
    const cases: [Changes, string][] = [
      [{ mapping: { id: { type: 'no_such_type' } }, columns: ['id'] }, 'no_such_type'],
      [{ settings: { number_of_shards: -1 }, columns: ['id'] }, 'number_of_shards'],
      [{ settings: { index: { translog: { durability: 'async' } } }, columns: ['id'] }, 'durability'],
      [{}, "column '_id'"],
    ];
    for (const [changes, words] of cases) {
      await withFixture(suite, [rows, changes], async (fixture) => {
        fixture.feeder.upsert(rows, { id: '1', _id: 'x' }).commitConsistent(rows);
        fixture.run();
        await until('the sink to fail', () => fixture.error() === 'SINK_TARGET', deadlineMs);
        expect(fixture.group?.status()[0]?.error?.message).toContain(words);
      });
    }
  });
}

const notes = table('notes', { code: 'text', part: 'int4', body: 'text' }, [0, 1]);
const codes = ['a', 'b|c', 'b\\|c', '\\', '|', '\\N', 'é', '', 'x'.repeat(600), `${'x'.repeat(600)}|`, '"\n'];
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.array(
      fc.record({
        op: fc.constantFrom('upsert', 'upsert', 'delete'),
        row: fc.record({
          code: fc.constantFrom(...codes),
          part: fc.integer({ min: -1, max: 2 }).map(String),
          body: fc.oneof(fc.string({ maxLength: 20 }), fc.constant(null)),
        }),
      }),
      { minLength: 1, maxLength: 12 },
    ),
  },
  { weight: 1, arbitrary: fc.constant('restart') },
);
const steps = fc.array(step, { minLength: 5, maxLength: 25 });

async function play(
  fixture: SearchFixture,
  run: typeof steps extends fc.Arbitrary<infer T> ? T : never,
): Promise<void> {
  const model = new Map<string, Row>();
  fixture.feeder.know(notes).commitConsistent(notes);
  fixture.run();
  for (const each of run) {
    if (typeof each === 'string') {
      await fixture.stop();
      fixture.run();
      continue;
    }
    for (const { op, row } of each) {
      const key = JSON.stringify([row.code, row.part]);
      if (op === 'upsert') fixture.feeder.upsert(notes, row);
      else if (model.has(key)) fixture.feeder.delete(notes, row);
      if (op === 'upsert') model.set(key, row);
      else model.delete(key);
    }
    fixture.feeder.commit({ step: 'x' });
  }
  await fixture.searchable();
  const held = [...(await fixture.contents()).values()]
    .map((text) => JSON.parse(text))
    .map((row) => JSON.stringify([row.code, row.part, row.body ?? null]));
  const wanted = [...model.values()].map(({ code, part, body }) => JSON.stringify([code, Number(part), body]));
  expect(held.toSorted()).toEqual(wanted.toSorted());
}

function both(sku: string, qty: number): unknown {
  const must = [{ match: { 'lines.sku': sku } }, { match: { 'lines.qty': qty } }];
  return { nested: { path: 'lines', query: { bool: { must } } } };
}
