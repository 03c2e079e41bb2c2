import { createHmac } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { DeadLetters } from '../../sinks/dead-letters.ts';
import { exchangeLimits } from '../../sinks/http/endpoint.ts';
import type { ExchangeLimits } from '../../sinks/http/endpoint.ts';
import { HttpTarget } from '../../sinks/http/http-target.ts';
import type { HttpSinkOptions } from '../../sinks/options.ts';
import { SinkGroup } from '../../sinks/sink-group.ts';
import { Sink } from '../../sinks/sink.ts';
import type { SinkDependencies } from '../../sinks/sink.ts';
import { Feeder, Harness, caughtUp, table, until } from './harness.ts';
import { certificate, certificateKey } from './http-certificate.ts';
import { Receiver, ok } from './http-receiver.ts';
import type { Received } from './http-receiver.ts';

const orders = table('orders', { id: 'int8', customer: 'text', total: 'numeric' });

let harness: Harness;
let receiver: Receiver;
let running: { stop: AbortController; done: Promise<void> }[] = [];
beforeEach(async () => {
  harness = await Harness.create();
  receiver = await Receiver.start();
});
afterEach(async () => {
  await stop();
  await receiver.stop();
  await harness.close();
});

function run(
  changes: Partial<HttpSinkOptions> = {},
  { limits = exchangeLimits, ...deps }: Partial<SinkDependencies> & { limits?: ExchangeLimits } = {},
): SinkGroup {
  const options: HttpSinkOptions = {
    name: 'hook',
    type: 'http',
    url: receiver.url,
    secret: null,
    batch: 500,
    from: orders.topic,
    start: 'consistent',
    ...changes,
  };
  const given = harness.dependencies(deps);
  const group = new SinkGroup([new Sink(options, given)], new HttpTarget(options, given, limits), given);
  const control = new AbortController();
  running.push({ stop: control, done: group.run(control.signal) });
  return group;
}

/** A clock on which no pause is longer than 50 ms. */
function hastened(onSleep: (ms: number) => void = () => undefined): Clock {
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic(),
    sleep: async (ms, signal) => {
      onSleep(ms);
      return systemClock.sleep(Math.min(ms, 50), signal);
    },
  };
}

async function stop(): Promise<void> {
  for (const { stop: control } of running) control.abort();
  for (const { done } of running) await done;
  running = [];
}

/** A sink that has had its start: one order. */
async function started(
  changes: Partial<HttpSinkOptions> = {},
  deps: Parameters<typeof run>[1] = {},
): Promise<SinkGroup> {
  harness.feeder.upsert(orders, order(1)).commitConsistent(orders);
  await harness.feeder.durable();
  const group = run(changes, deps);
  await caughtUp([group], 1);
  receiver.received.length = 0;
  return group;
}

function order(id: number, customer = 'Ada'): { id: string; customer: string; total: string } {
  return { id: String(id), customer, total: '1.50' };
}

/** Several transactions that the sink finds at once when it runs. */
async function backlog(...sizes: number[]): Promise<void> {
  let id = 100;
  for (const size of sizes) {
    for (let index = 0; index < size; index++) harness.feeder.upsert(orders, order(id++));
    harness.feeder.commit();
  }
  await harness.feeder.durable();
}

test('an endpoint is told the whole consistent start first, then each transaction in a request of its own', async () => {
  const { feeder } = harness;
  feeder.upsert(orders, order(1)).commit();
  feeder.upsert(orders, order(2)).commit();
  feeder.delete(orders, order(1)).commitConsistent(orders);
  await feeder.durable();
  const group = run();
  await caughtUp([group], 3);
  feeder.upsert(orders, { id: '2', customer: 'B\n"b"', total: '2.000000000000000000001' }, 'update');
  feeder.delete(orders, order(2)).commit();
  await caughtUp([group], 4);
  expect(receiver.received.map(({ text }) => text)).toEqual([
    '{"sink":"hook","seq":3,"position":"0/30","snapshot":true,"part":1,"last":true,"changes":[' +
      '{"op":"upsert","key":{"id":2},"doc":{"id":2,"customer":"Ada","total":1.50},"seq":2}]}',
    '{"sink":"hook","seq":4,"position":"0/40","changes":[' +
      '{"op":"upsert","key":{"id":2},"doc":{"id":2,"customer":"B\\n\\"b\\"","total":2.000000000000000000001},"seq":4},' +
      '{"op":"delete","key":{"id":2},"doc":null,"seq":4}]}',
  ]);
  expect(receiver.received[1]?.headers).toMatchObject({ 'content-type': 'application/json', 'user-agent': 'tidemark' });
  expect(receiver.received[1]?.headers).not.toHaveProperty('webhook-signature');
});

