import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { StageHarness, table } from './harness.ts';
import type { ViewText } from './harness.ts';

const customers = table('shop.public.customers', { id: 'int8', name: 'text', note: 'text' });
const orders = table('shop.public.orders', { id: 'int8', customer_id: 'int8', total: 'numeric' });
const docs: ViewText = {
  name: 'docs',
  key: ['id'],
  sql: `SELECT c.id, c.name, count(o.id) AS orders, json_agg(o.total ORDER BY o.id) AS totals
        FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id, c.name`,
};

describe('the stage', () => {
  let harness: StageHarness;
  beforeAll(loadSqlParser);
  afterEach(async () => harness.close());

  async function shop(): Promise<Awaited<ReturnType<StageHarness['feeder']>>> {
    harness = await StageHarness.create(customers, orders);
    return harness.feeder('shop');
  }

  it('publishes nothing before its tables are consistent, and then the whole result in one commit', async () => {
    const feed = await shop();
    harness.start([docs]);
    feed
      .upsert(customers, { id: '1', name: 'Ada' }, 'read')
      .upsert(customers, { id: '2', name: 'Bob' }, 'read')
      .commit();
    feed.upsert(orders, { id: '10', customer_id: '1', total: '2.50' }, 'read').commitConsistent(customers);
    feed.upsert(orders, { id: '11', customer_id: '1', total: '3' }, 'read').commitConsistent(orders);
    await harness.caughtUp();
    const commits = await harness.commits();
    expect(commits).toMatchObject([{ seq: 1, position: '0/30' }]);
    expect(await harness.rows('docs')).toEqual([
      { id: '1', name: 'Ada', orders: '2', totals: '[2.50, 3]' },
      { id: '2', name: 'Bob', orders: '0', totals: '[null]' },
    ]);
    expect(harness.log.state('views').get('consistent:views.docs')).toBe('{"seq":1}');
  });

  it('publishes each transaction that changes a result with its row before and after, and only those', async () => {
    const feed = await shop();
    const stage = harness.start([docs]);
    feed.upsert(customers, { id: '1', name: 'Ada' }, 'read').commitConsistent(customers, orders);
    await harness.caughtUp();
    feed.upsert(orders, { id: '10', customer_id: '1', total: '2.50' }, 'create').commit();
    await harness.caughtUp();
    // Neither a column that no view uses, nor a row that comes again, changes anything.
    feed.upsert(customers, { id: '1', name: 'Ada', note: 'new' }).commit();
    feed.upsert(orders, { id: '10', customer_id: '1', total: '2.50' }).commit();
    await harness.caughtUp();
    feed.delete(orders, { id: '10' }).upsert(customers, { id: '2', name: 'Bob' }, 'create').commit();
    await harness.caughtUp();
    const position = feed.mark();
    await harness.caughtUp();
    const commits = await harness.commits();
    const [ada, adaWithOrder] = [
      { id: '1', name: 'Ada', orders: '0', totals: '[null]' },
      { id: '1', name: 'Ada', orders: '1', totals: '[2.50]' },
    ];
    expect(commits.map(({ changes }) => changes.map(({ before, after }) => [before, after]))).toEqual([
      [[null, ada]],
      [[ada, adaWithOrder]],
      [
        [adaWithOrder, ada],
        [null, { id: '2', name: 'Bob', orders: '0', totals: '[null]' }],
      ],
    ]);
    expect(harness.log.frontier('views')).toMatchObject({ seq: 3, position });
    expect(stage.status()).toMatchObject([{ name: 'docs', step: 3, rows: 2, consistent: true, error: null }]);
    expect(stage.lookup('docs', ['1'])).toEqual({
      seq: 3,
      row: '{"id":1,"name":"Ada","orders":0,"totals":[null]}',
    });
    expect(stage.lookup('docs', ['7'])).toEqual({ seq: 3, row: null });
  });

  it('goes on after a stop where it was, and publishes nothing again', async () => {
    const feed = await shop();
    harness.start([docs]);
    feed.upsert(customers, { id: '1', name: 'Ada' }, 'read').commitConsistent(customers, orders);
    await harness.caughtUp();
    await harness.stop();
    harness.start([docs]);
    await harness.caughtUp();
    expect(await harness.commits()).toHaveLength(1);
    feed.upsert(orders, { id: '10', customer_id: '1', total: '1' }).commit();
    await harness.caughtUp();
    await harness.stop();
    feed.delete(customers, { id: '1' }).commit();
    harness.start([docs]);
    await harness.caughtUp();
    expect((await harness.commits()).map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(await harness.rows('docs')).toEqual([]);
  });

  it('does not mix a transaction in many pieces with those of another source', async () => {
    const accounts = table('bank.public.accounts', { id: 'int8', balance: 'int8' });
    harness = await StageHarness.create(customers, accounts);
    const [shopFeed, bank] = [await harness.feeder('shop'), await harness.feeder('bank')];
    shopFeed.commitConsistent(customers);
    bank.commitConsistent(accounts);
    harness.start([
      { name: 'people', key: ['id'], sql: 'SELECT id, name FROM customers' },
      { name: 'money', key: ['id'], sql: 'SELECT id, balance FROM accounts' },
    ]);
    await harness.caughtUp();
    for (let round = 1; round <= 5; round++) {
      for (let id = 1; id <= 4; id++) {
        shopFeed.upsert(customers, { id: String(id), name: String(round), note: 'n'.repeat(700_000) }).piece();
      }
      shopFeed.commit();
      for (let count = 1; count <= 3; count++) bank.upsert(accounts, { id: '1', balance: `${round}${count}` }).commit();
      await harness.caughtUp();
    }
    const sizes = (await harness.commits()).map(
      ({ changes }) => changes.filter(({ view }) => view === 'people').length,
    );
    expect(sizes.filter((size) => size > 0)).toEqual([4, 4, 4, 4, 4]);
  });

  it('publishes each row of a transaction in many pieces once', async () => {
    const feed = await shop();
    harness.start([docs]);
    feed.upsert(customers, { id: '1', name: 'Ada' }, 'read').commitConsistent(customers, orders);
    await harness.caughtUp();
    const name = 'x'.repeat(200);
    for (let id = 1; id <= 20_000; id++) {
      feed.upsert(orders, { id: String(id), customer_id: String(1 + (id % 4)), total: String(id) });
      if (id % 5_000 === 0) feed.upsert(customers, { id: String(1 + (id % 3)), name: `${name}${id}` }).piece();
    }
    feed.commit();
    await harness.caughtUp();
    const commits = await harness.commits();
    expect(commits).toHaveLength(2);
    expect(commits[1]?.changes.map(({ key }) => key).toSorted()).toEqual(
      [...new Set(commits[1]?.changes.map(({ key }) => key))].toSorted(),
    );
    const rows = await harness.rows('docs');
    expect(rows.map(({ orders: count }) => count)).toEqual(['5000', '5000', '5000']);
  });
});
