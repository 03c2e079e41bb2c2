import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { TidemarkError } from '../../base/errors.ts';
import { waitForSink } from '../../service/wait.ts';
import { customers, sqliteSink, startService, until } from './harness.ts';

const sinks = (directory: string) => [sqliteSink(directory)];

async function waiting(options = {}) {
  const started = await startService({ sinks, ...options });
  await started.connected();
  return started;
}

test('a wait for a position that the sink holds returns at once, with the position it has', async () => {
  const { source, get, service } = await waiting();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  await until(async () => (await service.status()).sinks[0]?.seq === 1);
  const answer = await get('/api/v1/wait?sink=search&position=0/8&timeout=60s');
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({ sink: 'search', position: '0/10', waited_ms: expect.any(Number) });
});

test('a wait for now covers what was committed before it', async () => {
  const { source, get, service } = await waiting();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  const answer = await get('/api/v1/wait?sink=search&position=now&timeout=60s');
  expect(answer.status).toBe(200);
  expect((await service.status()).sinks[0]?.seq).toBe(1);
});

test('a wait ends when the position arrives, not at its timeout', async () => {
  const { source, get } = await waiting();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  let isDone = false;
  const answer = get('/api/v1/wait?sink=search&position=0/20&timeout=60s').then((response) => {
    isDone = true;
    return response;
  });
  await until(async () => (await get('/api/v1/wait?sink=search&position=0/10&timeout=60s')).status === 200);
  // The nudge of the wait may move the source on; before that, nothing may be promised.
  if (!isDone) source.feed.upsert(customers, { id: '2', name: 'Bob' }).commit();
  expect((await answer).status).toBe(200);
});

test('a position behind the header of a page that nothing has been written to is no reason to wait', async () => {
  const { source, get } = await waiting();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  // An idle server: its stream ends at the start of the page, its insert position is told behind the page's header.
  source.idleAt = '0/4000';
  let position = '';
  while (position !== '0/4000') position = source.feed.mark();
  expect((await get('/api/v1/wait?sink=search&position=0/4018&timeout=60s')).status).toBe(200);
  expect((await get('/api/v1/wait?sink=search&position=0/4028&timeout=60s')).status).toBe(200);
  expect((await get('/api/v1/wait?sink=search&position=0/4020&timeout=200ms')).status).toBe(408);
});

test('a sink that is not consistent is waited for, and time runs out with 408', async () => {
  const { source, get } = await waiting();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }, 'read').commit({}, true);
  const answer = await get('/api/v1/wait?sink=search&position=0/10&timeout=200ms');
  expect(answer.status).toBe(408);
  const { error } = (await answer.json()) as { error: { code: string; message: string; hint: string } };
  expect(error.code).toBe('WAIT_TIMEOUT');
  expect(error.message).toContain("sink 'search' did not reach 0/10 in 200 ms");
  expect(error.hint).toContain('--timeout');
});

test('mistakes in a wait are told apart from time running out', async () => {
  const { get } = await waiting();
  for (const [query, status, code] of [
    ['sink=nothing&position=now', 404, 'SINK_UNKNOWN'],
    ['sink=search&position=banana', 400, 'POSITION_INVALID'],
    ['sink=search', 400, 'REQUEST_INVALID'],
    ['position=now', 400, 'REQUEST_INVALID'],
    ['sink=search&position=now&timeout=soon', 400, 'REQUEST_INVALID'],
    ['sink=search&position=now&source=erp', 404, 'SOURCE_UNKNOWN'],
    ['sink=search&position=now&searchable=perhaps', 400, 'REQUEST_INVALID'],
    ['sink=search&sink=search&position=now', 400, 'REQUEST_INVALID'],
  ] as const) {
    const answer = await get(`/api/v1/wait?${query}`);
    expect(answer.status, query).toBe(status);
    expect(((await answer.json()) as { error: { code: string } }).error.code, query).toBe(code);
  }
});

