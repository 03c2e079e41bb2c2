import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SqliteSinkOptions } from '../../sinks/options.ts';
import { Harness, caughtUp, table, until } from './harness.ts';

const orders = table('orders', { id: 'int8', customer: 'text', total: 'numeric', paid: 'bool' });

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.create();
});
afterEach(async () => harness.close());

function sink(changes: Partial<SqliteSinkOptions> = {}): SqliteSinkOptions {
  return {
    name: 'local',
    type: 'sqlite',
    path: harness.path('search.db'),
    from: orders.topic,
    table: 'orders',
    search: [],
    start: 'consistent',
    ...changes,
  };
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

test('rows and cursor of a sink equal the log', async () => {
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'Ada', total: '12.50', paid: 't' }).commit();
  feeder.upsert(orders, { id: '2', customer: 'Bob', total: '7', paid: 'f' }).commit();
  feeder.delete(orders, { id: '1' }).commitConsistent(orders);
  const groups = harness.run([sink()]);
  await caughtUp(groups, 3);
  expect(query('SELECT * FROM orders')).toEqual([{ id: 2, customer: 'Bob', total: '7', paid: 'false', _seq: 2 }]);
  feeder.upsert(orders, { id: '2', customer: 'Bob', total: '8', paid: 't' }, 'update').commit();
  await caughtUp(groups, 4);
  expect(query('SELECT * FROM orders')).toEqual([{ id: 2, customer: 'Bob', total: '8', paid: 'true', _seq: 4 }]);
  expect(query('SELECT sink, seq, position FROM _tidemark')).toEqual([{ sink: 'local', seq: 4, position: '0/40' }]);
});

/** The orders that a search finds, best first. */
function search(term: string): unknown[] {
  return query(
    `SELECT orders.id FROM orders_search('${term}') JOIN orders ON orders.rowid = orders_search.rowid ORDER BY rank`,
  ).map(({ id }) => id);
}

const readings = table('readings', {
  id: 'int8',
  small: 'int2',
  exact: 'numeric',
  ratio: 'float8',
  ok: 'bool',
  at: 'timestamptz',
  day: 'date',
  data: 'jsonb',
  raw: 'bytea',
  tags: { kind: 'array', element: { kind: 'scalar', name: 'int4' }, delimiter: ',' },
});

test('every kind of value is there with all its digits', async () => {
  const { feeder } = harness;
  feeder.upsert(readings, {
    id: '9223372036854775807',
    small: '-32768',
    exact: '-12345678901234567890.123456789012345678901234567890',
    ratio: '0.1',
    ok: 't',
    at: '2026-11-21 14:55:00.123456+00',
    day: '0044-03-15 BC',
    data: '{"a": [1, 2.50]}',
    raw: '\\x00ff',
    tags: '{{1,2},{3,NULL}}',
  });
  feeder.upsert(readings, { id: '-9223372036854775808', ratio: 'NaN', ok: 'f', at: 'infinity', tags: '{}' });
  feeder.upsert(readings, { id: '9007199254740993', ratio: '-Infinity', exact: 'NaN' });
  feeder.commitConsistent(readings);
  await caughtUp(harness.run([sink({ from: readings.topic, table: 'readings' })]), 1);
  const columns = 'CAST(id AS TEXT) AS id, typeof(id) AS type, small, exact, ratio, ok, at, day, data, raw, tags';
  const empty = {
    small: null,
    exact: null,
    ratio: null,
    ok: null,
    at: null,
    day: null,
    data: null,
    raw: null,
    tags: null,
  };
  expect(query(`SELECT ${columns} FROM readings ORDER BY readings.id`)).toEqual([
    { ...empty, id: '-9223372036854775808', type: 'integer', ratio: 'NaN', ok: 'false', at: 'infinity', tags: '[]' },
    { ...empty, id: '9007199254740993', type: 'integer', ratio: -Infinity, exact: 'NaN' },
    {
      id: '9223372036854775807',
      type: 'integer',
      small: -32768,
      exact: '-12345678901234567890.123456789012345678901234567890',
      ratio: 0.1,
      ok: 'true',
      at: '2026-11-21T14:55:00.123456+00:00',
      day: '0044-03-15 BC',
      data: '{"a": [1, 2.50]}',
      raw: '\\x00ff',
      tags: '[[1,2],[3,null]]',
    },
  ]);
});

test('nothing can be read before the start is consistent, and with `eager` everything can', async () => {
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'Ada' }, 'read').commit(undefined, true);
  await feeder.durable();
  const early = sink({ name: 'early', path: harness.path('early.db'), start: 'eager' });
  const [consistent, eager] = harness.run([sink(), early]);
  await caughtUp(eager ? [eager] : [], 1);
  expect(eager?.status()[0]?.consistent).toBe(false);
  await until('the rows are in the copy', () => query('SELECT * FROM orders__new').length === 1);
  expect(() => query('SELECT * FROM orders')).toThrow('no such table');
  expect(query('SELECT * FROM _tidemark')).toEqual([]);
  expect(consistent?.status()[0]?.consistent).toBe(false);
  feeder.mark({ [`consistent:${orders.topic}`]: '{"seq":1}' });
  await caughtUp(consistent ? [consistent] : [], 1);
  expect(query('SELECT id FROM orders')).toEqual([{ id: 1 }]);
  expect(consistent?.status()[0]?.consistent).toBe(true);
});

