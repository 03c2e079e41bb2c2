import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { StageHarness, table } from './harness.ts';
import type { ViewText } from './harness.ts';

const customers = table('shop.public.customers', { id: 'int8', name: 'text' });
const orders = table('shop.public.orders', { id: 'int8', customer: 'int8', total: 'numeric' });
const clicks = table('shop.public.clicks', { customer: 'int8', page: 'text' }, []);
const views: readonly ViewText[] = [
  {
    name: 'docs',
    key: ['id'],
    sql: `SELECT c.id, c.name, json_agg(o.total ORDER BY o.id) FILTER (WHERE o.id IS NOT NULL) AS totals
      FROM customers c LEFT JOIN orders o ON o.customer = c.id GROUP BY c.id, c.name`,
  },
  { name: 'pages', sql: 'SELECT page, count(*) AS n FROM clicks GROUP BY page' },
  { name: 'none', key: [], sql: 'SELECT count(*) AS n, max(total) AS total FROM orders WHERE total < 0' },
];
const customerCount = 200;
const orderCount = 3_000;

/** Rows that come, change and go before the tables are consistent. */
async function filled(harness: StageHarness): Promise<void> {
  const shop = await harness.feeder('shop');
  for (let id = 0; id < customerCount; id++) shop.upsert(customers, { id: String(id), name: 'early' }, 'read');
  for (let id = 0; id < orderCount; id++) {
    shop.upsert(orders, { id: String(id), customer: String((id * 7) % customerCount), total: '1' }, 'read');
    shop.upsert(clicks, { customer: String(id), page: `/${id % 3}` }, 'create');
  }
  shop.commit();
  for (let id = 0; id < customerCount; id++) shop.upsert(customers, { id: String(id), name: `name ${id}` });
  for (let id = 0; id < orderCount; id += 2) {
    if (id % 4 === 0) shop.delete(orders, { id: String(id) });
    else shop.upsert(orders, { id: String(id), customer: String(id % customerCount), total: '2.50' });
  }
  shop.delete(clicks, { customer: '0', page: '/0' });
  shop.commitConsistent(customers, orders, clicks);
}

/** As `docs` should be. */
function expectedDocs(): object[] {
  const totals = new Map<number, string[]>();
  for (let id = 0; id < orderCount; id++) {
    if (id % 4 === 0) continue;
    const customer = id % 2 === 0 ? id % customerCount : (id * 7) % customerCount;
    totals.set(customer, [...(totals.get(customer) ?? []), id % 2 === 0 ? '2.50' : '1']);
  }
  return Array.from({ length: customerCount }, (_, id) => {
    const all = totals.get(id);
    return { id: String(id), name: `name ${id}`, totals: all === undefined ? null : `[${all.join(', ')}]` };
  });
}

describe('the first building of views', () => {
  beforeAll(loadSqlParser);

  it('gives each row once, in one commit, whatever came before the tables were consistent', async () => {
    const harness = await StageHarness.create(customers, orders, clicks);
    try {
      await filled(harness);
      harness.start(views);
      await harness.caughtUp();
      const commits = await harness.commits();
      expect(commits.filter(({ changes }) => changes.length > 0)).toHaveLength(1);
      const docs = await harness.rows('docs');
      expect(docs.toSorted((a, b) => Number(a['id']) - Number(b['id']))).toEqual(expectedDocs());
      expect(await harness.rows('pages')).toEqual([
        { page: '/0', n: '999' },
        { page: '/1', n: '1000' },
        { page: '/2', n: '1000' },
      ]);
      expect(await harness.rows('none')).toEqual([{ n: '0', total: null }]);
    } finally {
      await harness.close();
    }
  });

  it('begins again after a stop in its middle, and publishes nothing twice', async () => {
    const harness = await StageHarness.create(customers, orders, clicks);
    try {
      await filled(harness);
      for (const turns of [1, 2, 4, 7, 11, 16, 22, 30, 40, 60, 90]) {
        harness.start(views);
        for (let count = 0; count < turns; count++) await turn();
        await harness.stop();
      }
      harness.start(views);
      await harness.caughtUp();
      const docs = await harness.rows('docs');
      expect(docs.toSorted((a, b) => Number(a['id']) - Number(b['id']))).toEqual(expectedDocs());
      // What was built is followed from there.
      const shop = await harness.feeder('shop');
      shop.upsert(orders, { id: '1', customer: '199', total: '-1' }).delete(customers, { id: '0' }).commit();
      await harness.caughtUp();
      expect(await harness.rows('none')).toEqual([{ n: '1', total: '-1' }]);
      expect((await harness.rows('docs')).map(({ id }) => id)).not.toContain('0');
    } finally {
      await harness.close();
    }
  });

  it('removes what a killed process left to be sorted', async () => {
    const harness = await StageHarness.create(customers, orders, clicks);
    try {
      await filled(harness);
      const folder = join(harness.directory, 'views', 'sorting');
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'run-0'), 'left');
      harness.start(views);
      await harness.caughtUp();
      expect(await readdir(join(harness.directory, 'views'))).not.toContain('sorting');
    } finally {
      await harness.close();
    }
  });
});
