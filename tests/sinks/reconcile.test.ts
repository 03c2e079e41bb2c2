import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SinkOptions } from '../../sinks/options.ts';
import { Harness, caughtUp, table, until } from './harness.ts';

const orders = table('orders', { id: 'int8', customer: 'text' });

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.create({ segmentBytes: 1024 });
});
afterEach(async () => harness.close());

function local(search: string[] = []): SinkOptions {
  const path = harness.path('search.db');
  return { name: 'local', type: 'sqlite', path, from: orders.topic, table: 'orders', search, start: 'consistent' };
}

function query(sql: string): Record<string, unknown>[] {
  const db = new DatabaseSync(harness.path('search.db'), { readOnly: true });
  try {
    return db
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    db.close();
  }
}

/** Rows 1 to 100, seen by the sinks; then all but every tenth deleted, others added, and the log compacted behind their back. */
async function fallBehind(options: readonly SinkOptions[], forget: boolean): Promise<void> {
  const { feeder, log } = harness;
  for (let id = 1; id <= 100; id++) feeder.upsert(orders, { id: String(id), customer: `old${id}` });
  feeder.commitConsistent(orders);
  await caughtUp(harness.run(options), 1);
  await harness.stop();
  for (let id = 1; id <= 100; id++) {
    if (id % 10 !== 0) feeder.delete(orders, { id: String(id) }).commit();
  }
  for (let id = 101; id <= 150; id++) feeder.upsert(orders, { id: String(id), customer: `new${id}` }).commit();
  await feeder.durable();
  if (forget) for (const { name } of options) log.registerCursor('shop', `sink:${name}`, null);
  await log.compact('shop');
  const [topic] = await log.topics();
  expect(topic?.compactedSeq).toBeGreaterThan(100);
}

const expected = [
  ...Array.from({ length: 10 }, (_, index) => ({ id: 10 * (index + 1), customer: `old${10 * (index + 1)}` })),
  ...Array.from({ length: 50 }, (_, index) => ({ id: 101 + index, customer: `new${101 + index}` })),
];

test('a sink from before the compaction horizon gets its deletes', async () => {
  await fallBehind([local()], false);
  await caughtUp(harness.run([local()]), harness.feeder.seq);
  expect(query('SELECT id, customer FROM orders ORDER BY id')).toEqual(expected);
});

test('a sink whose tombstones are gone leaves no ghost, and readers see the change at once', async () => {
  await fallBehind([local(['customer'])], true);
  const reader = new DatabaseSync(harness.path('search.db'), { readOnly: true });
  const groups = harness.run([local(['customer'])]);
  const seen = new Set<unknown>();
  const look = (): void => {
    seen.add(reader.prepare("SELECT count(*) AS n FROM orders_search('old1')").get()?.['n']);
    seen.add(reader.prepare('SELECT count(*) AS n FROM orders WHERE id <= 100').get()?.['n']);
  };
  await until('the sink has caught up', () => {
    look();
    return groups[0]?.status()[0]?.seq === harness.feeder.seq;
  });
  look();
  expect([...seen].toSorted((a, b) => Number(a) - Number(b))).toEqual([0, 1, 10, 100]);
  reader.close();
  expect(query('SELECT id, customer FROM orders ORDER BY id')).toEqual(expected);
});

test('a feed whose tombstones are gone is written anew', async () => {
  const path = harness.path('feed.ndjson');
  const feed: SinkOptions = { name: 'feed', type: 'ndjson', path, from: orders.topic, start: 'consistent' };
  await fallBehind([feed], true);
  await caughtUp(harness.run([feed]), harness.feeder.seq);
  const rows = new Map<number, string>();
  for (const line of readFileSync(path, 'utf8').split('\n').slice(0, -1)) {
    const { op, key, doc } = JSON.parse(line);
    if (op === 'upsert') rows.set(key.id, doc.customer);
    else if (op === 'delete') rows.delete(key.id);
  }
  expect([...rows].map(([id, customer]) => ({ id, customer })).toSorted((a, b) => a.id - b.id)).toEqual(expected);
});
