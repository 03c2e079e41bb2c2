import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { start, until } from './harness.ts';
import { Deployment, apply, docs } from './views-harness.ts';
import type { FeedCommit } from './views-harness.ts';

const feed = '\n  feed: { type: ndjson, path: ./feed.ndjson, from: docs }';

const ada = { id: 1, name: 'Ada', size: 1 };
const bob = { id: 2, name: 'Bob', size: 2 };

/** Every commit of the feed is what the query answers over exactly the lines that its position says; commits come in order, each once. */
async function expectWhole(deployment: Deployment, commits: readonly FeedCommit[]): Promise<void> {
  const rows = new Map<string, unknown>();
  let last = 0;
  for (const { seq, position, changes } of commits) {
    expect(seq).toBeGreaterThan(last);
    expect(changes.length, `commit ${seq} changes something`).toBeGreaterThan(0);
    last = seq;
    apply(rows, changes);
    const { shop, erp } = position as { shop: string; erp: string };
    const orders = [...(await deployment.rowsUpTo('erp', erp)).values()];
    const expected = [...(await deployment.rowsUpTo('shop', shop)).values()].map(({ id, name }) => {
      const own = orders.filter((order) => order['customer_id'] === id);
      const total = own.length === 0 ? null : own.reduce((sum, order) => sum + Number(order['total']), 0);
      return { id, name, orders: own.length, total };
    });
    expect([...rows.values()].toSorted(byId), `commit ${seq}`).toEqual(expected.toSorted(byId));
  }
}

function byId(a: unknown, b: unknown): number {
  return (a as { id: number }).id - (b as { id: number }).id;
}

/** A plan without the sizes of states, which go on changing. */
function withoutSizes(plan: string): string {
  return plan.replaceAll(/\d+ B\]/g, 'B]').trimEnd();
}