test('a wait on a failed sink answers 409 with its reason', async () => {
  const { service, get } = await waiting();
  const error = new TidemarkError('SINK_FAILED', 'the target is gone', { hint: 'Bring it back.' });
  service.pipeline.onEvent({ type: 'sink.failed', sink: 'search', error });
  const answer = await get('/api/v1/wait?sink=search&position=0/10&timeout=60s');
  expect(answer.status).toBe(409);
  expect(await answer.json()).toEqual({
    error: { code: 'SINK_FAILED', message: "sink 'search' is failing: the target is gone", hint: 'Bring it back.' },
  });
});

test('a wait on a source that has failed for good answers 409 instead of waiting', async () => {
  const { source, get } = await waiting();
  source.fail(new TidemarkError('SLOT_LOST', 'the slot is gone'));
  const answer = await get('/api/v1/wait?sink=search&position=now&timeout=60s');
  expect(answer.status).toBe(409);
  expect(((await answer.json()) as { error: { code: string } }).error.code).toBe('SLOT_LOST');
});

test('a wait ends when its client goes away, and when the service stops, without an error in the log', async () => {
  const { service, get, logged } = await waiting();
  const client = new AbortController();
  const url = new URL('/api/v1/wait?sink=search&position=FF/0&timeout=60s', service.url);
  const gone = fetch(url, { signal: client.signal }).catch((error: unknown) => error);
  const open = get('/api/v1/wait?sink=search&position=FF/0&timeout=60s').then(
    ({ status }) => status,
    () => 'closed',
  );
  await get('/healthz');
  client.abort();
  expect(await gone).toBeInstanceOf(Error);
  await service.stop();
  expect(await open).toSatisfy((outcome: unknown) => outcome === 503 || outcome === 'closed');
  expect(logged.filter((line) => line.includes('"level":"error"'))).toEqual([]);
});

test('caught-up resolves once every sink holds what was committed before, and fails with the first failure', async () => {
  const { source, service } = await waiting();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  await service.caughtUp(new AbortController().signal);
  expect((await service.status()).sinks[0]?.seq).toBe(1);
  source.fail(new TidemarkError('SLOT_LOST', 'the slot is gone'));
  await until(async () => !(await service.status()).ready);
  await expect(service.caughtUp(new AbortController().signal)).rejects.toMatchObject({ code: 'SLOT_LOST' });
});

test('a thousand waits at once end together, and ask the source where it stands a few times, not a thousand', async () => {
  const { source, service } = await waiting();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  await until(async () => (await service.status()).sinks[0]?.seq === 1);
  let asked = 0;
  const ask = source.currentPosition.bind(source);
  source.currentPosition = async () => {
    asked++;
    // As long as a database takes at least.
    await systemClock.sleep(2);
    return ask();
  };
  const { pipeline } = service;
  const waits = Array.from({ length: 1_000 }, async (_, index) =>
    waitForSink(pipeline, { sink: 'search', position: index % 2 === 0 ? 'now' : '0/8000', searchable: true }),
  );
  await until(() => pipeline.waits.count <= 500 && asked > 0);
  await Promise.all(waits.filter((_, index) => index % 2 === 0));
  expect(asked).toBeLessThan(100);
  while (source.feed.mark() !== '0/8000');
  const positions = await Promise.all(waits);
  expect(positions).toHaveLength(1_000);
  expect(pipeline.waits.count).toBe(0);
});

test('what is searchable is so when the wait returns: everybody who waits shares a refresh that began after them', async () => {
  const { source, service } = await waiting();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  const { pipeline } = service;
  await waitForSink(pipeline, { sink: 'search', position: '0/10' });
  const { target } = pipeline.sinkGroup('search');
  let refreshes = 0;
  const release = Promise.withResolvers<void>();
  target.makeSearchable = async () => {
    refreshes++;
    await release.promise;
  };
  const first = waitForSink(pipeline, { sink: 'search', position: '0/10', searchable: true });
  await until(() => refreshes === 1);
  const others = Array.from({ length: 50 }, async () =>
    waitForSink(pipeline, { sink: 'search', position: '0/10', searchable: true }),
  );
  const late = waitForSink(pipeline, { sink: 'search', position: '0/10', searchable: true, timeoutMs: 50 });
  await expect(late).rejects.toMatchObject({ code: 'WAIT_TIMEOUT', message: expect.stringContaining('not refreshed') });
  release.resolve();
  await first;
  await Promise.all(others);
  expect(refreshes).toBe(2);
});
