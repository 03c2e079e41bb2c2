import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import type { SqliteSinkOptions } from '../../sinks/options.ts';
import type { SinkGroup } from '../../sinks/sink-group.ts';
import type { SinkStatus } from '../../sinks/sink.ts';
import { Harness, caughtUp, table, until } from './harness.ts';

const orders = table('orders', { id: 'int8', customer: 'text' });
const lines = table('lines', { id: 'int8', text: 'text' });

async function start(): Promise<Harness> {
  const harness = await Harness.create();
  onTestFinished(async () => harness.close());
  return harness;
}

function sink(harness: Harness, of = orders, file = 'one.db'): SqliteSinkOptions {
  const { name, topic } = of;
  return { type: 'sqlite', name, from: topic, path: harness.path(file), table: name, search: [], start: 'consistent' };
}

function rows(harness: Harness, of = orders, file = 'one.db'): unknown[] {
  const db = new DatabaseSync(harness.path(file), { readOnly: true });
  const found = db.prepare(`SELECT * FROM ${of.name} ORDER BY id`).all();
  db.close();
  return found.map((row) => Object.values(row));
}

function only(groups: readonly SinkGroup[]): SinkGroup {
  const [group] = groups;
  expect(groups).toHaveLength(1);
  if (group === undefined) throw new TypeError('no group');
  return group;
}

function statusOf(group: SinkGroup, name: string): SinkStatus {
  const status = group.status().find((each) => each.name === name);
  if (status === undefined) throw new TypeError(`no sink ${name}`);
  return status;
}

test('a paused sink stands still, over a restart too, while the other on its file goes on; resumed, it catches up and joins it', async () => {
  const harness = await start();
  const { feeder } = harness;
  feeder
    .upsert(orders, { id: '1', customer: 'a' })
    .upsert(lines, { id: '1', text: 'a' })
    .commitConsistent(orders, lines);
  await feeder.durable();
  const options = [sink(harness), sink(harness, lines)];
  let group = only(harness.run(options));
  await caughtUp([group], 1);
  await group.pause('orders', true);
  feeder.upsert(orders, { id: '2', customer: 'b' }).upsert(lines, { id: '2', text: 'b' }).commit();
  await feeder.durable();
  await until('the other goes on', () => statusOf(group, 'lines').seq === 2);
  expect(statusOf(group, 'orders')).toMatchObject({ seq: 1, paused: true, error: null });

  await harness.stop();
  group = only(harness.run(options));
  feeder.upsert(orders, { id: '3', customer: 'c' }).upsert(lines, { id: '3', text: 'c' }).commit();
  await feeder.durable();
  await until('the other goes on after the restart', () => statusOf(group, 'lines').seq === 3);
  expect(statusOf(group, 'orders')).toMatchObject({ seq: 1, position: '0/10', paused: true });
  expect(rows(harness)).toEqual([[1, 'a', 1]]);

  await group.pause('orders', false);
  await caughtUp([group], 3);
  feeder.upsert(orders, { id: '4', customer: 'd' }).upsert(lines, { id: '4', text: 'd' }).commit();
  await feeder.durable();
  await caughtUp([group], 4);
  expect(rows(harness)).toEqual([
    [1, 'a', 1],
    [2, 'b', 2],
    [3, 'c', 3],
    [4, 'd', 4],
  ]);
  expect(statusOf(group, 'orders').paused).toBe(false);
});

test('a sink that is paused from the start is not opened, and can be resumed', async () => {
  const harness = await start();
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'a' }).commitConsistent(orders);
  await feeder.durable();
  let group = only(harness.run([sink(harness)]));
  await caughtUp([group], 1);
  await group.pause('orders', true);
  await harness.stop();
  group = only(harness.run([sink(harness)]));
  await until('the wish is known', () => statusOf(group, 'orders').paused);
  await group.pause('orders', false);
  await caughtUp([group], 1);
});

test('a sink that stopped for good lets the other on its file go on once it is paused', async () => {
  const harness = await start();
  const { feeder } = harness;
  feeder
    .upsert(orders, { id: '1', customer: 'a' })
    .upsert(lines, { id: '1', text: 'a' })
    .commitConsistent(orders, lines);
  feeder.upsertPacked(orders, { id: '2' }, ['2', Buffer.from([0xff])]).commit();
  feeder.upsert(lines, { id: '2', text: 'b' }).commit();
  await feeder.durable();
  const group = only(harness.run([sink(harness), sink(harness, lines)], { onError: 'stop' }));
  await until('it has stopped', () => statusOf(group, 'orders').error?.code === 'SINK_STOPPED');
  await group.pause('orders', true);
  await until('the other goes on', () => statusOf(group, 'lines').seq === 3);
  expect(statusOf(group, 'lines').error).toBeNull();
  expect(statusOf(group, 'orders')).toMatchObject({ error: null, paused: true });
});

