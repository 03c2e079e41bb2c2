import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import type { NdjsonSinkOptions, SqliteSinkOptions } from '../../sinks/options.ts';
import type { SinkGroup } from '../../sinks/sink-group.ts';
import { Harness, caughtUp, table, until } from './harness.ts';

const orders = table('orders', { id: 'int8', customer: 'text', rank: 'text' });

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.create();
});
afterEach(async () => harness.close());

function sqlite(changes: Partial<SqliteSinkOptions> = {}): SqliteSinkOptions {
  const common = { name: 'local', type: 'sqlite', from: orders.topic, table: 'orders', search: [] } as const;
  return { ...common, path: harness.path('search.db'), start: 'consistent', ...changes };
}

function feed(path: string): NdjsonSinkOptions {
  return { name: 'feed', type: 'ndjson', from: orders.topic, path, start: 'consistent' };
}

function errorOf(group: SinkGroup | undefined): { code: string; message: string; hint?: string } | null {
  return group?.status()[0]?.error ?? null;
}

/** How often the sink was tried again. */
function retries(): number {
  return harness.events.filter(({ type }) => type === 'sink.retrying').length;
}

test('a sink whose folder cannot be made says so, delays no other, and stops at once', async () => {
  harness.feeder.upsert(orders, { id: '1', customer: 'x' }).commitConsistent(orders);
  const unmade = '/proc/tidemark/a/b';
  const [file, lines, well] = harness.run([
    sqlite({ name: 'lost', path: `${unmade}/search.db` }),
    feed(`${unmade}/feed.ndjson`),
    sqlite(),
  ]);
  if (well === undefined) throw new RangeError('no group');
  await caughtUp([well], 1);
  for (const group of [file, lines]) {
    await until('it fails', () => errorOf(group) !== null);
    expect(errorOf(group)).toMatchObject({
      code: 'SINK_FAILED',
      message: expect.stringContaining(`The folder ${unmade} cannot be made: ENOENT`),
      hint: expect.stringContaining('another `path`'),
    });
  }
  const before = performance.now();
  await harness.stop();
  expect(performance.now() - before).toBeLessThan(1_000);
});

test('a folder is made with those above it, and a file in its place is told', async () => {
  const deep = harness.path('a/b/c');
  await Promise.all([systemFiles.makeDirectory(deep), systemFiles.makeDirectory(deep)]);
  await systemFiles.makeDirectory(deep);
  expect(await systemFiles.list(harness.path('a/b'))).toEqual(['c']);
  await (await systemFiles.open(harness.path('a/file'), 'create')).close();
  await expect(systemFiles.makeDirectory(harness.path('a/file/b'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  await expect(systemFiles.makeDirectory(harness.path('a/file'))).rejects.toMatchObject({ code: 'EEXIST' });
});

test('a sink on a folder instead of a file fails with its reason', async () => {
  const [group] = harness.run([sqlite({ path: harness.directory })]);
  await until('it fails', () => errorOf(group) !== null);
  expect(errorOf(group)).toMatchObject({ code: 'SINK_FAILED', message: expect.stringContaining(harness.directory) });
});

test.each([
  ['leaves out the key', { columns: ['customer'] }, 'SINK_FAILED', "leaves out 'id'"],
  ['asks for a column that the table does not have', { columns: ['id', 'nme'] }, 'SINK_FAILED', "column 'nme'"],
  ['searches a column that the table does not have', { search: ['nme'] }, 'SINK_TARGET', "search column 'nme'"],
  ['searches a column named as FTS5 names its own', { search: ['rank'] }, 'SINK_TARGET', "'rank', a name that FTS5"],
  [
    'searches a column named as its index',
    { columns: { id: 'id', orders__new_search: 'customer' }, search: ['orders__new_search'] },
    'SINK_TARGET',
    'a name that FTS5',
  ],
] as const)('a sink that %s stops instead of trying again and again', async (_, changes, code, message) => {
  harness.feeder.upsert(orders, { id: '1', customer: 'x' }).commitConsistent(orders);
  const [group] = harness.run([sqlite(changes)]);
  await until('it has stopped', () => harness.events.some(({ type }) => type === 'sink.failed'));
  expect(errorOf(group)).toMatchObject({
    code,
    message: expect.stringContaining(message),
    hint: expect.stringContaining('start again'),
  });
  expect(retries()).toBe(0);
});

test("a reader's own table that is named as an index would be is left alone by a sink without one, and refused by one with", async () => {
  const db = new DatabaseSync(harness.path('search.db'));
  db.exec("CREATE TABLE orders_search (note TEXT); INSERT INTO orders_search VALUES ('mine')");
  const note = (): unknown => db.prepare('SELECT note FROM orders_search').get()?.['note'];
  try {
    harness.feeder.upsert(orders, { id: '1', customer: 'x' }).commitConsistent(orders);
    await caughtUp(harness.run([sqlite()]), 1);
    await harness.stop();
    // Another definition, so that the sink is built anew and its old table dropped.
    await caughtUp(harness.run([sqlite({ columns: ['id', 'customer'] })]), 1);
    const columns = db.prepare("SELECT count(*) AS n FROM pragma_table_info('orders')");
    await until('the old table is gone', () => columns.get()?.['n'] === 3);
    expect(note()).toBe('mine');
    await harness.stop();
    const [group] = harness.run([sqlite({ search: ['customer'] })]);
    await until('it is refused', () => errorOf(group) !== null);
    expect(errorOf(group)).toMatchObject({ code: 'SINK_TARGET', message: expect.stringContaining("'orders_search'") });
    expect(note()).toBe('mine');
  } finally {
    db.close();
  }
});

test('a sink whose table is known long before its first row is filled all the same, and not before', async () => {
  // Positions without changes are written down every ten seconds, which pass at once here.
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() * 100_000 };
  await systemFiles.makeDirectory(harness.path('sinks'));
  const groups = harness.run([sqlite(), feed(harness.path('feed.ndjson'))], { clock });
  harness.feeder.know(orders);
  for (let mark = 0; mark < 5; mark++) {
    const position = harness.feeder.mark();
    await until('the position is reached', () =>
      groups.every(({ sinks: [sink] }) => sink?.progress?.position === position),
    );
  }
  expect(groups.map(errorOf)).toEqual([null, null]);
  await harness.stop();
  const again = harness.run([sqlite(), feed(harness.path('feed.ndjson'))], { clock });
  harness.feeder.upsert(orders, { id: '1', customer: 'x' }).commitConsistent(orders);
  await caughtUp(again, 1);
  expect(again.map(errorOf)).toEqual([null, null]);
});
