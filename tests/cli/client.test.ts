import { createServer as createHttpServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { ServiceClient } from '../../cli/client.ts';
import { folder, start, tidemark, until } from './harness.ts';

const answerMs = 200;

async function portOf(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => void sockets.add(socket)).listen(0, '127.0.0.1');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A service that takes connections and says nothing, as one that is stopped does. */
async function silent(): Promise<{ port: number; connections: () => number }> {
  let connections = 0;
  const port = await portOf(createServer(() => connections++));
  return { port, connections: () => connections };
}

function client(port: number): ServiceClient {
  const signal = new AbortController().signal;
  return new ServiceClient({ url: `http://127.0.0.1:${port}`, token: null, signal, clock: systemClock, answerMs });
}

async function serving(listener: RequestListener): Promise<ServiceClient> {
  return client(await portOf(createHttpServer(listener)));
}

async function all(events: AsyncIterable<string>): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

const stuck = {
  code: 'SERVICE_UNREACHABLE',
  message: expect.stringContaining('takes connections and does not answer'),
  hint: expect.stringContaining('stuck'),
};

test('a service that takes connections and does not answer is told, whatever it was asked', async () => {
  const { port } = await silent();
  await expect(client(port).get('/api/v1/status')).rejects.toMatchObject(stuck);
  await expect(client(port).post('/api/v1/snapshot', { table: 'orders' })).rejects.toMatchObject(stuck);
  await expect(all(client(port).events('/api/v1/topics/orders/events', {}))).rejects.toMatchObject(stuck);
});

test('so is one that stops in the middle of an answer', async () => {
  const half = await serving((_request, response) => void response.write('{"name":'));
  await expect(half.get('/api/v1/status')).rejects.toMatchObject(stuck);
});

test('work may take its time while the service is alive, and events may pause', async () => {
  const slow = await serving((request, response) => {
    if (request.url === '/healthz') return response.end('{"ok":true}');
    if (request.method === 'GET') response.write('data: 1\n\n');
    return setTimeout(
      () => response.end(request.method === 'GET' ? 'event: end\ndata: \n\n' : '{"took_ms":1}'),
      3 * answerMs,
    );
  });
  expect(await slow.post('/api/v1/snapshot', {})).toEqual({ took_ms: 1 });
  expect(await all(slow.events('/api/v1/topics/orders/events', {}))).toEqual(['1']);
});

test('a wait on a service that does not answer runs out of time, and a signal ends it before', async () => {
  const { port, connections } = await silent();
  const directory = await folder(`
version: 1
name: shop
sources:
  shop: { type: postgres, url: "postgres://app@127.0.0.1:9/shop", tables: [public.customers] }
sinks:
  search: { type: sqlite, path: ./search.db, from: customers }
http: { port: ${port} }
`);
  const args = ['wait', '--sink', 'search', '--now', '--timeout'];
  const endless = start(directory, [...args, '10m']);
  await until('it asks', () => connections() === 1);
  endless.child.kill('SIGINT');
  expect((await endless.ended).code).toBe(130);
  const { code, stderr } = await tidemark(directory, [...args, '10ms', '--json']);
  expect(code, stderr).toBe(3);
  expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'WAIT_TIMEOUT', message: stuck.message } });
});
