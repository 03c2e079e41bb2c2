import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeRedis } from '../servers/redis-suite.ts';
import { folder, start, tidemark, until } from './harness.ts';

function fileFor(url: string): string {
  return `version: 1
name: shop
sources:
  shop: { type: ndjson, path: orders.ndjson, tables: { orders: { columns: { id: bigint, customer: text }, key: [id] } } }
sinks:
  cache: { type: redis, url: "${url}", from: orders }
  names: { type: redis, url: "${url}/0", from: orders, key: "name:{nr}", format: hash, columns: { nr: id, who: customer } }
  local: { type: sqlite, path: ./local.db, from: orders }
http: { port: 0 }
`;
}

async function order(directory: string, ...ids: readonly number[]): Promise<void> {
  const lines = ids.map((id) => `${JSON.stringify({ id, customer: `customer ${id}` })}\n`);
  await appendFile(join(directory, 'orders.ndjson'), lines.join(''));
}

async function holds(directory: string, sink: string): Promise<void> {
  const ended = await tidemark(directory, ['wait', '--sink', sink, '--now', '--timeout', '60s']);
  expect(ended, sink).toMatchObject({ code: 0 });
}

async function ready(directory: string): Promise<{ ready: boolean; reasons: string[]; notes: string[] }> {
  const { http } = JSON.parse(await readFile(join(directory, 'data', 'owner.json'), 'utf8')) as { http: string };
  return (await (await fetch(`${http}/readyz`)).json()) as { ready: boolean; reasons: string[]; notes: string[] };
}

describeRedis('the program with a real Redis', { persistence: 'none' }, (suite) => {
  async function shop(): Promise<string> {
    const directory = await folder(fileFor(suite.url));
    await writeFile(join(directory, 'orders.ndjson'), '');
    await suite.client().flushall();
    await order(directory, 1, 2, 3);
    return directory;
  }

  it('goes on with other sinks while Redis is stopped in its tracks, says so, and brings it up to date from the log', async () => {
    const directory = await shop();
    const redis = suite.client();
    const service = start(directory, ['run']);
    await until('the service has begun', async () => (await tidemark(directory, ['status'])).code === 0);
    for (const sink of ['cache', 'names', 'local']) await holds(directory, sink);
    expect(await redis.get('orders:2')).toBe('{"id":2,"customer":"customer 2"}');
    expect(await redis.hgetall('name:2')).toEqual({ nr: '2', who: 'customer 2' });

    suite.server.pause();
    await order(directory, 4, 5);
    await holds(directory, 'local');
    await until('readiness is red', async () => !(await ready(directory)).ready, 60_000);
    const { reasons } = await ready(directory);
    expect(reasons.map((reason) => reason.slice(0, 11)).toSorted()).toEqual(['sink cache:', 'sink names:']);
    await order(directory, 6);
    await holds(directory, 'local');
    suite.server.resume();
    await holds(directory, 'cache');
    expect(await redis.get('orders:6')).toBe('{"id":6,"customer":"customer 6"}');
    await until('readiness is green', async () => (await ready(directory)).ready, 60_000);
    service.child.kill('SIGTERM');
    expect((await service.ended).code).toBe(143);
  });

  it('pauses one of two sinks on a server, and builds one anew, while the other goes on', async () => {
    const directory = await shop();
    const redis = suite.client();
    const service = start(directory, ['run']);
    await until('the service has begun', async () => (await tidemark(directory, ['status'])).code === 0);
    await holds(directory, 'cache');
    expect((await tidemark(directory, ['pause', '--sink', 'cache'])).stdout).toBe('cache is paused\n');
    await order(directory, 4);
    await holds(directory, 'names');
    expect(await redis.exists('orders:4', 'name:4')).toBe(1);
    expect(await ready(directory)).toEqual({ ready: true, reasons: [], notes: ['sink cache: is paused'] });
    expect((await tidemark(directory, ['resume', '--sink', 'cache'])).code).toBe(0);
    await holds(directory, 'cache');
    expect(await redis.exists('orders:4', 'name:4')).toBe(2);

    await redis.del('orders:1', 'orders:4');
    await redis.set('orders:2', 'spoilt');
    const rebuilt = await tidemark(directory, ['rebuild', '--sink', 'cache', '--json']);
    expect(rebuilt).toMatchObject({ code: 0 });
    expect(JSON.parse(rebuilt.stdout)).toMatchObject({ sink: 'cache', seq: 4, dead_letters: 0 });
    expect(await redis.mget('orders:1', 'orders:2', 'orders:4')).toEqual(
      [1, 2, 4].map((id) => `{"id":${id},"customer":"customer ${id}"}`),
    );
    expect(await redis.exists('name:1', 'name:2', 'name:3', 'name:4')).toBe(4);
    service.child.kill('SIGTERM');
    expect((await service.ended).code).toBe(143);
  });

  it('promises nothing about a Redis that is away, and about one that came back empty once it is filled again', async () => {
    const directory = await shop();
    const service = start(directory, ['run']);
    await until('the service has begun', async () => (await tidemark(directory, ['status'])).code === 0);
    await holds(directory, 'cache');
    await suite.server.kill();
    await until('the service to notice', async () => !(await ready(directory)).ready, 60_000);
    const late = await tidemark(directory, ['wait', '--sink', 'cache', '--now', '--timeout', '1s']);
    expect(late).toMatchObject({ code: 1, stderr: expect.stringContaining("sink 'cache' is failing") });
    const unread = await tidemark(directory, ['verify', '--sink', 'cache', '--json']);
    expect(unread.code).toBe(1);
    expect(JSON.parse(unread.stderr)).toMatchObject({ error: { code: 'SINK_UNREACHABLE' } });
    await suite.server.start();
    await holds(directory, 'cache');
    expect(await suite.client().get('orders:1')).toBe('{"id":1,"customer":"customer 1"}');
    service.child.kill('SIGTERM');
    expect((await service.ended).code).toBe(143);
  });
});