test('a rebuild gives the same rows from the log alone, with changes that come meanwhile, and repairs what was spoilt', async () => {
  const harness = await start();
  const { feeder } = harness;
  for (let id = 1; id <= 50; id++) feeder.upsert(orders, { id: String(id), customer: 'a' }).commit();
  feeder.delete(orders, { id: '7', customer: 'a' }).commitConsistent(orders);
  await feeder.durable();
  const group = only(harness.run([sink(harness)]));
  await caughtUp([group], feeder.seq);
  const db = new DatabaseSync(harness.path('one.db'));
  db.exec('DELETE FROM orders WHERE id < 10; UPDATE orders SET customer = 5');
  db.close();
  await group.rebuild('orders');
  expect(statusOf(group, 'orders').rebuild).not.toBeNull();
  feeder.upsert(orders, { id: '51', customer: 'b' }).commit();
  await feeder.durable();
  await until('the rebuild is shown', () => statusOf(group, 'orders').rebuild === null);
  await caughtUp([group], feeder.seq);
  const expected = Array.from({ length: 51 }, (_, index) => [
    index + 1,
    index < 50 ? 'a' : 'b',
    index < 50 ? index + 1 : 52,
  ]);
  expect(rows(harness)).toEqual(expected.filter(([id]) => id !== 7));
  expect(harness.events.filter(({ type }) => type === 'sink.rebuild')).toMatchObject([
    { state: 'started' },
    { state: 'done' },
  ]);
});

test('a rebuild that was asked for and not shown is made after a restart', async () => {
  const harness = await start();
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'a' }).commitConsistent(orders);
  await feeder.durable();
  await caughtUp(harness.run([sink(harness)]), 1);
  await harness.stop();
  const db = new DatabaseSync(harness.path('one.db'));
  db.exec('DELETE FROM orders');
  db.close();
  let group = only(harness.run([sink(harness)]));
  // Wanted before anything could be done about it.
  const asked = group.rebuild('orders');
  await asked;
  await harness.stop();
  group = only(harness.run([sink(harness)]));
  await until('it is made', () => statusOf(group, 'orders').consistent && statusOf(group, 'orders').rebuild === null);
  expect(rows(harness)).toEqual([[1, 'a', 1]]);
});

/** What an SQLite user can do to refuse rows: the code is that of a constraint. */
const refusal = `CREATE TRIGGER refuse BEFORE INSERT ON orders WHEN NEW.customer = 'bad' BEGIN SELECT RAISE(ABORT, 'no bad'); END`;

function execute(harness: Harness, sql: string): void {
  const db = new DatabaseSync(harness.path('one.db'));
  db.exec(sql);
  db.close();
}

test('dead letters are written once what refused them is gone, as the log has the rows, and can be let go', async () => {
  const harness = await start();
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'a' }).commitConsistent(orders);
  await feeder.durable();
  let group = only(harness.run([sink(harness)]));
  await caughtUp([group], 1);
  execute(harness, refusal);
  for (const id of ['2', '3', '4', '5']) feeder.upsert(orders, { id, customer: 'bad' });
  feeder.commit();
  feeder.upsert(orders, { id: '3', customer: 'good' }, 'update').commit();
  feeder.upsert(orders, { id: '4', customer: 'bad' }, 'update').commit();
  await feeder.durable();
  await caughtUp([group], 4);
  const keys = async (): Promise<string[]> => (await group.deadLetters('orders')).map(({ key }) => key);
  expect((await keys()).toSorted()).toEqual(['{"id":2}', '{"id":4}', '{"id":5}']);

  // Refused again, they stay, each once, over a restart too.
  const all = async (): Promise<Set<string>> => new Set((await group.deadLetters('orders')).map(({ row }) => row));
  await group.retry('orders', await all());
  expect((await keys()).toSorted()).toEqual(['{"id":2}', '{"id":4}', '{"id":5}']);
  await harness.stop();
  group = only(harness.run([sink(harness)]));
  await caughtUp([group], 4);
  expect((await keys()).toSorted()).toEqual(['{"id":2}', '{"id":4}', '{"id":5}']);

  execute(harness, 'DROP TRIGGER refuse');
  const two = (await group.deadLetters('orders')).filter(({ key }) => key === '{"id":2}').map(({ row }) => row);
  await group.skip('orders', two);
  await group.retry('orders', await all());
  expect(await keys()).toEqual([]);
  expect(rows(harness)).toEqual([
    [1, 'a', 1],
    [3, 'good', 3],
    [4, 'bad', 4],
    [5, 'bad', 2],
  ]);
  expect(statusOf(group, 'orders')).toMatchObject({ seq: 4, deadLetters: 0, error: null });
});

test('a sink that refuses row after row stops, and goes on once somebody has put that right', async () => {
  const harness = await start();
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'a' }).commitConsistent(orders);
  await feeder.durable();
  const group = only(harness.run([sink(harness)], { deadLettersMax: 3 }));
  await caughtUp([group], 1);
  execute(harness, refusal);
  for (const id of ['2', '3', '4', '5']) feeder.upsert(orders, { id, customer: 'bad' }).commit();
  await feeder.durable();
  await until('it stops', () => statusOf(group, 'orders').error?.code === 'SINK_STOPPED');
  expect(statusOf(group, 'orders').seq).toBeLessThan(5);
  expect(statusOf(group, 'orders').deadLetters).toBeLessThan(4);
  execute(harness, 'DROP TRIGGER refuse');
  await group.pause('orders', false);
  await caughtUp([group], 5);
  expect(statusOf(group, 'orders').error).toBeNull();
  await group.retry('orders', new Set((await group.deadLetters('orders')).map(({ row }) => row)));
  expect(rows(harness)).toHaveLength(5);
});

test('a rebuild of a paused sink is refused', async () => {
  const harness = await start();
  const group = only(harness.run([sink(harness)]));
  await group.pause('orders', true);
  await expect(group.rebuild('orders')).rejects.toMatchObject({ code: 'SINK_PAUSED' });
  await expect(group.retry('orders', new Set())).rejects.toMatchObject({ code: 'SINK_PAUSED' });
});
