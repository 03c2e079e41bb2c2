import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SqliteSinkOptions } from '../../sinks/options.ts';
import type { SinkGroup } from '../../sinks/sink-group.ts';
import { Harness, caughtUp, table, until } from './harness.ts';

const orders = table('orders', { id: 'int8', customer: 'text' });

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.create();
});
afterEach(async () => harness.close());

function sink(changes: Partial<SqliteSinkOptions> = {}): SqliteSinkOptions {
  const path = harness.path('search.db');
  const common = { name: 'local', type: 'sqlite', from: orders.topic, table: 'orders', search: [] } as const;
  return { ...common, path, start: 'consistent', ...changes };
}

function query(sql: string, path = harness.path('search.db')): Record<string, unknown>[] {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return db
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    db.close();
  }
}

function only(groups: readonly SinkGroup[]): SinkGroup {
  const [group] = groups;
  if (group === undefined || groups.length !== 1) throw new RangeError(`${groups.length} groups`);
  return group;
}

function errorCode(group: SinkGroup): string | undefined {
  return group.status()[0]?.error?.code;
}

/** A row whose text is not UTF-8, as a SQL_ASCII database may send it. */
function poison(id: string): void {
  harness.feeder.upsertPacked(orders, { id }, [id, Buffer.from([0x63, 0xe9])]);
}

test('a row that cannot be written goes to the dead letters with its reason, and the rest goes on', async () => {
  for (let id = 1; id <= 100; id++) {
    if (id % 40 === 0) poison(String(id));
    else harness.feeder.upsert(orders, { id: String(id), customer: `customer \uFFFD ${id}` });
  }
  harness.feeder.commitConsistent(orders);
  const group = only(harness.run([sink()]));
  await caughtUp([group], 1);
  expect(query('SELECT count(*) AS n, min(id) AS low, max(id) AS high FROM orders')).toEqual([
    { n: 98, low: 1, high: 100 },
  ]);
  expect(group.status()[0]?.deadLetters).toBe(2);
  expect(group.sinks[0]?.deadLetters.list()).toMatchObject([
    { key: '{"id":40}', seq: 1, reason: expect.stringContaining('not valid UTF-8') },
    { key: '{"id":80}', seq: 1 },
  ]);
  await harness.stop();
  const again = only(harness.run([sink()]));
  await until('they are loaded', () => again.status()[0]?.deadLetters === 2);
});

test('a dead letter is settled by a later change of its row', async () => {
  harness.feeder.upsert(orders, { id: '1', customer: 'x' });
  poison('2');
  poison('3');
  harness.feeder.commitConsistent(orders);
  const group = only(harness.run([sink()]));
  await caughtUp([group], 1);
  expect(group.status()[0]?.deadLetters).toBe(2);
  harness.feeder.upsert(orders, { id: '2', customer: 'well' }, 'update').commit();
  await caughtUp([group], 2);
  expect(group.status()[0]?.deadLetters).toBe(1);
  await harness.stop();
  harness.feeder.delete(orders, { id: '3' }).commit();
  const again = only(harness.run([sink()]));
  await caughtUp([again], 3);
  expect(again.status()[0]?.deadLetters).toBe(0);
  expect(query('SELECT id FROM orders')).toEqual([{ id: 1 }, { id: 2 }]);
});

test('bad rows of a table without a key are told apart, and the good ones are there once', async () => {
  const lines = table('lines', { what: 'text' }, []);
  for (let row = 1; row <= 9; row++) {
    if (row % 3 === 0) harness.feeder.upsertPacked(lines, {}, [Buffer.from([0x80 + row])]);
    else harness.feeder.upsert(lines, { what: String(row) });
  }
  harness.feeder.commitConsistent(lines);
  const group = only(harness.run([sink({ from: lines.topic, table: 'lines' })]));
  await caughtUp([group], 1);
  expect(group.status()[0]?.deadLetters).toBe(3);
  expect(query('SELECT what FROM lines').map(({ what }) => what)).toEqual(['1', '2', '4', '5', '7', '8']);
});