describe('views over two sources, as a user runs them', () => {
  it('shows how far each source has come, and waits for one of them', async () => {
    const deployment = await Deployment.create(docs, feed);
    await deployment.write('erp', { id: 10, customer_id: 1, total: 1 });
    const shop = await deployment.write('shop', ada, bob);
    await deployment.start();
    await deployment.caughtUp('feed');
    const erp = await deployment.write('erp', { id: 11, customer_id: 2, total: 2 });
    const at = ['wait', '--sink', 'feed', '--position', String(erp)];
    const unsaid = await deployment.command(...at);
    expect(unsaid).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("sink 'feed' has several sources: erp, shop"),
    });
    expect(unsaid.stderr).toContain('--source');
    const wait = await deployment.command(...at, '--source', 'erp', '--timeout', '20s', '--json');
    expect(wait.code, wait.stderr).toBe(0);
    const position = { erp: String(erp), shop: String(shop) };
    expect(JSON.parse(wait.stdout)).toEqual({ sink: 'feed', position, waited_ms: expect.any(Number) });
    expect((await deployment.feed('feed')).at(-1)).toMatchObject({ position });
    const status = JSON.parse((await deployment.command('status', '--json')).stdout) as unknown;
    expect(status).toMatchObject({
      ready: true,
      views: [{ name: 'docs', rows: 2, consistent: true, dead_letters: 0, error: null }],
      sinks: [{ name: 'feed', position, consistent: true }],
    });
    expect((await deployment.command('status')).stdout).toMatch(/feed +ndjson +\d+ +erp \d+, shop \d+/);
    const late = await deployment.command(
      'wait',
      '--sink',
      'feed',
      '--position',
      '999999',
      '--source',
      'shop',
      '--timeout',
      '100ms',
    );
    expect(late.code, late.stderr).toBe(3);
    expect(late.stderr).toContain(`it is at erp ${erp}, shop ${shop}`);
    const nobody = await deployment.command('wait', '--sink', 'feed', '--now', '--source', 'nobody');
    expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining("the file has no source 'nobody'") });
    await expectWhole(deployment, await deployment.feed('feed'));
  });

  it('names the position of sources that have brought nothing yet', async () => {
    const deployment = await Deployment.create(
      '\n  counted: { key: [n], sql: "SELECT count(*) AS n FROM customers, orders" }',
      feed.replace('docs', 'counted'),
    );
    await deployment.write('erp');
    await deployment.write('shop');
    await deployment.start();
    await deployment.caughtUp('feed');
    expect(await deployment.feed('feed')).toMatchObject([
      { seq: 1, position: { erp: '0', shop: '0' }, changes: [{ op: 'upsert', doc: { n: 0 } }] },
    ]);
  });

  it('tails the topic of a view, beside the service and without one', async () => {
    const deployment = await Deployment.create(docs, feed);
    await deployment.write('erp');
    await deployment.write('shop', ada);
    await deployment.start();
    await deployment.caughtUp('feed');
    const follow = start(deployment.directory, ['tail', 'views.docs', '--from', 'now', '--follow', '--count', '1']);
    let size = 1;
    const feeding = setInterval(() => void deployment.write('shop', { ...ada, name: `Ada ${++size}` }), 100);
    const followed = await follow.ended;
    clearInterval(feeding);
    expect(followed.code, followed.stderr).toBe(0);
    expect(JSON.parse(followed.stdout)).toMatchObject({
      before: { id: 1, orders: 0 },
      after: { id: 1, name: expect.stringMatching(/^Ada \d+$/), orders: 0, total: null },
      source: { connector: 'views', name: 'views', table: 'docs' },
      op: 'u',
      position: { erp: '0', shop: expect.stringMatching(/^\d+$/) },
    });
    const running = await deployment.command('tail', 'docs', '--count', '1');
    expect(JSON.parse(running.stdout)).toMatchObject({ op: 'c', after: { id: 1, name: 'Ada' }, seq: 1 });
    await deployment.stop();
    const stopped = await deployment.command('tail', 'views.docs', '--count', '1');
    expect(JSON.parse(stopped.stdout)).toMatchObject({ op: 'c', after: { id: 1, name: 'Ada' }, seq: 1 });
    const topics = await deployment.command('topics', '--json');
    expect(JSON.parse(topics.stdout)).toMatchObject({
      topics: expect.arrayContaining([
        expect.objectContaining({ topic: 'views.docs', source: 'views', kind: 'table' }),
      ]),
    });
  });

  it('explains a view with and without a service, as text and as JSON', async () => {
    const deployment = await Deployment.create(docs, feed);
    await deployment.write('erp', { id: 10, customer_id: 1, total: 1 });
    await deployment.write('shop', ada);
    const without = await deployment.command('explain', 'docs');
    expect(without.code, without.stderr).toBe(0);
    for (const part of [
      'output view docs key (id)',
      'aggregate by (id, name)',
      'join left on id = customer_id',
      'input shop.public.customers',
      'input erp.public.orders',
      'a changed row of erp.public.orders',
    ]) {
      expect(without.stdout).toContain(part);
    }
    expect(without.stdout).not.toMatch(/\d B\]/);
    await deployment.start();
    await deployment.caughtUp('feed');
    const json = await deployment.command('explain', 'docs', '--json');
    const { view, plan } = JSON.parse(json.stdout) as { view: string; plan: string };
    expect(view).toBe('docs');
    expect(plan).toMatch(/aggregate by \(id, name\).*\[1 row, \d+ B\]/);
    expect(withoutSizes((await deployment.command('explain', 'docs')).stdout)).toBe(withoutSizes(plan));
    for (const unknown of [
      await deployment.command('explain', 'doc'),
      (await deployment.stop(), await deployment.command('explain', 'doc')),
    ]) {
      expect(unknown).toMatchObject({ code: 2, stderr: "tidemark: there is no view 'doc'\n  Known views: docs.\n" });
    }
  });

  it('goes on after kill -9 with each step once, whatever was half done', async () => {
    const deployment = await Deployment.create(docs, feed);
    let id = 100;
    const write = async (): Promise<void> => {
      id++;
      await deployment.write('erp', { id, customer_id: (id % 7) + 1, total: id });
      await deployment.write('shop', { id: (id % 7) + 1, name: `c${id}`, size: 1 });
    };
    await write();
    for (let round = 0; round < 4; round++) {
      const before = (await deployment.feed('feed')).length;
      await deployment.start();
      await until('the feed goes on', async () => {
        await write();
        return (await deployment.feed('feed')).length > before + 3;
      });
      await deployment.stop('SIGKILL');
      for (let more = 0; more < 5; more++) await write();
    }
    await deployment.start();
    await deployment.caughtUp('feed');
    const commits = await deployment.feed('feed');
    await expectWhole(deployment, commits);
    // And the same rows come out of the log when the state is gone.
    await deployment.stop();
    await rm(join(deployment.directory, 'data', 'views'), { recursive: true });
    await deployment.start();
    await until('rows can be looked up', async () => (await deployment.row('docs', '3')).status === 200);
    await deployment.caughtUp('feed');
    expect(await deployment.feed('feed')).toEqual(commits);
    expect(JSON.parse((await deployment.row('docs', '3')).body)).toMatchObject({ row: { id: 3 } });
  });

  it('makes what a changed view differs in one commit, and takes a view out and in again', async () => {
    const other = '\n  names: { key: [id], sql: "SELECT id, name FROM customers" }';
    const names = '\n  names: { type: ndjson, path: ./names.ndjson, from: names }';
    const deployment = await Deployment.create(docs + other, feed + names);
    await deployment.write('erp', { id: 10, customer_id: 1, total: 5 }, { id: 11, customer_id: 2, total: 7 });
    await deployment.write('shop', ada, bob);
    await deployment.start();
    await deployment.caughtUp('feed');
    await deployment.caughtUp('names');
    await deployment.stop();
    const before = await deployment.feed('feed');
    const namesBefore = await deployment.feed('names');

    await deployment.configure(docs.replace('GROUP BY', 'WHERE c.id <> 2 GROUP BY') + other, feed + names);
    await deployment.write('shop', { id: 3, name: 'Cyd', size: 3 });
    await deployment.start();
    await deployment.caughtUp('feed');
    await deployment.caughtUp('names');
    const changed = (await deployment.feed('feed')).slice(before.length);
    expect(changed.flatMap(({ changes }) => changes.map(({ op, key }) => [op, key['id']]))).toEqual([
      ['upsert', 3],
      ['delete', 2],
    ]);
    expect(changed).toHaveLength(1);
    expect((await deployment.feed('names')).slice(namesBefore.length).flatMap(({ changes }) => changes)).toEqual([
      { op: 'upsert', key: { id: 3 }, doc: { id: 3, name: 'Cyd' }, seq: expect.any(Number) },
    ]);
    expect((await deployment.row('docs', '2')).status).toBe(404);
    await deployment.stop();

    await deployment.configure(other, names);
    await deployment.write('shop', { id: 4, name: 'Dan', size: 4 });
    await deployment.start();
    await deployment.caughtUp('names');
    expect(await deployment.row('docs', '1')).toMatchObject({
      status: 404,
      body: expect.stringContaining('Known views: names.'),
    });
    await deployment.stop();

    await deployment.configure(docs + other, feed + names);
    await deployment.start();
    await deployment.caughtUp('feed');
    const rows = new Map<string, unknown>();
    for (const { changes } of await deployment.feed('feed')) apply(rows, changes);
    expect([...rows.keys()].toSorted()).toEqual(['{"id":1}', '{"id":2}', '{"id":3}', '{"id":4}']);
    expect((await deployment.feed('names')).at(-1)?.changes).toHaveLength(1);
    expect(JSON.parse((await deployment.row('docs', '2')).body)).toMatchObject({
      row: { id: 2, orders: 1, total: 7 },
    });
    expect(await readFile(join(deployment.directory, 'feed.ndjson'), 'utf8')).toMatch(/\n$/);
  });
});
