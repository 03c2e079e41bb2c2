import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NdjsonSinkOptions } from '../../sinks/options.ts';
import { Harness, caughtUp, table, until } from './harness.ts';

const orders = table('orders', { id: 'int8', customer: 'text', total: 'numeric' });
const elsewhere = table('elsewhere', { id: 'int8', text: 'text' });

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.create();
});
afterEach(async () => harness.close());

function feed(changes: Partial<NdjsonSinkOptions> = {}): NdjsonSinkOptions {
  return {
    name: 'feed',
    type: 'ndjson',
    path: harness.path('feed.ndjson'),
    from: orders.topic,
    start: 'consistent',
    ...changes,
  };
}

function lines(text = readFileSync(harness.path('feed.ndjson'), 'utf8')): string[] {
  return text.split('\n').slice(0, -1);
}

test('a feed begins with the whole consistent state, then has each change and each commit', async () => {
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'Ada', total: '1.50' }).commit();
  feeder.upsert(orders, { id: '2', customer: 'Bob', total: '2' }).commit();
  feeder.delete(orders, { id: '1' }).commitConsistent(orders);
  await feeder.durable();
  const groups = harness.run([feed()]);
  await caughtUp(groups, 3);
  feeder.upsert(orders, { id: '2', customer: 'B\n"b"', total: '2.000000000000000000001' }, 'update');
  feeder.delete(orders, { id: '2' }).commit();
  await caughtUp(groups, 4);
  expect(lines()).toEqual([
    '{"op":"upsert","key":{"id":2},"doc":{"id":2,"customer":"Bob","total":2},"seq":2}',
    '{"commit":3,"source":"shop","position":"0/30"}',
    '{"op":"upsert","key":{"id":2},"doc":{"id":2,"customer":"B\\n\\"b\\"","total":2.000000000000000000001},"seq":4}',
    '{"op":"delete","key":{"id":2},"doc":null,"seq":4}',
    '{"commit":4,"source":"shop","position":"0/40"}',
  ]);
});

test('a transaction that goes on with pieces of other tables only still has its own commit line', async () => {
  const { feeder } = harness;
  feeder.upsert(orders, { id: '0', customer: 'Ada', total: '1' }).commitConsistent(orders);
  await feeder.durable();
  await caughtUp(harness.run([feed()]), 1);
  await harness.stop();
  const seqs = [1];
  // Of several lengths, so that for some the last piece is read together with the transaction after it.
  for (let others = 10; others < 26; others += 2) {
    feeder.upsert(orders, { id: String(others), customer: 'Bob', total: '1' }).piece();
    for (let id = 0; id < others; id++) {
      feeder.upsert(elsewhere, { id: String(id), text: 'x'.repeat(100_000) }).piece();
    }
    seqs.push(feeder.commit());
    seqs.push(feeder.upsert(orders, { id: String(others), customer: 'Cyd', total: '1' }, 'update').commit());
  }
  await feeder.durable();
  await caughtUp(harness.run([feed()]), feeder.seq);
  const commits = lines().flatMap((line) => /^\{"commit":(\d+)/.exec(line)?.[1] ?? []);
  expect(commits.map(Number)).toEqual(seqs);
});

test('nothing of a feed can be read before its start is consistent', async () => {
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'Ada', total: '1' }).commit(undefined, true);
  await feeder.durable();
  const groups = harness.run([feed(), feed({ name: 'early', path: harness.path('early.ndjson'), start: 'eager' })]);
  await caughtUp(groups.slice(1), 1);
  expect(lines(readFileSync(harness.path('early.ndjson'), 'utf8'))).toHaveLength(2);
  expect(() => lines()).toThrow('ENOENT');
  feeder.mark({ [`consistent:${orders.topic}`]: '{"seq":1}' });
  await caughtUp(groups, 1);
  expect(lines()).toHaveLength(2);
});

test('a file that ends anywhere is cut back to its last whole commit and goes on as if nothing had happened', async () => {
  const { feeder } = harness;
  for (let id = 1; id <= 2; id++) {
    feeder.upsert(orders, { id: String(id), customer: `é${id}`, total: '1' }).commitConsistent(orders);
  }
  await feeder.durable();
  await caughtUp(harness.run([feed({ start: 'eager' })]), 2);
  await harness.stop();
  const path = harness.path('feed.ndjson');
  const whole = readFileSync(path);
  copyFileSync(path, `${path}.kept`);
  for (let length = 0; length < whole.length; length++) {
    copyFileSync(`${path}.kept`, path);
    truncateSync(path, length);
    const groups = harness.run([feed({ start: 'eager' })]);
    await caughtUp(groups, 2);
    await harness.stop();
    const text = readFileSync(path, 'utf8');
    // What is left of a file without any whole commit begins anew; that is one commit with everything.
    if (lines(whole.toString('utf8', 0, length)).some((line) => line.startsWith('{"commit"')))
      expect(text).toBe(whole.toString());
    else expect(lines(text).at(-1)).toBe(lines(whole.toString()).at(-1));
  }
});

