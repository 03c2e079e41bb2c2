import { expect, test } from 'vitest';
import { TidemarkError } from '../../base/errors.ts';
import { customers, sqliteSink, startService, until } from './harness.ts';

test('liveness answers whatever the sources do, readiness says why it is red', async () => {
  const { source, get, connected } = await startService();
  await connected();
  expect(await (await get('/healthz')).json()).toEqual({ ok: true });
  await until(async () => (await get('/readyz')).status === 200);
  source.fail(new TidemarkError('SLOT_LOST', 'the slot tidemark_shop is gone', { hint: 'Take a new snapshot.' }));
  await until(async () => (await get('/readyz')).status === 503);
  const red = await get('/readyz');
  expect(await red.json()).toEqual({
    ready: false,
    reasons: ['source shop: the slot tidemark_shop is gone'],
    notes: [],
  });
  expect((await get('/healthz')).status).toBe(200);
});

test('status has the shape of the contract', async () => {
  const { source, get, connected, service } = await startService({ sinks: (directory) => [sqliteSink(directory)] });
  await connected();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  await source.feed.durable();
  await until(async () => (await service.status()).sinks[0]?.seq === 1);
  const status: unknown = await (await get('/api/v1/status')).json();
  expect(status).toEqual({
    name: 'test',
    ready: true,
    reasons: [],
    notes: [],
    sources: [
      {
        name: 'shop',
        type: 'fed',
        position: '0/10',
        lag_bytes: 0,
        lag_seconds: 0.012,
        snapshot: {
          state: 'done',
          rows: 5,
          rows_estimated: 10,
          chunks_left: 1,
          rows_per_second: 2,
          waiting_for: null,
          tables: [{ topic: 'shop.public.customers', state: 'done', rows: 5, rows_estimated: 10 }],
        },
        consistent: true,
        error: null,
      },
    ],
    log: {
      type: 'embedded',
      bytes: expect.any(Number),
      topics: expect.any(Number),
      disk_used_percent: expect.any(Number),
    },
    views: [],
    sinks: [
      {
        name: 'search',
        type: 'sqlite',
        seq: 1,
        position: '0/10',
        lag_seconds: expect.any(Number),
        consistent: true,
        dead_letters: 0,
        paused: false,
        rebuild: null,
        error: null,
      },
    ],
  });
});

test('metrics carry the names of the contract, from events and from status', async () => {
  const { source, get, connected, service } = await startService({ sinks: (directory) => [sqliteSink(directory)] });
  await connected();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  await until(async () => (await service.status()).sinks[0]?.seq === 1);
  service.pipeline.onEvent({ type: 'sink.recovered', sink: 'search' });
  const answer = await get('/metrics');
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain/);
  const text = await answer.text();
  expect(text).toContain('tidemark_source_lag_seconds{source="shop"} 0.012');
  expect(text).toContain('tidemark_source_lag_bytes{source="shop"} 0');
  expect(text).toContain('tidemark_sink_lag_seconds{sink="search"}');
  expect(text).toContain('tidemark_sink_writes_total{sink="search",op="upsert"} 1');
  expect(text).toContain('tidemark_dead_letters{sink="search"} 0');
  expect(text).toContain('# TYPE tidemark_events_total counter');
  expect(text).toContain('# TYPE tidemark_snapshot_rows_total counter');
  expect(text).toMatch(/process_resident_memory_bytes \d+/);
});

test('an unknown path is a JSON error that lists the paths, and the console is not there yet', async () => {
  const { get } = await startService();
  const undecodable = await get('/api/v1/topics/%E0%A4%A/events');
  expect(undecodable.status).toBe(400);
  expect(await undecodable.json()).toMatchObject({ error: { code: 'REQUEST_INVALID' } });
  const long = await get(`/api/v1/topics/${'t'.repeat(191)}/events`);
  expect(await long.json()).toMatchObject({ error: { code: 'TOPIC_UNKNOWN' } });
  for (const path of ['/', '/api/v1/nothing']) {
    const answer = await get(path);
    expect(answer.status).toBe(404);
    const { error } = (await answer.json()) as { error: { code: string; hint: string } };
    expect(error.code).toBe('PATH_UNKNOWN');
    expect(error.hint).toContain('GET /api/v1/status');
  }
});

test('nothing is cached, framed or guessed by a browser', async () => {
  const { get } = await startService();
  for (const path of ['/healthz', '/api/v1/status', '/nowhere']) {
    const { headers } = await get(path);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  }
});

test('with a token, everything but health wants it', async () => {
  const { get } = await startService({ http: { token: 's3cret-token' } });
  expect((await get('/healthz')).status).toBe(200);
  expect((await get('/readyz')).status).not.toBe(401);
  for (const path of ['/metrics', '/api/v1/status', '/api/v1/topics', '/nowhere']) {
    const refused = await get(path);
    expect(refused.status, path).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('Bearer');
    expect((await get(path, { authorization: 'Bearer wrong' })).status, path).toBe(401);
    expect((await get(path, { authorization: 'Bearer s3cret-token' })).status, path).not.toBe(401);
  }
});

test('a web page cannot reach the loopback API by a name of its own', async () => {
  const { get } = await startService();
  const foreign = await get('/api/v1/status', { origin: 'https://evil.example' });
  expect(foreign.status).toBe(401);
  expect((await get('/api/v1/status', { origin: 'http://localhost:7070' })).status).toBe(200);
});

test('a snapshot is asked for by any unambiguous name, and mistakes are told', async () => {
  const { service, source, connected } = await startService();
  await connected();
  const post = async (body: string, type = 'application/json'): Promise<Response> =>
    fetch(new URL('/api/v1/snapshot', service.url), { method: 'POST', body, headers: { 'content-type': type } });
  const done = await post('{"table":"customers","where":"id > 5"}');
  expect(done.status).toBe(200);
  expect(await done.json()).toMatchObject({ table: customers.topic, source: 'shop' });
  expect(source.snapshots).toEqual([{ topic: customers.topic, where: 'id > 5' }]);
  for (const [body, status, code] of [
    ['{"table":"nothing"}', 404, 'TABLE_UNKNOWN'],
    ['{"tabel":"customers"}', 400, 'REQUEST_INVALID'],
    ['{}', 400, 'REQUEST_INVALID'],
    ['not json', 400, 'REQUEST_INVALID'],
    ['{"table":5}', 400, 'REQUEST_INVALID'],
  ] as const) {
    const answer = await post(body);
    expect(answer.status, body).toBe(status);
    expect(((await answer.json()) as { error: { code: string } }).error.code, body).toBe(code);
  }
  // The answer must not outlive the source that it waits for.
  let isAsked = false;
  source.snapshot = async () => {
    isAsked = true;
    return new Promise(() => undefined);
  };
  const hanging = post('{"table":"customers"}');
  await until(() => isAsked);
  source.fail(new TidemarkError('SLOT_LOST', 'the slot is gone'));
  const answer = await hanging;
  expect(answer.status).toBe(409);
  // A form, which a foreign page may send without asking first, is not understood.
  expect((await post('table=customers', 'application/x-www-form-urlencoded')).status).toBe(400);
  expect(source.snapshots).toHaveLength(1);
});