test('with on_error: stop nothing of the transaction is written and the row is named', async () => {
  harness.feeder.upsert(orders, { id: '1' }).commitConsistent(orders);
  const group = only(harness.run([sink()], { onError: 'stop' }));
  await caughtUp([group], 1);
  harness.feeder.upsert(orders, { id: '2' });
  poison('3');
  harness.feeder.commit();
  await until('the sink stops', () => errorCode(group) === 'SINK_STOPPED');
  expect(group.status()[0]?.error?.message).toContain('{"id":3}');
  expect(query('SELECT id FROM orders')).toEqual([{ id: 1 }]);
  expect(harness.events.some(({ type }) => type === 'sink.failed')).toBe(true);
});

test('a file that somebody else has locked delays the sink and loses nothing', async () => {
  harness.feeder.upsert(orders, { id: '1' }).commitConsistent(orders);
  const group = only(harness.run([sink()]));
  await caughtUp([group], 1);
  const other = new DatabaseSync(harness.path('search.db'));
  other.exec('BEGIN IMMEDIATE');
  harness.feeder.upsert(orders, { id: '2' }).commit();
  await until('the sink is held up', () => errorCode(group) === 'SINK_FAILED');
  other.exec('ROLLBACK');
  other.close();
  await caughtUp([group], 2);
  await until('the error is gone', () => errorCode(group) === undefined);
  expect(query('SELECT id FROM orders')).toEqual([{ id: 1 }, { id: 2 }]);
});

test('a file that is removed while it is open is filled again from the log', async () => {
  harness.feeder.upsert(orders, { id: '1' }).commitConsistent(orders);
  const group = only(harness.run([sink()]));
  await caughtUp([group], 1);
  for (const suffix of ['', '-wal', '-shm'])
    renameSync(`${harness.path('search.db')}${suffix}`, `${harness.path('old.db')}${suffix}`);
  await until('the file is there again', () => {
    harness.feeder.upsert(orders, { id: '2' }).commit();
    return existsSync(harness.path('search.db'));
  });
  await caughtUp([group], harness.feeder.seq);
  await until('both rows are in the new file', () => query('SELECT id FROM orders').length === 2);
});

test('a table that is not of our making is left alone', async () => {
  const db = new DatabaseSync(harness.path('search.db'));
  db.exec("CREATE TABLE orders (precious TEXT); INSERT INTO orders VALUES ('yes')");
  db.close();
  harness.feeder.upsert(orders, { id: '1' }).commitConsistent(orders);
  const group = only(harness.run([sink()]));
  await until('the sink fails', () => errorCode(group) === 'SINK_TARGET');
  expect(query('SELECT * FROM orders')).toEqual([{ precious: 'yes' }]);
});

test('a column that SQLite cannot search by its name is refused with the way out', async () => {
  const ranks = table('ranks', { id: 'int8', rank: 'text' });
  harness.feeder.upsert(ranks, { id: '1', rank: 'x' }).commitConsistent(ranks);
  const group = only(harness.run([sink({ from: ranks.topic, table: 'ranks', search: ['rank'] })]));
  await until('the sink fails', () => errorCode(group) === 'SINK_TARGET');
  expect(group.status()[0]?.error?.hint).toContain('another name');
});

test('two sinks cannot write to one table', () => {
  expect(() => harness.run([sink(), sink({ name: 'other', table: 'ORDERS' })])).toThrow('same table');
});

test('a file that is no database, or one with other tables of our names, is refused', async () => {
  writeFileSync(harness.path('search.db'), 'not a database, but long enough to look like one '.repeat(100));
  const other = new DatabaseSync(harness.path('other.db'));
  other.exec('CREATE TABLE _tidemark (what TEXT)');
  other.close();
  harness.feeder.upsert(orders, { id: '1' }).commitConsistent(orders);
  const groups = harness.run([sink(), sink({ name: 'other', path: harness.path('other.db') })]);
  await until('both fail', () => groups.every((group) => errorCode(group) === 'SINK_TARGET'));
});

test('a second writer takes the file over and the first one stops', async () => {
  harness.feeder.upsert(orders, { id: '1' }).commitConsistent(orders);
  const first = only(harness.run([sink()]));
  await caughtUp([first], 1);
  const second = only(harness.run([sink()]));
  await until('the second has the file', () => second.status()[0]?.seq === 1);
  harness.feeder.upsert(orders, { id: '2' }).commit();
  await until('the first is fenced', () => errorCode(first) === 'SINK_FENCED');
  await caughtUp([second], 2);
  expect(query('SELECT id FROM orders')).toEqual([{ id: 1 }, { id: 2 }]);
});

