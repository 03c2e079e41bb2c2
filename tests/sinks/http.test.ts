import { createHmac } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { Feeder, caughtUp, until } from './harness.ts';
import { HttpSuite, order, orders } from './http-harness.ts';
import { ok } from './http-receiver.ts';

let suite: HttpSuite;
beforeEach(async () => {
  suite = await HttpSuite.create();
});
afterEach(async () => suite.close());

test('an endpoint is told the whole consistent start first, then each transaction in a request of its own', async () => {
  const { feeder } = suite.harness;
  feeder.upsert(orders, order(1)).commit();
  feeder.upsert(orders, order(2)).commit();
  feeder.delete(orders, order(1)).commitConsistent(orders);
  await feeder.durable();
  const group = suite.run();
  await caughtUp([group], 3);
  feeder.upsert(orders, { id: '2', customer: 'B\n"b"', total: '2.000000000000000000001' }, 'update');
  feeder.delete(orders, order(2)).commit();
  await caughtUp([group], 4);
  expect(suite.receiver.received.map(({ text }) => text)).toEqual([
    '{"sink":"hook","seq":3,"position":"0/30","snapshot":true,"part":1,"last":true,"changes":[' +
      '{"op":"upsert","key":{"id":2},"doc":{"id":2,"customer":"Ada","total":1.50},"seq":2}]}',
    '{"sink":"hook","seq":4,"position":"0/40","changes":[' +
      '{"op":"upsert","key":{"id":2},"doc":{"id":2,"customer":"B\\n\\"b\\"","total":2.000000000000000000001},"seq":4},' +
      '{"op":"delete","key":{"id":2},"doc":null,"seq":4}]}',
  ]);
  expect(suite.receiver.received[1]?.headers).toMatchObject({
    'content-type': 'application/json',
    'user-agent': 'tidemark',
  });
  expect(suite.receiver.received[1]?.headers).not.toHaveProperty('webhook-signature');
});

test('a request of a view over several sources has the position of each', async () => {
  const writer = await suite.harness.log.writer('views');
  new Feeder(suite.harness.log, writer).upsert(orders, order(1)).piece();
  const state = { [`consistent:${orders.topic}`]: '{"seq":1}' };
  writer.commit({ position: '{"erp":"12","shop":"0/10"}', commitTimeMs: 0, snapshot: false, txId: '', state });
  await caughtUp([suite.run({ stream: 'views' })], 1);
  await suite.stop();
  await writer.close();
  expect(suite.receiver.bodies).toMatchObject([{ seq: 1, position: { erp: '12', shop: '0/10' } }]);
});

test('an eager sink sends what comes as it comes, without a start', async () => {
  suite.harness.feeder.upsert(orders, order(1), 'read').commit({}, true);
  await suite.harness.feeder.durable();
  await caughtUp([suite.run({ start: 'eager' })], 1);
  expect(suite.receiver.bodies).toMatchObject([{ seq: 1, changes: [{ key: { id: 1 } }] }]);
  expect(suite.receiver.bodies[0]).not.toHaveProperty('snapshot');
});

test('a table that is empty at its start is told as such', async () => {
  suite.harness.feeder.know(orders).commitConsistent(orders);
  await suite.harness.feeder.durable();
  await caughtUp([suite.run()], 1);
  expect(suite.receiver.bodies).toEqual([
    expect.objectContaining({ snapshot: true, part: 1, last: true, changes: [] }),
  ]);
});

test('a sink that is behind sends several whole transactions in one request, and never a half one', async () => {
  await suite.started();
  await suite.stop();
  await suite.backlog(1, 2, 3, 1, 4);
  await caughtUp([suite.run({ batch: 5 })], 6);
  // The first after a start goes alone: it may have been under way when the process ended.
  expect(suite.receiver.bodies.map(({ seq, changes }) => [seq, changes.map((change) => change.seq)])).toEqual([
    [2, [2]],
    [4, [3, 3, 4, 4, 4]],
    [6, [5, 6, 6, 6, 6]],
  ]);
  expect(suite.receiver.bodies.every((body) => !('part' in body))).toBe(true);
});

