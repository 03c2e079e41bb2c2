import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { folder, start, tidemark, until } from './harness.ts';
import type { Running } from './harness.ts';

const file = `version: 1
name: shop
sources:
  shop: { type: ndjson, path: orders.ndjson, tables: { orders: { columns: { id: bigint, customer: text }, key: [id] } } }
sinks:
  local: { type: sqlite, path: ./local.db, from: orders }
  feed: { type: ndjson, path: ./feed.ndjson, from: orders }
http: { port: 0 }
`;

async function shop(): Promise<string> {
  const directory = await folder(file);
  await writeFile(join(directory, 'orders.ndjson'), '');
  await order(directory, 1, 2, 3);
  return directory;
}

async function order(directory: string, ...ids: readonly number[]): Promise<void> {
  const lines = ids.map((id) => `${JSON.stringify({ id, customer: `customer ${id}` })}\n`);
  await appendFile(join(directory, 'orders.ndjson'), lines.join(''));
}

async function running(directory: string): Promise<Running> {
  const service = start(directory, ['run']);
  await until('the service has begun', async () => (await tidemark(directory, ['status', '--json'])).code === 0);
  return service;
}

async function stop({ child, ended }: Running): Promise<void> {
  child.kill('SIGTERM');
  expect((await ended).code).toBe(143);
}

async function json(directory: string, ...args: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await tidemark(directory, [...args, '--json']);
  return { code, ...(JSON.parse(stdout || stderr) as object) };
}

function execute(directory: string, sql: string): void {
  const db = new DatabaseSync(join(directory, 'local.db'));
  db.exec(sql);
  db.close();
}

function ids(directory: string): unknown[] {
  const db = new DatabaseSync(join(directory, 'local.db'), { readOnly: true });
  const found = db.prepare('SELECT id FROM orders ORDER BY id').all();
  db.close();
  return found.map(({ id }) => id);
}

/** Refuses one row as a constraint of the table would. */
const refusal = `CREATE TRIGGER refuse BEFORE INSERT ON orders WHEN NEW.id = 9007199254740993 BEGIN SELECT RAISE(ABORT, 'no'); END`;

test('pause stops one sink over restarts, says so everywhere, and resume brings it up to date', async () => {
  const directory = await shop();
  let service = await running(directory);
  expect((await tidemark(directory, ['wait', '--sink', 'local', '--now', '--timeout', '30s'])).code).toBe(0);
  expect(await json(directory, 'pause', '--sink', 'local')).toEqual({ code: 0, sink: 'local', paused: true });
  await order(directory, 4);
  expect((await tidemark(directory, ['wait', '--sink', 'feed', '--now', '--timeout', '30s'])).code).toBe(0);
  // At once, and not when its time has run out.
  expect(await json(directory, 'wait', '--sink', 'local', '--now', '--timeout', '10m')).toMatchObject({
    code: 1,
    error: { code: 'SINK_PAUSED' },
  });
  expect(await json(directory, 'rebuild', '--sink', 'local')).toMatchObject({
    code: 1,
    error: { code: 'SINK_PAUSED' },
  });
  await stop(service);

  service = await running(directory);
  const status = (await json(directory, 'status')) as { sinks: object[]; notes: string[]; ready: boolean };
  expect(status.sinks[0]).toMatchObject({ name: 'local', paused: true, error: null });
  expect(status).toMatchObject({ ready: true, notes: ['sink local: is paused'] });
  const { stdout } = await tidemark(directory, ['status']);
  expect(stdout).toMatch(/local .* paused/);
  await stop(service);
  expect(ids(directory)).toEqual([1, 2, 3]);

  // Without a service, the wish is left for the next one.
  expect(await json(directory, 'resume', '--sink', 'local')).toEqual({ code: 0, sink: 'local', paused: false });
  service = await running(directory);
  expect((await tidemark(directory, ['wait', '--sink', 'local', '--now', '--timeout', '30s'])).code).toBe(0);
  expect(ids(directory)).toEqual([1, 2, 3, 4]);
  await stop(service);
});

test('rebuild makes a spoilt sink right again from the log alone, by a service and without one', async () => {
  const directory = await shop();
  const service = await running(directory);
  expect((await tidemark(directory, ['wait', '--sink', 'local', '--now', '--timeout', '30s'])).code).toBe(0);
  execute(directory, 'DELETE FROM orders');
  expect(await json(directory, 'rebuild', '--sink', 'local')).toMatchObject({
    code: 0,
    sink: 'local',
    seq: 3,
    dead_letters: 0,
  });
  expect(ids(directory)).toEqual([1, 2, 3]);
  expect((await tidemark(directory, ['rebuild', '--sink', 'feed'])).stdout).toMatch(
    /^feed was rebuilt from the log in /,
  );
  await stop(service);

  execute(directory, 'DELETE FROM orders');
  // Nothing of the source is needed.
  const lines = await readFile(join(directory, 'orders.ndjson'));
  await writeFile(join(directory, 'orders.ndjson'), '');
  expect(await json(directory, 'rebuild', '--sink', 'local')).toMatchObject({ code: 0, seq: 3 });
  expect(ids(directory)).toEqual([1, 2, 3]);
  await writeFile(join(directory, 'orders.ndjson'), lines);
  expect(await json(directory, 'rebuild', '--sink', 'locl')).toMatchObject({
    code: 2,
    error: { code: 'SINK_UNKNOWN' },
  });
});

