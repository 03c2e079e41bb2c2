import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isTidemarkError } from '../../base/errors.ts';
import type { SinkOptions } from '../../sinks/options.ts';
import type { SinkGroup } from '../../sinks/sink-group.ts';
import type { Row } from './harness.ts';
import { Harness, caughtUp, table, until } from './harness.ts';

const tables = [
  table('orders', { id: 'int8', customer: 'text', total: 'numeric' }),
  table('notes', { code: 'text', part: 'int4', body: 'text' }, [0, 1]),
] as const;

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }).map((value) => value.replaceAll('\0', '')),
  fc.constant(null),
  fc.string({ minLength: 240, maxLength: 300 }),
);
const id = fc.integer({ min: -3, max: 12 }).map(String);
const code = fc.constantFrom('a', 'b', 'é', '');
const change = fc.record({
  table: fc.constantFrom(0, 1),
  op: fc.constantFrom('upsert', 'upsert', 'delete'),
  orders: fc.record({ id, customer: text, total: fc.constantFrom('1.10', '-5', null) }),
  notes: fc.record({ code, part: id, body: text }),
});
const command = fc.tuple(fc.constantFrom('pause', 'resume', 'rebuild'), fc.constantFrom('orders', 'notes', 'feed'));
/** Steps of a run: a transaction; a command about a sink; a stop of the sinks with a start from their cursors; a compaction. */
const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ changes: fc.array(change, { minLength: 1, maxLength: 12 }) }) },
    { weight: 2, arbitrary: command },
    { weight: 1, arbitrary: fc.constantFrom('restart', 'compact') },
  ),
  { minLength: 1, maxLength: 30 },
);
type Step = typeof steps extends fc.Arbitrary<(infer T)[]> ? T : never;

test(
  'whatever the transactions and the commands, each sink equals the source, and no reader goes back',
  { timeout: 60_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (run) => {
        const harness = await Harness.create({ segmentBytes: 2048 });
        try {
          await play(harness, run);
        } finally {
          await harness.close();
        }
      }),
      { numRuns: 25, endOnFailure: true },
    );
  },
);

async function play(harness: Harness, run: readonly Step[]): Promise<void> {
  const [orders, notes] = tables;
  const path = harness.path('all.db');
  const options: SinkOptions[] = [
    {
      name: 'orders',
      type: 'sqlite',
      path,
      from: orders.topic,
      table: 'orders',
      search: ['customer'],
      start: 'consistent',
    },
    { name: 'notes', type: 'sqlite', path, from: notes.topic, table: 'notes', search: [], start: 'eager' },
    { name: 'feed', type: 'ndjson', path: harness.path('feed'), from: notes.topic, start: 'consistent' },
  ];
  const models = [new Map<string, Row>(), new Map<string, Row>()] as const;
  harness.feeder.know(orders, notes).commitConsistent(orders, notes);
  let groups = harness.run(options);
  const seen = new Map<string, number>();
  for (const step of run) {
    look(groups, seen);
    if (Array.isArray(step)) {
      await obey(groups, ...step);
      continue;
    }
    if (step === 'compact') {
      await harness.feeder.durable();
      await harness.log.compact('shop');
      continue;
    }
    if (typeof step === 'string') {
      await harness.stop();
      groups = harness.run(options);
      continue;
    }
    for (const { table: which, op, ...rows } of step.changes) {
      const of = tables[which === 0 ? 0 : 1];
      const row: Row = which === 0 ? rows.orders : rows.notes;
      const key = JSON.stringify(of.key.map((index) => row[of.columns[index]?.name ?? '']));
      const model = models[which === 0 ? 0 : 1];
      if (op === 'upsert') harness.feeder.upsert(of, row);
      else if (model.has(key)) harness.feeder.delete(of, row);
      if (op === 'upsert') model.set(key, row);
      else model.delete(key);
    }
    harness.feeder.commit({ step: 'x' });
  }
  for (const { name } of options) await obey(groups, 'resume', name);
  await caughtUp(groups, harness.feeder.seq);
  await until('nothing is being built', () =>
    groups.every((each) => each.status().every((sink) => sink.rebuild === null)),
  );
  look(groups, seen);
  await harness.stop();
  compare(path, harness.path('feed'), models);
}

async function obey(groups: readonly SinkGroup[], what: string, name: string): Promise<void> {
  const group = groups.find(({ sinks }) => sinks.some((sink) => sink.name === name));
  if (what !== 'rebuild') return group?.pause(name, what === 'pause');
  await group?.rebuild(name).catch((error: unknown) => {
    if (!isTidemarkError(error, 'SINK_PAUSED')) throw error;
  });
}

/** What readers see of a sink never becomes older; 0 is said of one that has not been opened yet. */
function look(groups: readonly SinkGroup[], seen: Map<string, number>): void {
  for (const { name, seq } of groups.flatMap((group) => group.status())) {
    if (seq > 0) expect(seq).toBeGreaterThanOrEqual(seen.get(name) ?? 0);
    // Positions without data may be lost at a restart; they are no transactions.
    if (seq > 0) seen.set(name, seq);
  }
}

function compare(path: string, feed: string, models: readonly [Map<string, Row>, Map<string, Row>]): void {
  const db = new DatabaseSync(path);
  const held = db
    .prepare('SELECT CAST(id AS TEXT) AS id, customer, total FROM orders')
    .all()
    .map((row) => ({ ...row }));
  expect(sorted(held)).toEqual(sorted([...models[0].values()]));
  const noted = db
    .prepare('SELECT code, CAST(part AS TEXT) AS part, body FROM notes')
    .all()
    .map((row) => ({ ...row }));
  expect(sorted(noted)).toEqual(sorted([...models[1].values()]));
  db.exec("INSERT INTO orders_search(orders_search, rank) VALUES ('integrity-check', 1)");
  db.close();
  const rows = new Map<string, Row>();
  for (const line of readFileSync(feed, 'utf8').split('\n').slice(0, -1)) {
    const { op, key, doc } = JSON.parse(line);
    if (op === 'upsert') rows.set(JSON.stringify(key), { ...doc, part: String(doc.part) });
    else if (op === 'delete') rows.delete(JSON.stringify(key));
  }
  expect(sorted([...rows.values()])).toEqual(sorted([...models[1].values()]));
}

function sorted(rows: readonly object[]): string[] {
  return rows.map((row) => JSON.stringify(row)).toSorted();
}
