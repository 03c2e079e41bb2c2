import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { customers, sqliteSink, startService, until } from './harness.ts';

const sinks = (directory: string) => [sqliteSink(directory)];

async function verifying() {
  const started = await startService({ sinks });
  await started.connected();
  for (let id = 1; id <= 20; id++) started.source.feed.upsert(customers, { id: String(id), name: `name ${id}` });
  started.source.feed.commitConsistent(customers);
  await until(async () => (await started.service.status()).sinks[0]?.seq === 1);
  const meddle = (sql: string): void => {
    const file = new DatabaseSync(join(started.directory, 'search.db'), { timeout: 10_000 });
    file.exec(sql);
    file.close();
  };
  const post = async (sink: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> => {
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    const url = new URL(`/api/v1/sinks/${sink}/verify`, started.service.url);
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    return fetch(url, { method: 'POST', headers: { ...json, ...headers }, ...text });
  };
  return { ...started, meddle, post };
}

test('a sink of a source that cannot be read again is compared with the log, and repaired from it', async () => {
  const { meddle, post } = await verifying();
  meddle("DELETE FROM customers WHERE id = 3; UPDATE customers SET name = 'x' WHERE id = 4");
  const answer = await post('search');
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({
    sink: 'search',
    rows: 20,
    missing: [{ id: 3 }],
    extra: [],
    different: [{ id: 4 }],
    repaired: 0,
    against: 'log',
    counts: { missing: 1, extra: 0, different: 1 },
    cut: false,
    log_differs: 0,
    order_only: 0,
    unsettled: 0,
    tables: [],
    notes: [expect.stringContaining('cannot be read again')],
    took_ms: expect.any(Number),
  });
  expect(await (await post('search', { repair: true })).json()).toMatchObject({ repaired: 2 });
  expect(await (await post('search', {})).json()).toMatchObject({ missing: [], different: [] });
});

test('a row that the sink cannot hold is missing from it, and a repair says that it is refused', async () => {
  const { post, source, service } = await verifying();
  source.feed.upsertPacked(customers, { id: '7' }, ['7', Buffer.from([0x61, 0xff])]).commit();
  await until(async () => (await service.status()).sinks[0]?.dead_letters === 1);
  expect(await (await post('search')).json()).toMatchObject({ missing: [], different: [{ id: 7 }] });
  expect(await (await post('search', { repair: true })).json()).toMatchObject({
    different: [{ id: 7 }],
    repaired: 0,
    notes: [expect.any(String), expect.stringContaining('refuses 1 of these rows')],
  });
});

test('progress and answer come by lines where lines are asked for, and an error as the last of them', async () => {
  const { post } = await verifying();
  const headers = { accept: 'application/x-ndjson' };
  const lines = (await (await post('search', undefined, headers)).text()).trimEnd().split('\n');
  expect(JSON.parse(lines[0] ?? '')).toHaveProperty('progress');
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ sink: 'search', rows: 20 });
  const missing = await post('nothing', undefined, headers);
  expect([missing.status, await missing.json()]).toMatchObject([404, { error: { code: 'SINK_UNKNOWN' } }]);
});

test('mistakes in the request are told', async () => {
  const { post } = await verifying();
  for (const body of [{ repair: 'yes' }, { all: true }, [1]]) {
    const answer = await post('search', body);
    expect(answer.status, JSON.stringify(body)).toBe(400);
  }
});

test('a verify ends when its client goes away, without an error in the log', async () => {
  const { service, source, logged } = await verifying();
  // The source's position cannot be had, so that the verify waits.
  source.idleAt = 'FF/0';
  const client = new AbortController();
  const url = new URL('/api/v1/sinks/search/verify', service.url);
  const gone = fetch(url, { method: 'POST', signal: client.signal }).catch((error: unknown) => error);
  await fetch(new URL('/healthz', service.url));
  client.abort();
  expect(await gone).toBeInstanceOf(Error);
  await service.stop();
  expect(logged.filter((line) => line.includes('"level":"error"'))).toEqual([]);
});
