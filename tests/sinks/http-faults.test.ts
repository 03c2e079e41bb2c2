import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { DeadLetters } from '../../sinks/dead-letters.ts';
import { caughtUp, until } from './harness.ts';
import { certificate, certificateKey } from './http-certificate.ts';
import { HttpSuite, hastened, order, orders } from './http-harness.ts';
import { Receiver, ok } from './http-receiver.ts';
import type { Received } from './http-receiver.ts';

let suite: HttpSuite;
beforeEach(async () => {
  suite = await HttpSuite.create();
});
afterEach(async () => suite.close());

test('whatever goes wrong on the way, the same request comes again with the same key until it is answered', async () => {
  const limits = { answerMs: 900, bodyMs: 50, stopMs: 50 };
  const group = await suite.started({}, { limits, clock: hastened(() => undefined, limits.answerMs) });
  const troubles = [{ status: 500 }, { status: 408 }, { status: 404 }, { status: 301 }, 'cut', 'lost', 'hang'] as const;
  suite.receiver.behave = (_request, index) => troubles[index] ?? ok;
  suite.harness.feeder.upsert(orders, order(2)).commit();
  // More that comes meanwhile does not change what a request holds.
  await until('it is tried again', () => suite.receiver.received.length > 1);
  suite.harness.feeder.upsert(orders, order(3)).commit();
  suite.harness.feeder.upsert(orders, order(4)).commit();
  await caughtUp([group], 4);
  const byKey = new Map<string, Received[]>();
  for (const request of suite.receiver.received) byKey.set(request.key, [...(byKey.get(request.key) ?? []), request]);
  const requests = [...byKey.values()];
  expect(requests[0]?.length).toBeGreaterThan(troubles.length);
  for (const same of requests) expect(new Set(same.map(({ text }) => text)).size).toBe(1);
  expect(requests.map(([one]) => one?.body.changes.map(({ key }) => key['id']))).toEqual([[2], [3, 4]]);
  expect(group.status()[0]?.error).toBeNull();
});

test('an answer that breaks off after its status counts', async () => {
  const group = await suite.started();
  suite.receiver.behave = () => 'half';
  await suite.backlog(1);
  await caughtUp([group], 2);
  expect(suite.receiver.received).toHaveLength(1);
});

test('a kept connection that the endpoint closes between requests costs nothing', async () => {
  await suite.receiver.stop();
  suite.receiver = await Receiver.start({ keepAliveMs: 1 });
  const group = await suite.started();
  for (let seq = 2; seq < 22; seq++) {
    suite.harness.feeder.upsert(orders, order(seq)).commit();
    await caughtUp([group], seq);
  }
  expect(suite.receiver.received).toHaveLength(20);
  expect(suite.harness.events.filter(({ type }) => type === 'sink.retrying')).toEqual([]);
});

test('an endpoint is spoken to over TLS once its certificate is trusted, and not before', async () => {
  await suite.receiver.stop();
  suite.receiver = await Receiver.start({ tls: { key: certificateKey, cert: certificate } });
  suite.harness.feeder.upsert(orders, order(1)).commitConsistent(orders);
  await suite.harness.feeder.durable();
  const group = suite.run({}, { clock: hastened() });
  await until('the sink fails', () => group.status()[0]?.error?.message.includes('self-signed certificate') === true);
  expect(suite.receiver.received).toEqual([]);
  const trusted = getCACertificates('default');
  setDefaultCACertificates([certificate]);
  onTestFinished(() => setDefaultCACertificates(trusted));
  await caughtUp([group], 1);
  expect(suite.receiver.received).toHaveLength(1);
});