test('a request of a view over several sources has the position of each', async () => {
  const writer = await harness.log.writer('views');
  new Feeder(harness.log, writer).upsert(orders, order(1)).piece();
  const state = { [`consistent:${orders.topic}`]: '{"seq":1}' };
  writer.commit({ position: '{"erp":"12","shop":"0/10"}', commitTimeMs: 0, snapshot: false, txId: '', state });
  await caughtUp([run({ stream: 'views' })], 1);
  await stop();
  await writer.close();
  expect(receiver.bodies).toMatchObject([{ seq: 1, position: { erp: '12', shop: '0/10' } }]);
});

test('an eager sink sends what comes as it comes, without a start', async () => {
  harness.feeder.upsert(orders, order(1), 'read').commit({}, true);
  await harness.feeder.durable();
  await caughtUp([run({ start: 'eager' })], 1);
  expect(receiver.bodies).toMatchObject([{ seq: 1, changes: [{ key: { id: 1 } }] }]);
  expect(receiver.bodies[0]).not.toHaveProperty('snapshot');
});

test('a table that is empty at its start is told as such', async () => {
  harness.feeder.know(orders).commitConsistent(orders);
  await harness.feeder.durable();
  await caughtUp([run()], 1);
  expect(receiver.bodies).toEqual([expect.objectContaining({ snapshot: true, part: 1, last: true, changes: [] })]);
});

test('a sink that is behind sends several whole transactions in one request, and never a half one', async () => {
  await started();
  await stop();
  await backlog(1, 2, 3, 1, 4);
  await caughtUp([run({ batch: 5 })], 6);
  // The first after a start goes alone: it may have been under way when the process ended.
  expect(receiver.bodies.map(({ seq, changes }) => [seq, changes.map((change) => change.seq)])).toEqual([
    [2, [2]],
    [4, [3, 3, 4, 4, 4]],
    [6, [5, 6, 6, 6, 6]],
  ]);
  expect(receiver.bodies.every((body) => !('part' in body))).toBe(true);
});

test('a transaction larger than a request goes in numbered parts, of which only the last has the position', async () => {
  const group = await started({ batch: 4 });
  await backlog(10, 1);
  await caughtUp([group], 3);
  expect(
    receiver.bodies.map(({ seq, position, part, last, changes }) => [seq, position, part, last, changes.length]),
  ).toEqual([
    [2, null, 1, false, 4],
    [2, null, 2, false, 4],
    [2, '0/20', 3, true, 2],
    [3, '0/30', undefined, undefined, 1],
  ]);
  expect(new Set(receiver.received.map(({ key }) => key)).size).toBe(4);
});

test('large rows close a request before its count does, and one that is larger than a request goes alone', async () => {
  const group = await started();
  const sizes = [200_000, 200_000, 200_000, 700_000, 10];
  sizes.forEach((size, index) => harness.feeder.upsert(orders, order(index, 'x'.repeat(size))).piece());
  harness.feeder.commit();
  await caughtUp([group], 2);
  expect(receiver.bodies.map(({ changes }) => changes.map(({ doc }) => String(doc?.['customer']).length))).toEqual([
    [200_000, 200_000],
    [200_000],
    [700_000],
    [10],
  ]);
});

test('a start larger than a request goes in parts, which go on where they stopped when the endpoint comes back', async () => {
  for (let id = 1; id <= 9; id++) harness.feeder.upsert(orders, order(id));
  harness.feeder.commitConsistent(orders);
  await harness.feeder.durable();
  receiver.behave = ({ body }, index) => (body.part === 2 && index < 3 ? { status: 503 } : ok);
  await caughtUp([run({ batch: 4 })], 1);
  expect(receiver.bodies.map(({ snapshot, part, last, changes }) => [snapshot, part, last, changes.length])).toEqual([
    [true, 1, false, 4],
    [true, 2, false, 4],
    [true, 2, false, 4],
    [true, 2, false, 4],
    [true, 3, true, 1],
  ]);
  expect(new Set(receiver.received.map(({ key }) => key)).size).toBe(3);
  expect(readdirSync(harness.path('sinks')).filter((name) => name.includes('spool'))).toEqual([]);
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
  for (let id = 1; id <= 5; id++) harness.feeder.upsert(orders, order(id));
  harness.feeder.commitConsistent(orders);
  await harness.feeder.durable();
  receiver.behave = async () => {
    skewMs += 10_000;
    // Delivery has looked at it twice by then.
    const seen = looks;
    await until('it has been looked at', () => looks > seen + 2);
    return ok;
  };
  await caughtUp([run({ batch: 1 }, { clock })], 1);
  expect(receiver.received).toHaveLength(5);
  expect(harness.events.filter(({ type }) => type === 'sink.stalled')).toEqual([]);
});