test('a table that is empty at the source is there, empty', async () => {
  harness.feeder.know(orders).commitConsistent(orders);
  const groups = harness.run([
    sink({ search: ['customer'] }),
    sink({ name: 'later', from: 'shop.public.later', table: 'later', start: 'eager' }),
  ]);
  await caughtUp(groups, 1);
  expect(query('SELECT * FROM orders')).toEqual([]);
  harness.feeder.know(table('later', { id: 'int8' })).mark();
  await until('the other table is there', () => query("SELECT 1 FROM sqlite_master WHERE name = 'later'").length === 1);
});

test('an idle source moves the position without writing rows', async () => {
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1' }).commitConsistent(orders);
  const [group] = harness.run([sink()]);
  await caughtUp(group ? [group] : [], 1);
  let told = 0;
  group?.onProgress(() => told++);
  const position = feeder.mark();
  await until('the mark arrives', () => group?.status()[0]?.position === position);
  expect(told).toBeGreaterThan(0);
  await harness.stop();
  expect(query('SELECT position FROM _tidemark')).toEqual([{ position }]);
});

test('the full-text index answers from the same commit as the rows', async () => {
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'Ada Lovelace', total: '1' });
  feeder.upsert(orders, { id: '2', customer: 'Bob Lovelace Lovelace', total: '2' }).commitConsistent(orders);
  const groups = harness.run([sink({ search: ['customer'] })]);
  await caughtUp(groups, 1);
  expect(search('lovelace')).toEqual([2, 1]);
  feeder.upsert(orders, { id: '1', customer: 'Grace Hopper', total: '1' }, 'update');
  feeder.upsert(orders, { id: '3', customer: 'Hopper', total: '1' });
  feeder.delete(orders, { id: '2' }).commit();
  await caughtUp(groups, 2);
  expect(search('lovelace')).toEqual([]);
  expect(search('hopper')).toEqual([3, 1]);
  await harness.stop();
  const db = new DatabaseSync(harness.path('search.db'));
  // FTS5's own comparison of the index with the table; it fails when they differ.
  db.exec("INSERT INTO orders_search(orders_search, rank) VALUES ('integrity-check', 1)");
  db.close();
});

test('a table without an integer key is searched by its row numbers, also after VACUUM', async () => {
  const { feeder } = harness;
  const notes = table('notes', { code: 'text', part: 'int4', body: 'text' }, [0, 1]);
  for (let part = 0; part < 50; part++) feeder.upsert(notes, { code: 'n', part: String(part), body: `word${part}` });
  feeder.commitConsistent(notes);
  for (let part = 0; part < 50; part += 2) feeder.delete(notes, { code: 'n', part: String(part) });
  feeder.commit();
  const options = sink({ from: notes.topic, table: 'notes', search: ['body'] });
  await caughtUp(harness.run([options]), 2);
  await harness.stop();
  const db = new DatabaseSync(harness.path('search.db'));
  db.exec('VACUUM');
  db.close();
  feeder.upsert(notes, { code: 'n', part: '7', body: 'changed' }, 'update').commit();
  await caughtUp(harness.run([options]), 3);
  const find = 'SELECT part, body FROM notes_search(?) JOIN notes USING (body)'.replace('?', "'changed OR word9'");
  expect(query(`${find} ORDER BY part`)).toEqual([
    { part: 7, body: 'changed' },
    { part: 9, body: 'word9' },
  ]);
});

test('a key that changes within a transaction leaves one row', async () => {
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'Ada' }).commitConsistent(orders);
  feeder.delete(orders, { id: '1' });
  feeder.upsert(orders, { id: '2', customer: 'Ada' });
  feeder.delete(orders, { id: '2' });
  feeder.upsert(orders, { id: '1', customer: 'Ada again' }).commit();
  await caughtUp(harness.run([sink()]), 2);
  expect(query('SELECT id, customer FROM orders')).toEqual([{ id: 1, customer: 'Ada again' }]);
});

test('a table without a key keeps rows that are alike, and loses one a delete', async () => {
  const { feeder } = harness;
  const lines = table('lines', { what: 'text', amount: 'int4' }, []);
  const row = { what: 'a', amount: null };
  feeder.upsert(lines, row).upsert(lines, row).upsert(lines, row).commitConsistent(lines);
  feeder.delete(lines, row).commit();
  await caughtUp(harness.run([sink({ from: lines.topic, table: 'lines' })]), 2);
  expect(query('SELECT what, amount FROM lines')).toEqual([row, row]);
});

test('columns are chosen and renamed', async () => {
  harness.feeder.upsert(orders, { id: '1', customer: 'Ada', total: '3' }).commitConsistent(orders);
  await caughtUp(harness.run([sink({ columns: { key: 'id', who: 'customer' }, search: ['who'] })]), 1);
  expect(query('SELECT * FROM orders')).toEqual([{ key: 1, who: 'Ada', _seq: 1 }]);
});