test('a transaction larger than a request goes in numbered parts, of which only the last has the position', async () => {
  const group = await suite.started({ batch: 4 });
  await suite.backlog(10, 1);
  await caughtUp([group], 3);
  expect(
    suite.receiver.bodies.map(({ seq, position, part, last, changes }) => [seq, position, part, last, changes.length]),
  ).toEqual([
    [2, null, 1, false, 4],
    [2, null, 2, false, 4],
    [2, '0/20', 3, true, 2],
    [3, '0/30', undefined, undefined, 1],
  ]);
  expect(new Set(suite.receiver.received.map(({ key }) => key)).size).toBe(4);
});

test('large rows close a request before its count does, and one that is larger than a request goes alone', async () => {
  const group = await suite.started();
  const sizes = [200_000, 200_000, 200_000, 700_000, 10];
  sizes.forEach((size, index) => suite.harness.feeder.upsert(orders, order(index, 'x'.repeat(size))).piece());
  suite.harness.feeder.commit();
  await caughtUp([group], 2);
  expect(
    suite.receiver.bodies.map(({ changes }) => changes.map(({ doc }) => String(doc?.['customer']).length)),
  ).toEqual([[200_000, 200_000], [200_000], [700_000], [10]]);
});

test('a start larger than a request goes in parts, which go on where they stopped when the endpoint comes back', async () => {
  for (let id = 1; id <= 9; id++) suite.harness.feeder.upsert(orders, order(id));
  suite.harness.feeder.commitConsistent(orders);
  await suite.harness.feeder.durable();
  suite.receiver.behave = ({ body }, index) => (body.part === 2 && index < 3 ? { status: 503 } : ok);
  await caughtUp([suite.run({ batch: 4 })], 1);
  expect(
    suite.receiver.bodies.map(({ snapshot, part, last, changes }) => [snapshot, part, last, changes.length]),
  ).toEqual([
    [true, 1, false, 4],
    [true, 2, false, 4],
    [true, 2, false, 4],
    [true, 2, false, 4],
    [true, 3, true, 1],
  ]);
  expect(new Set(suite.receiver.received.map(({ key }) => key)).size).toBe(3);
  expect(readdirSync(suite.harness.path('sinks')).filter((name) => name.includes('spool'))).toEqual([]);
});

test('a long start whose parts are taken, each in its time, is not told as stalled', async () => {
  let skewMs = 0;
  let looks = 0;
  const clock: Clock = {
    now: () => systemClock.now() + skewMs,
    monotonic: () => systemClock.monotonic() + skewMs,
    sleep: async (ms, signal) => {
      if (ms === 5_000) looks++;
      return systemClock.sleep(ms >= 30_000 ? ms : Math.min(ms, 10), signal);
    },
  };
  for (let id = 1; id <= 5; id++) suite.harness.feeder.upsert(orders, order(id));
  suite.harness.feeder.commitConsistent(orders);
  await suite.harness.feeder.durable();
  suite.receiver.behave = async () => {
    skewMs += 10_000;
    // Delivery has looked at it twice by then.
    const seen = looks;
    await until('it has been looked at', () => looks > seen + 2);
    return ok;
  };
  await caughtUp([suite.run({ batch: 1 }, { clock })], 1);
  expect(suite.receiver.received).toHaveLength(5);
  expect(suite.harness.events.filter(({ type }) => type === 'sink.stalled')).toEqual([]);
});

test('every request is signed so that a suite.receiver can tell that it is ours, and from when', async () => {
  const secret = `whsec_${Buffer.from('0123456789abcdef').toString('base64')}`;
  for (const [given, key] of [
    ['a secret', Buffer.from('a secret')],
    [secret, Buffer.from('0123456789abcdef')],
  ] as const) {
    suite.receiver.received.length = 0;
    await suite.started({ secret: given, name: `hook${key.length}` });
    await suite.stop();
    await suite.backlog(1);
    await caughtUp([suite.run({ secret: given, name: `hook${key.length}` })], suite.harness.feeder.seq);
    const { headers, text, key: id } = suite.receiver.received.at(-1) ?? expect.fail('no request');
    expect(headers['webhook-id']).toBe(id);
    expect(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000)).toBeLessThan(600);
    const signed = createHmac('sha256', key).update(`${id}.${String(headers['webhook-timestamp'])}.${text}`);
    expect(headers['webhook-signature']).toBe(`v1,${signed.digest('base64')}`);
    await suite.stop();
  }
});