test('whatever goes wrong on the way, the same request comes again with the same key until it is answered', async () => {
  const limits = { answerMs: 50, bodyMs: 50, stopMs: 50 };
  const group = await started({}, { limits, clock: hastened() });
  const troubles = [{ status: 500 }, { status: 408 }, { status: 404 }, { status: 301 }, 'cut', 'lost', 'hang'] as const;
  receiver.behave = (_request, index) => troubles[index] ?? ok;
  harness.feeder.upsert(orders, order(2)).commit();
  // More that comes meanwhile does not change what a request holds.
  await until('it is tried again', () => receiver.received.length > 1);
  harness.feeder.upsert(orders, order(3)).commit();
  harness.feeder.upsert(orders, order(4)).commit();
  await caughtUp([group], 4);
  const byKey = new Map<string, Received[]>();
  for (const request of receiver.received) byKey.set(request.key, [...(byKey.get(request.key) ?? []), request]);
  const requests = [...byKey.values()];
  expect(requests[0]?.length).toBeGreaterThan(troubles.length);
  for (const same of requests) expect(new Set(same.map(({ text }) => text)).size).toBe(1);
  expect(requests.map(([one]) => one?.body.changes.map(({ key }) => key['id']))).toEqual([[2], [3, 4]]);
  expect(group.status()[0]?.error).toBeNull();
});

test('an answer that breaks off after its status counts', async () => {
  const group = await started();
  receiver.behave = () => 'half';
  await backlog(1);
  await caughtUp([group], 2);
  expect(receiver.received).toHaveLength(1);
});

test('a kept connection that the endpoint closes between requests costs nothing', async () => {
  await receiver.stop();
  receiver = await Receiver.start({ keepAliveMs: 1 });
  const group = await started();
  for (let seq = 2; seq < 22; seq++) {
    harness.feeder.upsert(orders, order(seq)).commit();
    await caughtUp([group], seq);
  }
  expect(receiver.received).toHaveLength(20);
  expect(harness.events.filter(({ type }) => type === 'sink.retrying')).toEqual([]);
});

test('an endpoint is spoken to over TLS once its certificate is trusted, and not before', async () => {
  await receiver.stop();
  receiver = await Receiver.start({ tls: { key: certificateKey, cert: certificate } });
  harness.feeder.upsert(orders, order(1)).commitConsistent(orders);
  await harness.feeder.durable();
  const group = run({}, { clock: hastened() });
  await until('the sink fails', () => group.status()[0]?.error?.message.includes('self-signed certificate') === true);
  expect(receiver.received).toEqual([]);
  const trusted = getCACertificates('default');
  setDefaultCACertificates([certificate]);
  onTestFinished(() => setDefaultCACertificates(trusted));
  await caughtUp([group], 1);
  expect(receiver.received).toHaveLength(1);
});

