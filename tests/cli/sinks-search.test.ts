import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { describeSearch } from '../servers/search-suite.ts';
import { folder, start, tidemark, until } from './harness.ts';
import type { Running } from './harness.ts';

vi.setConfig({ testTimeout: 300_000 });

function fileFor(url: string, index: string, mapping: string): string {
  return `version: 1
name: shop
sources:
  shop: { type: ndjson, path: orders.ndjson, tables: { orders: { columns: { id: bigint, code: text }, key: [id] } } }
sinks:
  index: { type: opensearch, url: "${url}", from: orders, index: ${index}, refresh: commit, mapping: { code: { type: ${mapping} } } }
  feed: { type: ndjson, path: ./feed.ndjson, from: orders }
http: { port: 0 }
`;
}

async function running(directory: string): Promise<Running> {
  const service = start(directory, ['run']);
  await until('the service has begun', async () => (await tidemark(directory, ['status'])).code === 0, 60_000);
  return service;
}

async function stop({ child, ended }: Running): Promise<void> {
  child.kill('SIGTERM');
  expect((await ended).code).toBe(143);
}

describeSearch('the program with a real search engine', { engine: 'opensearch' }, (suite) => {
  it('sets aside the one document that the mapping refuses, and indexes it once that is put right', async () => {
    const index = suite.name('orders');
    const directory = await folder(fileFor(suite.url, index, 'integer'));
    const rows = Array.from({ length: 1_000 }, (_, id) => ({
      id: id + 1,
      code: id === 500 ? 'five hundred' : String(id),
    }));
    await writeFile(join(directory, 'orders.ndjson'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const count = async (): Promise<number> => (await suite.request('GET', `/${index}/_count`)).body.count;

    let service = await running(directory);
    const wait = ['wait', '--sink', 'index', '--now', '--timeout', '120s'];
    expect(await tidemark(directory, wait)).toMatchObject({ code: 0 });
    expect(await count()).toBe(999);
    const listed = await tidemark(directory, ['dead-letters', '--sink', 'index']);
    expect(listed.stdout).toMatch(/^index +\{"id":501\} +501 +\S+Z +.*five hundred/m);
    expect((await tidemark(directory, ['dead-letters', '--sink', 'index', '--retry'])).code).toBe(1);
    const rebuilt = await tidemark(directory, ['rebuild', '--sink', 'index', '--json']);
    expect(rebuilt.code).toBe(1);
    expect(JSON.parse(rebuilt.stdout)).toMatchObject({ sink: 'index', seq: 1_000, dead_letters: 1 });
    expect(await count()).toBe(999);
    await stop(service);

    // A mapping that takes it: the index is built anew from the log, and the letter is settled.
    await writeFile(join(directory, 'tidemark.yaml'), fileFor(suite.url, index, 'keyword'));
    service = await running(directory);
    await until('all documents are there', async () => (await count()) === 1_000, 120_000);
    expect((await tidemark(directory, ['dead-letters'])).stdout).toBe('There are no dead letters.\n');
    await appendFile(join(directory, 'orders.ndjson'), `{"id":1001,"code":"new"}\n`);
    expect(await tidemark(directory, [...wait, '--searchable'])).toMatchObject({ code: 0 });
    expect(await count()).toBe(1_001);
    await stop(service);
    expect(
      (await readFile(join(directory, 'feed.ndjson'), 'utf8')).split('\n').filter((line) => line.includes('"op"')),
    ).toHaveLength(1_001);
  });
});
