import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { TidemarkError } from '../../base/errors.ts';
import {
  ServiceUnreachableError,
  SinkFailingError,
  TidemarkClientError,
  UnknownNameError,
  WaitTimeoutError,
} from '../../client/errors.ts';
import { Tidemark } from '../../client/tidemark.ts';
import { customers, sqliteSink, startService, until } from '../service/harness.ts';
import type { TestService } from '../service/harness.ts';

async function started(options: Parameters<typeof startService>[0] = {}): Promise<TestService & { client: Tidemark }> {
  const running = await startService({ sinks: (directory) => [sqliteSink(directory)], ...options });
  await running.connected();
  return { ...running, client: new Tidemark({ url: running.service.url }) };
}

/** A web server that is no tidemark. */
async function stranger(answer: RequestListener): Promise<string> {
  const server = createServer();
  server.on('request', answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

test('waitFor resolves once the sink holds the position, and status tells the same', async () => {
  const { client, source } = await started();
  const waited = client.waitFor('search', '0/10', { timeoutMs: 30_000 });
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  expect(await waited).toEqual({ sink: 'search', position: '0/10', waitedMs: expect.any(Number) });
  expect(await client.waitFor('search', 'now', { searchable: true, source: 'shop' })).toMatchObject({ sink: 'search' });
  const { ready, sinks } = await client.status();
  expect(ready).toBe(true);
  expect(sinks).toMatchObject([{ name: 'search', type: 'sqlite', seq: 1, consistent: true }]);
});

test('each way in which a wait can end has an error of its own', async () => {
  const { client, source, service } = await started();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  await client.waitFor('search', '0/10');
  const late = await client.waitFor('search', 'FF/0', { timeoutMs: 50 }).catch((error: unknown) => error);
  expect(late).toBeInstanceOf(WaitTimeoutError);
  expect(late).toMatchObject({ code: 'WAIT_TIMEOUT', status: 408, hint: expect.stringContaining('--timeout') });
  const unknown = await client.waitFor('serach', 'now').catch((error: unknown) => error);
  expect(unknown).toBeInstanceOf(UnknownNameError);
  expect(unknown).toMatchObject({ code: 'SINK_UNKNOWN', status: 404 });
  await expect(client.waitFor('search', 'now', { source: 'erp' })).rejects.toMatchObject({ code: 'SOURCE_UNKNOWN' });
  const invalid = await client.waitFor('search', 'banana').catch((error: unknown) => error);
  expect(invalid).toMatchObject({ code: 'POSITION_INVALID', status: 400 });
  expect(invalid?.constructor).toBe(TidemarkClientError);
  const failing = client.waitFor('search', 'FF/0', { timeoutMs: 60_000 }).catch((error: unknown) => error);
  const error = new TidemarkError('SINK_FAILED', 'the target is gone', { hint: 'Bring it back.' });
  service.pipeline.onEvent({ type: 'sink.failed', sink: 'search', error });
  expect(await failing).toBeInstanceOf(SinkFailingError);
  expect(await failing).toMatchObject({ code: 'SINK_FAILED', status: 409, hint: 'Bring it back.' });
});

test('a signal ends a wait with its own reason, and the service does not wait on', async () => {
  const { client, service } = await started();
  const control = new AbortController();
  const waited = client.waitFor('search', 'FF/0', { timeoutMs: 60_000, signal: control.signal });
  waited.catch(() => undefined);
  await until(() => service.pipeline.waits.count === 1);
  control.abort(new RangeError('enough'));
  await expect(waited).rejects.toThrow(RangeError);
  await until(() => service.pipeline.waits.count === 0);
  await expect(client.status({ signal: control.signal })).rejects.toThrow('enough');
});

test('a service with a token lets in who has it', async () => {
  const { service } = await started({ http: { token: 'sesame' } });
  const { url } = service;
  expect(await new Tidemark({ url, token: 'sesame' }).status()).toMatchObject({ ready: true });
  await expect(new Tidemark({ url }).status()).rejects.toMatchObject({ code: 'HTTP_TOKEN', status: 401 });
});

test('nobody at the address, a stranger, and a service that says nothing are told as unreachable', async () => {
  const { client, service } = await started();
  const { url } = service;
  await service.stop();
  const gone = await client.status().catch((error: unknown) => error);
  expect(gone).toBeInstanceOf(ServiceUnreachableError);
  expect(gone).toMatchObject({ code: 'SERVICE_UNREACHABLE', message: `the service at ${url} does not answer` });
  for (const [body, status] of [
    ['<html>', 200],
    ['<html>', 404],
    ['bad gateway', 502],
    ['{"error":{}}', 500],
  ] as const) {
    const other = new Tidemark({ url: await stranger((_request, response) => response.writeHead(status).end(body)) });
    const error = await other.waitFor('search', 'now').catch((thrown: unknown) => thrown);
    expect(error, body).toBeInstanceOf(ServiceUnreachableError);
    expect(error).toMatchObject({ status });
  }
  const silent = new Tidemark({ url: await stranger(() => undefined), answerMs: 50 });
  await expect(silent.status()).rejects.toMatchObject({ message: expect.stringContaining('no answer within 50 ms') });
});

test('a service behind a path of a proxy is found there', async () => {
  const paths: string[] = [];
  const url = await stranger((request, response) => {
    paths.push(request.url ?? '');
    response.end('{"view":"a\\"row\\":b","seq":7,"row":{"id":12345678901234567890}}');
  });
  const client = new Tidemark({ url: `${url}tide` });
  const found = await client.view('a"row":b', ['a|b', 3, String.raw`\ `]);
  expect(found).toMatchObject({ seq: 7, json: '{"id":12345678901234567890}' });
  expect(paths).toEqual([`/tide/api/v1/views/a%22row%22%3Ab/${encodeURIComponent(String.raw`a\|b|3|\\ `)}`]);
});