test('replaying the whole log changes nothing', async () => {
  for (let round = 0; round < 3; round++) {
    for (let id = 1; id <= 20; id++)
      harness.feeder.upsert(orders, { id: String(id), customer: `${round}.${id}` }).commit();
    harness.feeder.delete(orders, { id: String(round + 1) }).commitConsistent(orders);
  }
  await harness.feeder.durable();
  const { seq } = harness.feeder;
  await caughtUp(harness.run([sink({ search: ['customer'] })]), seq);
  await harness.stop();
  const before = query('SELECT * FROM orders ORDER BY id');
  expect(before).toHaveLength(19);
  const db = new DatabaseSync(harness.path('search.db'));
  db.exec('UPDATE _tidemark SET seq = 0');
  db.close();
  await caughtUp(harness.run([sink({ search: ['customer'] })]), seq);
  await harness.stop();
  expect(query('SELECT * FROM orders ORDER BY id')).toEqual(before);
});

test('a changed definition is built anew from the log beside the old table, and then takes its place', async () => {
  harness.feeder.upsert(orders, { id: '1', customer: 'Ada' }).commitConsistent(orders);
  harness.feeder.upsert(orders, { id: '2', customer: 'Bob' }).commit();
  await caughtUp(harness.run([sink()]), 2);
  await harness.stop();
  const changed = sink({ table: 'people', columns: { id: 'id', who: 'customer' }, search: ['who'] });
  await caughtUp(harness.run([changed]), 2);
  await until('the new table is there', () => query("SELECT 1 FROM sqlite_master WHERE name = 'people'").length === 1);
  expect(query('SELECT * FROM people')).toEqual([
    { id: 1, who: 'Ada', _seq: 1 },
    { id: 2, who: 'Bob', _seq: 2 },
  ]);
  expect(() => query('SELECT * FROM orders')).toThrow('no such table');
});

test('a sink that joins a file later catches up and is then committed together with the others', async () => {
  const items = table('items', { id: 'int8' });
  for (let id = 1; id <= 50; id++) {
    harness.feeder
      .upsert(orders, { id: String(id) })
      .upsert(items, { id: String(id) })
      .commitConsistent(orders, items);
  }
  await harness.feeder.durable();
  await caughtUp(harness.run([sink()]), 50);
  await harness.stop();
  const groups = harness.run([sink(), sink({ name: 'items', from: items.topic, table: 'items' })]);
  for (let id = 51; id <= 100; id++)
    harness.feeder
      .upsert(orders, { id: String(id) })
      .upsert(items, { id: String(id) })
      .commit();
  await caughtUp(groups, 100);
  expect(groups).toHaveLength(1);
  expect(query('SELECT count(*) AS n FROM items')).toEqual([{ n: 100 }]);
  expect(query('SELECT count(*) AS n FROM orders')).toEqual([{ n: 100 }]);
  expect(query('SELECT sink, seq FROM _tidemark ORDER BY sink')).toEqual([
    { sink: 'items', seq: 100 },
    { sink: 'local', seq: 100 },
  ]);
});

test('a log that began again forces the sink to be built anew', async () => {
  harness.feeder.upsert(orders, { id: '1' }).upsert(orders, { id: '2' }).commitConsistent(orders);
  await caughtUp(harness.run([sink()]), 1);
  await harness.stop();
  const db = new DatabaseSync(harness.path('search.db'));
  db.exec("UPDATE _tidemark SET epoch = epoch - 1, seq = 900; INSERT INTO orders VALUES (77, 'ghost', 800)");
  db.close();
  const groups = harness.run([sink()]);
  await until('the ghost is gone', () => query('SELECT id FROM orders WHERE id = 77').length === 0);
  await until('the cursor is the log’s', () => groups[0]?.status()[0]?.seq === 1);
  expect(query('SELECT id FROM orders')).toEqual([{ id: 1 }, { id: 2 }]);
});