test('a file with a hole that a power cut left is cut back before the hole', async () => {
  const { feeder } = harness;
  const { path } = feed();
  for (let id = 1; id <= 3; id++)
    feeder.upsert(orders, { id: String(id), customer: 'x', total: '1' }).commitConsistent(orders);
  await feeder.durable();
  await caughtUp(harness.run([feed()]), 3);
  feeder.upsert(orders, { id: '4', customer: 'y', total: '1' }).commit();
  feeder.upsert(orders, { id: '5', customer: 'z', total: '1' }).commit();
  await until('both commits are there', () => lines().length === 8);
  await harness.stop();
  const whole = readFileSync(path, 'utf8');
  const holed = Buffer.from(whole);
  const hole = whole.indexOf('"y"');
  holed.fill(0, hole, hole + 20);
  writeFileSync(path, holed);
  await caughtUp(harness.run([feed()]), 5);
  await harness.stop();
  expect(readFileSync(path, 'utf8')).toBe(whole);
});

test('a file that is not a feed is left alone, and status says so', async () => {
  writeFileSync(harness.path('feed.ndjson'), 'precious\n');
  const [group] = harness.run([feed()]);
  await until('the sink fails', () => group?.status()[0]?.error?.code === 'SINK_TARGET');
  await harness.stop();
  expect(readFileSync(harness.path('feed.ndjson'), 'utf8')).toBe('precious\n');
});

test('a feed to standard output goes on after a restart where it stood', async () => {
  const { feeder } = harness;
  const seen: string[] = [];
  const output = {
    write: (chunk: Buffer, done: () => void): boolean => {
      seen.push(...lines(chunk.toString()));
      done();
      return true;
    },
  };
  feeder.upsert(orders, { id: '1', customer: 'Ada', total: '1' }).commitConsistent(orders);
  await caughtUp(harness.run([feed({ path: '-' })], { output }), 1);
  await harness.stop();
  feeder.upsert(orders, { id: '2', customer: 'Bob', total: '1' }).commit();
  await caughtUp(harness.run([feed({ path: '-' })], { output }), 2);
  expect(seen.filter((line) => line.startsWith('{"commit"'))).toEqual([
    '{"commit":1,"source":"shop","position":"0/10"}',
    '{"commit":2,"source":"shop","position":"0/20"}',
  ]);
});

test('a changed definition writes the file anew, as a whole', async () => {
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'Ada', total: '1' }).commitConsistent(orders);
  feeder.upsert(orders, { id: '1', customer: 'Eve', total: '1' }, 'update').commit();
  await feeder.durable();
  await caughtUp(harness.run([feed()]), 2);
  await harness.stop();
  await caughtUp(harness.run([feed({ columns: { id: 'id', name: 'customer' } })]), 2);
  await harness.stop();
  expect(lines()).toEqual([
    '{"op":"upsert","key":{"id":1},"doc":{"id":1,"name":"Eve"},"seq":2}',
    '{"commit":2,"source":"shop","position":"0/20"}',
  ]);
});

test('a row that has no JSON goes to the dead letters, before the consistent start and after it', async () => {
  const { feeder } = harness;
  const bad = (id: string): unknown => feeder.upsertPacked(orders, { id }, [id, Buffer.from([0xe9]), '1']);
  feeder.upsert(orders, { id: '1', customer: 'Ada', total: '1' });
  bad('2');
  feeder.upsert(orders, { id: '3', customer: 'Cyd', total: '1' }).commitConsistent(orders);
  const [group] = harness.run([feed()]);
  await caughtUp(group ? [group] : [], 1);
  bad('4');
  feeder.upsert(orders, { id: '5', customer: 'Eve', total: '1' }).commit();
  await caughtUp(group ? [group] : [], 2);
  expect(group?.sinks[0]?.deadLetters.list().map(({ key }) => key)).toEqual(['{"id":2}', '{"id":4}']);
  const ids = lines()
    .filter((line) => line.startsWith('{"op"'))
    .map((line) => JSON.parse(line).key.id);
  expect(ids).toEqual([1, 3, 5]);
});

test('with numbers: string a feed quotes what a double cannot hold, and nothing else', async () => {
  const { feeder } = harness;
  feeder.upsert(orders, { id: '9007199254740993', customer: '5', total: '1.50' }).commitConsistent(orders);
  feeder.upsert(orders, { id: '7', customer: 'a', total: '0.1234567890123456789' }).commit();
  await feeder.durable();
  await caughtUp(harness.run([feed({ numbers: 'string', start: 'eager' })]), 2);
  expect(lines().filter((line) => line.includes('"doc"'))).toEqual([
    '{"op":"upsert","key":{"id":"9007199254740993"},"doc":{"id":"9007199254740993","customer":"5","total":1.50},"seq":1}',
    '{"op":"upsert","key":{"id":7},"doc":{"id":7,"customer":"a","total":"0.1234567890123456789"},"seq":2}',
  ]);
});