test('status says what the endpoint answered, without what the url may hide', async () => {
  const url = receiver.url.replace('127', 'me:hush@127') + '?token=hush';
  const group = await started({ url });
  receiver.behave = () => ({
    status: 302,
    headers: { location: 'https://elsewhere/' },
    body: '<h1>Moved</h1>\r\n\u0007',
  });
  await backlog(1);
  await until('the sink fails', () => group.status()[0]?.error !== null);
  const { error } = group.status()[0] ?? {};
  expect(error?.code).toBe('SINK_FAILED');
  expect(error?.message).toBe(`Sink 'hook': ${receiver.url} answered 302 Found: <h1>Moved</h1>`);
  expect(error?.hint).toContain('https://elsewhere/');
  expect(JSON.stringify(error)).not.toContain('hush');
  expect(receiver.received[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:hush').toString('base64')}`);
});

test('Retry-After is waited for', async () => {
  const slept: number[] = [];
  const group = await started({}, { clock: hastened((ms) => slept.push(ms)) });
  const date = new Date(Date.now() + 900_000).toUTCString();
  const answers = [
    { status: 429, headers: { 'retry-after': '120' } },
    { status: 503, headers: { 'retry-after': date } },
    { status: 503, headers: { 'retry-after': '999999' } },
  ];
  receiver.behave = (_request, index) => answers[index] ?? ok;
  await backlog(1);
  await caughtUp([group], 2);
  expect(slept.flatMap((ms) => (ms > 60_000 ? Math.round(ms / 60_000) : []))).toEqual([2, 15, 60]);
});

test('a transaction that the endpoint refuses is set aside as a whole, found among those sent with it, and the rest goes on', async () => {
  await started();
  await stop();
  receiver.behave = ({ body }) =>
    body.changes.some(({ key }) => key['id'] === 103) ? { status: 422, body: '{"error":"no such customer"}' } : ok;
  await backlog(1, 2, 2, 1);
  await caughtUp([run()], 5);
  expect(receiver.bodies.map(({ seq, changes }) => [seq, changes.length])).toEqual([
    [2, 1],
    [5, 5],
    [3, 2],
    [4, 2],
    [5, 1],
  ]);
  await stop();
  const letters = new DeadLetters(harness.dependencies().files, harness.path('sinks'), 'hook');
  await letters.load();
  await letters.close();
  expect(letters.list().map(({ key, seq, topic, reason }) => [key, seq, topic, reason])).toEqual(
    [103, 104].map((id) => [
      `{"id":${id}}`,
      4,
      orders.topic,
      'refused, with the 1 other changes of its transaction: 422 Unprocessable Entity: {"error":"no such customer"}',
    ]),
  );
  // A later change of a row settles its letter.
  harness.feeder.upsert(orders, order(104), 'update').commit();
  const group = run();
  await caughtUp([group], 6);
  expect(group.status()[0]?.deadLetters).toBe(1);
});

test('with on_error: stop a refused transaction stops the sink', async () => {
  const group = await started({}, { onError: 'stop' });
  receiver.behave = () => ({ status: 400 });
  await backlog(1);
  await until('the sink stops', () => group.status()[0]?.error?.code === 'SINK_STOPPED');
  expect(group.status()[0]).toMatchObject({ seq: 1, deadLetters: 0 });
});

test('a request that is too large is no reason to lose a transaction, unless it is one row', async () => {
  const group = await started();
  receiver.behave = ({ body }) => (body.changes.length > 2 ? { status: 413 } : ok);
  await backlog(3);
  await until('the sink fails', () => group.status()[0]?.error?.hint?.includes('batch') === true);
  expect(group.status()[0]).toMatchObject({ seq: 1, deadLetters: 0 });
  await stop();
  const again = run({ batch: 2 });
  await caughtUp([again], 2);
  receiver.behave = () => ({ status: 413 });
  await backlog(1);
  await caughtUp([again], 3);
  expect(again.status()[0]?.deadLetters).toBe(1);
});

test('a transaction in parts is not set aside when a part is refused: the sink waits, and goes on with that part', async () => {
  const group = await started({ batch: 2 });
  let refuses = true;
  receiver.behave = ({ body }) => (refuses && body.part === 2 ? { status: 400, body: 'no' } : ok);
  await backlog(5);
  await until('the sink fails', () => group.status()[0]?.error?.message.includes('part 2 of transaction 2') === true);
  refuses = false;
  await caughtUp([group], 2);
  const parts = receiver.bodies.map(({ part }) => part);
  expect(parts.filter((part) => part === 1)).toHaveLength(1);
  expect(parts.slice(-2)).toEqual([2, 3]);
});

test('a row that has no JSON is set aside, and the rest of its transaction goes on', async () => {
  const group = await started();
  harness.feeder.upsert(orders, order(2));
  harness.feeder.upsertPacked(orders, order(3), ['3', Buffer.from([0xff]), '1']).commit();
  await caughtUp([group], 2);
  expect(receiver.bodies).toMatchObject([{ seq: 2, changes: [{ key: { id: 2 } }] }]);
  expect(group.status()[0]?.deadLetters).toBe(1);
});

test('every request is signed so that a receiver can tell that it is ours, and from when', async () => {
  const secret = `whsec_${Buffer.from('0123456789abcdef').toString('base64')}`;
  for (const [given, key] of [
    ['a secret', Buffer.from('a secret')],
    [secret, Buffer.from('0123456789abcdef')],
  ] as const) {
    receiver.received.length = 0;
    await started({ secret: given, name: `hook${key.length}` });
    await stop();
    await backlog(1);
    await caughtUp([run({ secret: given, name: `hook${key.length}` })], harness.feeder.seq);
    const { headers, text, key: id } = receiver.received.at(-1) ?? expect.fail('no request');
    expect(headers['webhook-id']).toBe(id);
    expect(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000)).toBeLessThan(600);
    const signed = createHmac('sha256', key).update(`${id}.${String(headers['webhook-timestamp'])}.${text}`);
    expect(headers['webhook-signature']).toBe(`v1,${signed.digest('base64')}`);
    await stop();
  }
});

test('a service that stops does not wait long for an endpoint that does not answer, nor for its Retry-After', async () => {
  const group = await started({}, { limits: { answerMs: 3_600_000, bodyMs: 50, stopMs: 50 } });
  receiver.behave = () => 'hang';
  await backlog(1);
  await until('the request is under way', () => receiver.received.length === 1);
  await stop();
  expect(group.status()[0]?.seq).toBe(1);
  receiver.behave = () => ({ status: 503, headers: { 'retry-after': '3600' } });
  run();
  await until('it has come again', () => receiver.received.length === 2);
  await until('the answer has come', () => harness.events.some(({ type }) => type === 'sink.retrying'));
  await stop();
  expect(receiver.received[1]?.key).toBe(receiver.received[0]?.key);
});
