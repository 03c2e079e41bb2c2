import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import type { HttpSinkOptions, SqliteSinkOptions } from '../../sinks/options.ts';
import type { SinkStatus } from '../../sinks/sink.ts';
import type { SinkGroup } from '../../sinks/sink-group.ts';
import { Harness, caughtUp, table, until } from './harness.ts';
import { Receiver, ok } from './http-receiver.ts';

const orders = table('orders', { id: 'int8', customer: 'text' });

async function begin(options: Parameters<typeof Harness.create>[0] = {}): Promise<Harness> {
  const harness = await Harness.create(options);
  onTestFinished(async () => harness.close());
  return harness;
}

async function receive(port?: number): Promise<Receiver> {
  const receiver = await Receiver.start(port === undefined ? {} : { port });
  onTestFinished(async () => receiver.stop());
  return receiver;
}

function local(harness: Harness): SqliteSinkOptions {
  const path = harness.path('local.db');
  return { type: 'sqlite', name: 'local', from: orders.topic, path, table: 'orders', search: [], start: 'consistent' };
}

function hook({ url }: Receiver): HttpSinkOptions {
  return { type: 'http', name: 'hook', from: orders.topic, url, secret: null, batch: 500, start: 'consistent' };
}

function statusOf(groups: readonly SinkGroup[], name: string): SinkStatus {
  const found = groups.flatMap((group) => group.status()).find((sink) => sink.name === name);
  if (found === undefined) throw new TypeError(`no sink ${name}`);
  return found;
}

/** What an endpoint that does as the documentation says holds of rows by now. */
function heldBy(receivers: readonly Receiver[]): Map<unknown, unknown> {
  const rows = new Map<unknown, unknown>();
  for (const { key, doc } of receivers.flatMap(({ bodies }) => bodies.flatMap(({ changes }) => changes))) {
    if (doc === null) rows.delete(key['id']);
    else rows.set(key['id'], doc['customer']);
  }
  return rows;
}

function rowsOf(harness: Harness): Map<unknown, unknown> {
  const db = new DatabaseSync(harness.path('local.db'), { readOnly: true });
  const rows = db.prepare('SELECT id, customer FROM orders').all();
  db.close();
  return new Map(rows.map(({ id, customer }) => [id, customer]));
}

/** A clock of which minutes can pass at once, and on which nobody loses patience with an answer. */
class PatientClock implements Clock {
  skewMs = 0;
  now(): number {
    return systemClock.now() + this.skewMs;
  }
  monotonic(): number {
    return systemClock.monotonic() + this.skewMs;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms >= 30_000 ? 3_600_000 : Math.min(ms, 20), signal);
  }
}

test('a sink whose target hangs for minutes turns red with the reason, holds up nobody, and goes on from the log', async () => {
  const harness = await begin();
  const { feeder } = harness;
  const first = await receive();
  const clock = new PatientClock();
  feeder.upsert(orders, { id: '1', customer: 'a' }).commitConsistent(orders);
  await feeder.durable();
  const groups = harness.run([hook(first), local(harness)], { clock });
  await caughtUp(groups, 1);

  first.behave = () => 'hang';
  for (let id = 1; id <= 3_000; id++)
    feeder.upsert(orders, { id: String(id % 50), customer: `b${id}` }, 'update').commit();
  await feeder.durable();
  await until('the other goes on', () => statusOf(groups, 'local').seq === feeder.seq);
  await until('a request hangs', () => first.received.length > 1);
  expect(statusOf(groups, 'hook')).toMatchObject({ seq: 1, error: null });
  clock.skewMs += 10 * 60_000;
  expect(statusOf(groups, 'hook')).toMatchObject({ seq: 1, error: { code: 'SINK_STALLED' } });
  expect(statusOf(groups, 'hook').error?.message).toMatch(/^sink 'hook' has been at one write for 60\d s$/);
  expect(statusOf(groups, 'hook').lagSeconds).toBeGreaterThan(500);
  await until('it is told', () => harness.events.some(({ type }) => type === 'sink.stalled'));
  expect(harness.events.filter(({ type }) => type === 'sink.stalled')).toMatchObject([{ sink: 'hook' }]);
  feeder.delete(orders, { id: '7' }).commit();
  await feeder.durable();
  await until('the other still goes on', () => statusOf(groups, 'local').seq === feeder.seq);
  expect(statusOf(groups, 'local').error).toBeNull();

  // Paused, it is red no more; resumed, with an endpoint that answers, it has everything.
  await groups[0]?.pause('hook', true);
  expect(statusOf(groups, 'hook')).toMatchObject({ error: null, paused: true });
  const { port } = first;
  await first.stop();
  const second = await receive(port);
  second.behave = () => ok;
  await groups[0]?.pause('hook', false);
  await caughtUp(groups, feeder.seq);
  expect(heldBy([first, second])).toEqual(rowsOf(harness));
  expect(statusOf(groups, 'hook').error).toBeNull();
});