test('dead letters are listed with all digits of their keys, applied again or let go, with and without a service', async () => {
  const directory = await shop();
  let service = await running(directory);
  expect((await tidemark(directory, ['wait', '--sink', 'local', '--now', '--timeout', '30s'])).code).toBe(0);
  execute(directory, refusal);
  await appendFile(join(directory, 'orders.ndjson'), '{"id":9007199254740993,"customer":"big"}\n');
  expect((await tidemark(directory, ['wait', '--sink', 'local', '--now', '--timeout', '30s'])).code).toBe(0);
  const listed = await tidemark(directory, ['dead-letters']);
  expect(listed.stdout).toMatch(/^sink +key +seq +since +reason\nlocal +\{"id":9007199254740993\} +4 +\S+Z +no\n$/);
  const { stdout } = await tidemark(directory, ['dead-letters', '--sink', 'local', '--json']);
  expect(stdout).toContain('"key":{"id":9007199254740993},"seq":4,"reason":"no"');
  expect(await json(directory, 'dead-letters', '--key', '{"id":9007199254740992}')).toMatchObject({ count: 0 });
  expect(await json(directory, 'dead-letters', '--sink', 'feed')).toMatchObject({ count: 0 });
  expect(await json(directory, 'dead-letters', '--retry')).toEqual({ code: 1, retried: 1, left: 1 });
  expect(await json(directory, 'rebuild', '--sink', 'local')).toMatchObject({ code: 0 });
  // The copy that was built has no trigger: the row is there, and its letter is settled.
  expect(await json(directory, 'dead-letters')).toMatchObject({ count: 0, dead_letters: [] });

  execute(directory, refusal.replace('INSERT', 'UPDATE').replace('refuse', 'again'));
  await appendFile(join(directory, 'orders.ndjson'), '{"id":9007199254740993,"customer":"bigger"}\n');
  expect((await tidemark(directory, ['wait', '--sink', 'local', '--now', '--timeout', '30s'])).code).toBe(0);
  await stop(service);
  expect(await json(directory, 'dead-letters', '--key', '{ "id": 9007199254740993 }')).toMatchObject({ count: 1 });
  expect(await json(directory, 'dead-letters', '--retry')).toEqual({ code: 1, retried: 1, left: 1 });
  execute(directory, 'DROP TRIGGER again');
  expect(await json(directory, 'dead-letters', '--retry', '--sink', 'local')).toEqual({ code: 0, retried: 1, left: 0 });

  execute(directory, refusal.replace('INSERT', 'UPDATE').replace('refuse', 'again'));
  service = await running(directory);
  await appendFile(join(directory, 'orders.ndjson'), '{"id":9007199254740993,"customer":"too big"}\n');
  expect((await tidemark(directory, ['wait', '--sink', 'local', '--now', '--timeout', '30s'])).code).toBe(0);
  expect(await json(directory, 'dead-letters', '--skip')).toEqual({ code: 0, skipped: 1 });
  expect((await tidemark(directory, ['dead-letters'])).stdout).toBe('There are no dead letters.\n');
  await stop(service);
  expect((await tidemark(directory, ['dead-letters', '--retry', '--skip'])).code).toBe(2);
  expect((await tidemark(directory, ['dead-letters', '--key', '{id:1}'])).code).toBe(2);
});

test('a rebuild goes on after kill -9, and readers keep what they have until it is done', async () => {
  const directory = await shop();
  await order(directory, ...Array.from({ length: 20_000 }, (_, index) => index + 4));
  let service = await running(directory);
  expect((await tidemark(directory, ['wait', '--sink', 'local', '--now', '--timeout', '60s'])).code).toBe(0);
  execute(directory, 'DELETE FROM orders WHERE id > 10');
  const { http } = JSON.parse(await readFile(join(directory, 'data', 'owner.json'), 'utf8')) as { http: string };
  const asked = fetch(`${http}/api/v1/sinks/local/rebuild`, { method: 'POST' }).catch(() => null);
  await until('the rebuild has begun', async () => {
    const { sinks } = (await (await fetch(`${http}/api/v1/status`)).json()) as { sinks: { rebuild: object | null }[] };
    return sinks[0]?.rebuild !== null;
  });
  service.child.kill('SIGKILL');
  await service.ended;
  await asked;
  // All or nothing of it, whenever the kill came.
  expect([10, 20_003]).toContain(ids(directory).length);

  service = await running(directory);
  await until('readers see the rebuilt state', () => ids(directory).length === 20_003);
  await until('it is over', async () => {
    const { sinks } = (await json(directory, 'status')) as { sinks: { rebuild: object | null }[] };
    return sinks[0]?.rebuild === null;
  });
  await stop(service);
});

test('a sink that is added later is built from the log alone', async () => {
  const directory = await shop();
  let service = await running(directory);
  expect((await tidemark(directory, ['wait', '--sink', 'local', '--now', '--timeout', '30s'])).code).toBe(0);
  await stop(service);
  await writeFile(
    join(directory, 'tidemark.yaml'),
    file.replace('  feed:', '  late: { type: ndjson, path: ./late.ndjson, from: orders }\n  feed:'),
  );
  // What is gone at the source can only come from the log.
  const lines = await readFile(join(directory, 'orders.ndjson'));
  await writeFile(join(directory, 'orders.ndjson'), Buffer.alloc(lines.length, '\n'));
  service = await running(directory);
  await until('the new sink is there', async () => {
    const { sinks } = (await json(directory, 'status')) as { sinks: { name: string; consistent: boolean }[] };
    return sinks.find(({ name }) => name === 'late')?.consistent === true;
  });
  const late = (await readFile(join(directory, 'late.ndjson'), 'utf8'))
    .split('\n')
    .filter((line) => line.includes('"doc"'));
  expect(late.map((line) => (JSON.parse(line) as { key: { id: number } }).key.id)).toEqual([1, 2, 3]);
  await stop(service);
});