test('status says what the endpoint answered, without what the url may hide', async () => {
  const url = suite.receiver.url.replace('127', 'me:hush@127') + '?token=hush';
  const group = await suite.started({ url });
  suite.receiver.behave = () => ({
    status: 302,
    headers: { location: 'https://elsewhere/' },
    body: '<h1>Moved</h1>\r\n\u0007',
  });
  await suite.backlog(1);
  await until('the sink fails', () => group.status()[0]?.error !== null);
  const { error } = group.status()[0] ?? {};
  expect(error?.code).toBe('SINK_FAILED');
  expect(error?.message).toBe(`Sink 'hook': ${suite.receiver.url} answered 302 Found: <h1>Moved</h1>`);
  expect(error?.hint).toContain('https://elsewhere/');
  expect(JSON.stringify(error)).not.toContain('hush');
  expect(suite.receiver.received[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:hush').toString('base64')}`);
});

test('Retry-After is waited for', async () => {
  const slept: number[] = [];
  const group = await suite.started({}, { clock: hastened((ms) => slept.push(ms)) });
  const date = new Date(Date.now() + 900_000).toUTCString();
  const answers = [
    { status: 429, headers: { 'retry-after': '120' } },
    { status: 503, headers: { 'retry-after': date } },
    { status: 503, headers: { 'retry-after': '999999' } },
  ];
  suite.receiver.behave = (_request, index) => answers[index] ?? ok;
  await suite.backlog(1);
  await caughtUp([group], 2);
  expect(slept.flatMap((ms) => (ms > 60_000 ? Math.round(ms / 60_000) : []))).toEqual([2, 15, 60]);
});

test('a transaction that the endpoint refuses is set aside as a whole, found among those sent with it, and the rest goes on', async () => {
  await suite.started();
  await suite.stop();
  suite.receiver.behave = ({ body }) =>
    body.changes.some(({ key }) => key['id'] === 103) ? { status: 422, body: '{"error":"no such customer"}' } : ok;
  await suite.backlog(1, 2, 2, 1);
  await caughtUp([suite.run()], 5);
  expect(suite.receiver.bodies.map(({ seq, changes }) => [seq, changes.length])).toEqual([
    [2, 1],
    [5, 5],
    [3, 2],
    [4, 2],
    [5, 1],
  ]);
  await suite.stop();
  const letters = new DeadLetters(suite.harness.dependencies().files, suite.harness.path('sinks'), 'hook');
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
  suite.harness.feeder.upsert(orders, order(104), 'update').commit();
  const group = suite.run();
  await caughtUp([group], 6);
  expect(group.status()[0]?.deadLetters).toBe(1);
});

test('with on_error: stop a refused transaction stops the sink', async () => {
  const group = await suite.started({}, { onError: 'stop' });
  suite.receiver.behave = () => ({ status: 400 });
  await suite.backlog(1);
  await until('the sink stops', () => group.status()[0]?.error?.code === 'SINK_STOPPED');
  expect(group.status()[0]).toMatchObject({ seq: 1, deadLetters: 0 });
});

test('a request that is too large is no reason to lose a transaction, unless it is one row', async () => {
  const group = await suite.started();
  suite.receiver.behave = ({ body }) => (body.changes.length > 2 ? { status: 413 } : ok);
  await suite.backlog(3);
  await until('the sink fails', () => group.status()[0]?.error?.hint?.includes('batch') === true);
  expect(group.status()[0]).toMatchObject({ seq: 1, deadLetters: 0 });
  await suite.stop();
  const again = suite.run({ batch: 2 });
  await caughtUp([again], 2);
  suite.receiver.behave = () => ({ status: 413 });
  await suite.backlog(1);
  await caughtUp([again], 3);
  expect(again.status()[0]?.deadLetters).toBe(1);
});

test('a transaction in parts is not set aside when a part is refused: the sink waits, and goes on with that part', async () => {
  const group = await suite.started({ batch: 2 });
  let refuses = true;
  suite.receiver.behave = ({ body }) => (refuses && body.part === 2 ? { status: 400, body: 'no' } : ok);
  await suite.backlog(5);
  await until('the sink fails', () => group.status()[0]?.error?.message.includes('part 2 of transaction 2') === true);
  refuses = false;
  await caughtUp([group], 2);
  const parts = suite.receiver.bodies.map(({ part }) => part);
  expect(parts.filter((part) => part === 1)).toHaveLength(1);
  expect(parts.slice(-2)).toEqual([2, 3]);
});

test('a row that has no JSON is set aside, and the rest of its transaction goes on', async () => {
  const group = await suite.started();
  suite.harness.feeder.upsert(orders, order(2));
  suite.harness.feeder.upsertPacked(orders, order(3), ['3', Buffer.from([0xff]), '1']).commit();
  await caughtUp([group], 2);
  expect(suite.receiver.bodies).toMatchObject([{ seq: 2, changes: [{ key: { id: 2 } }] }]);
  expect(group.status()[0]?.deadLetters).toBe(1);
});

test('a service that stops does not wait long for an endpoint that does not answer, nor for its Retry-After', async () => {
  const group = await suite.started({}, { limits: { answerMs: 3_600_000, bodyMs: 50, stopMs: 50 } });
  suite.receiver.behave = () => 'hang';
  await suite.backlog(1);
  await until('the request is under way', () => suite.receiver.received.length === 1);
  await suite.stop();
  expect(group.status()[0]?.seq).toBe(1);
  suite.receiver.behave = () => ({ status: 503, headers: { 'retry-after': '3600' } });
  suite.run();
  await until('it has come again', () => suite.receiver.received.length === 2);
  await until('the answer has come', () => suite.harness.events.some(({ type }) => type === 'sink.retrying'));
  await suite.stop();
  expect(suite.receiver.received[1]?.key).toBe(suite.receiver.received[0]?.key);
});