test('a log whose sink is down is compacted all the same, and the sink gets the sum of what it missed', async () => {
  const harness = await begin({ segmentBytes: 32 * 1024, compactBytes: 64 * 1024, retainBytes: 256 * 1024 });
  const { feeder, log } = harness;
  const first = await receive();
  feeder.upsert(orders, { id: '0', customer: 'a' }).commitConsistent(orders);
  await feeder.durable();
  const groups = harness.run([hook(first), local(harness)]);
  await caughtUp(groups, 1);
  const { port } = first;
  await first.stop();
  // Two hundred keys written over and over, and every tenth deleted at the end of its round.
  let most = 0;
  for (let round = 1; round <= 100; round++) {
    for (let id = 1; id <= 200; id++) {
      if (id % 10 === 0 && round % 2 === 0) feeder.delete(orders, { id: String(id) });
      else feeder.upsert(orders, { id: String(id), customer: `${round} ${'x'.repeat(100)}` }, 'update');
      if (id % 20 === 0) feeder.commit();
    }
    await feeder.durable();
    await until('the other goes on', () => statusOf(groups, 'local').seq === feeder.seq);
    most = Math.max(
      most,
      (await log.topics()).reduce((sum, { bytes }) => sum + bytes, 0),
    );
  }
  await until('the sink that is down is red', () => statusOf(groups, 'hook').error?.code === 'SINK_FAILED');
  // Three megabytes were written.
  expect(most).toBeLessThan(1_000_000);
  const second = await receive(port);
  await until('it has caught up', () => statusOf(groups, 'hook').seq === feeder.seq);
  expect(heldBy([first, second])).toEqual(rowsOf(harness));
  expect(rowsOf(harness).size).toBe(181);
});

test('a rebuild lets go of dead letters of rows that are gone', async () => {
  const harness = await begin();
  const { feeder } = harness;
  const receiver = await receive();
  feeder.upsert(orders, { id: '1', customer: 'a' }).upsert(orders, { id: '2', customer: 'b' }).commitConsistent(orders);
  await feeder.durable();
  const groups = harness.run([hook(receiver)]);
  await caughtUp(groups, 1);
  receiver.behave = () => ({ status: 422, body: 'no' });
  feeder.delete(orders, { id: '1', customer: 'a' }).upsert(orders, { id: '2', customer: 'c' }).commit();
  await feeder.durable();
  await caughtUp(groups, 2);
  expect(statusOf(groups, 'hook').deadLetters).toBe(2);
  receiver.behave = () => ok;
  await groups[0]?.rebuild('hook');
  await until('it is rebuilt', () => statusOf(groups, 'hook').rebuild === null);
  expect(statusOf(groups, 'hook').deadLetters).toBe(0);
  expect(receiver.bodies.at(-1)).toMatchObject({ snapshot: true, changes: [{ doc: { id: 2, customer: 'c' } }] });
});

test('rows and deletes that an endpoint refused are sent again under other keys', async () => {
  const harness = await begin();
  const { feeder } = harness;
  const receiver = await receive();
  feeder.upsert(orders, { id: '1', customer: 'a' }).commitConsistent(orders);
  await feeder.durable();
  const groups = harness.run([hook(receiver)]);
  await caughtUp(groups, 1);
  receiver.behave = () => ({ status: 422, body: 'not today' });
  feeder.upsert(orders, { id: '2', customer: 'b' }).upsert(orders, { id: '3', customer: 'c' });
  feeder.delete(orders, { id: '1', customer: 'a' }).commit();
  await feeder.durable();
  await caughtUp(groups, 2);
  receiver.behave = () => ok;
  const letters = (await groups[0]?.deadLetters('hook')) ?? [];
  expect(letters.map(({ key }) => key)).toEqual(['{"id":2}', '{"id":3}', '{"id":1}']);
  await groups[0]?.retry('hook', new Set(letters.map(({ row }) => row)));
  expect(statusOf(groups, 'hook').deadLetters).toBe(0);
  const keys = receiver.received.map(({ key }) => key);
  expect(new Set(keys).size).toBe(keys.length);
  expect(receiver.bodies.at(-2)).toMatchObject({ seq: 2, changes: [{ doc: { id: 2 } }, { doc: { id: 3 } }] });
  expect(receiver.bodies.at(-1)).toMatchObject({ seq: 2, changes: [{ op: 'delete', key: { id: 1 }, seq: 2 }] });
});
