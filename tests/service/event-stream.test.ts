import { expect, test } from 'vitest';
import { customers, startService } from './harness.ts';
import type { TestService } from './harness.ts';
import { table } from '../sinks/harness.ts';

const orders = table('orders', { id: 'int8', name: 'text' });

interface Got {
  readonly id: string;
  readonly seq: number;
  readonly after: Record<string, unknown> | null;
}

/** Reads events until `count` have come or the stream ends. */
async function read(service: TestService, query: string, count: number, lastId?: string): Promise<Got[]> {
  const headers: Record<string, string> = lastId === undefined ? {} : { 'last-event-id': lastId };
  const response = await service.get(`/api/v1/topics/customers/events${query}`, headers);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const got: Got[] = [];
  let rest = '';
  for await (const part of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + part).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      if (block.includes('event: end')) return got;
      const id = /^id: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (id === undefined || data === undefined) continue;
      got.push({ id, ...(JSON.parse(data) as { seq: number; after: Record<string, unknown> | null }) });
      if (got.length === count) return got;
    }
  }
  return got;
}

async function fed(): Promise<TestService> {
  const service = await startService();
  await service.connected();
  const { feed } = service.source;
  feed.upsert(customers, { id: '1', name: 'Ada' }).upsert(customers, { id: '2', name: 'Bob' }).commit();
  feed.upsert(orders, { id: '1', name: 'not this topic' }).commit();
  feed.upsert(customers, { id: '3', name: 'Cyd' }).upsert(orders, { id: '2', name: 'nor this' });
  feed.upsert(customers, { id: '4', name: 'Dan' }).commit();
  await feed.durable();
  return service;
}

test('a topic is read from its beginning, in commit order, other topics left out', async () => {
  const service = await fed();
  const got = await read(service, '?from=beginning&follow=false', 99);
  expect(got.map(({ seq, after }) => [seq, after?.['id']])).toEqual([
    [1, 1],
    [1, 2],
    [3, 3],
    [3, 4],
  ]);
});

test('after a broken connection, the stream goes on behind the last event, inside a transaction too', async () => {
  const service = await fed();
  const whole = await read(service, '?from=beginning&follow=false', 99);
  for (const [index, { id }] of whole.entries()) {
    const rest = await read(service, '?follow=false', 99, id);
    expect(rest.map((event) => event.after?.['id'])).toEqual(
      whole.slice(index + 1).map((event) => event.after?.['id']),
    );
  }
});

test('from a number means from that transaction on', async () => {
  const service = await fed();
  expect((await read(service, '?from=2&follow=false', 99)).map(({ seq }) => seq)).toEqual([3, 3]);
  expect((await read(service, '?from=3&follow=false', 99)).map(({ seq }) => seq)).toEqual([3, 3]);
});

test('from now shows only what comes later', async () => {
  const service = await fed();
  const later = read(service, '?from=now', 1);
  const { feed } = service.source;
  // The stream may open a moment after the first of these commits; it shows the first one that follows.
  const feeding = setInterval(() => feed.upsert(customers, { id: '9', name: 'Zoe' }).commit(), 20);
  try {
    expect((await later)[0]?.after).toMatchObject({ id: 9, name: 'Zoe' });
  } finally {
    clearInterval(feeding);
  }
});

test('mistakes are answered before the stream begins', async () => {
  const service = await fed();
  for (const [path, headers, status, code] of [
    ['/api/v1/topics/nothing/events', {}, 404, 'TOPIC_UNKNOWN'],
    ['/api/v1/topics/customers/events?from=yesterday', {}, 400, 'REQUEST_INVALID'],
    ['/api/v1/topics/customers/events?follow=perhaps', {}, 400, 'REQUEST_INVALID'],
    ['/api/v1/topics/customers/events', { 'last-event-id': 'banana' }, 400, 'REQUEST_INVALID'],
  ] as const) {
    const answer = await service.get(path, headers);
    expect(answer.status, path).toBe(status);
    expect(((await answer.json()) as { error: { code: string } }).error.code, path).toBe(code);
  }
});

test('open streams end when the service stops', async () => {
  const service = await fed();
  const open = read(service, '?from=beginning', 99);
  await service.get('/healthz');
  await service.service.stop();
  expect((await open.catch(() => [])).length).toBeLessThanOrEqual(4);
});
