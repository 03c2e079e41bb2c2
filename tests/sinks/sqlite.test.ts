import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SqliteSinkOptions } from '../../sinks/options.ts';
import { Harness, caughtUp, table } from './harness.ts';

const orders = table('orders', { id: 'int8', customer: 'text', total: 'numeric', paid: 'bool' });

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.create();
});
afterEach(async () => harness.close());

function sink(changes: Partial<SqliteSinkOptions> = {}): SqliteSinkOptions {
  return {
    name: 'local',
    type: 'sqlite',
    path: harness.path('search.db'),
    from: orders.topic,
    table: 'orders',
    search: [],
    start: 'consistent',
    ...changes,
  };
}

function query(sql: string): Record<string, unknown>[] {
  const db = new DatabaseSync(harness.path('search.db'), { readOnly: true });
  try {
    return db
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    db.close();
  }
}

test('rows and cursor of a sink equal the log', async () => {
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'Ada', total: '12.50', paid: 't' }).commit();
  feeder.upsert(orders, { id: '2', customer: 'Bob', total: '7', paid: 'f' }).commit();
  feeder.delete(orders, { id: '1' }).commitConsistent(orders);
  const groups = harness.run([sink()]);
  await caughtUp(groups, 3);
  expect(query('SELECT * FROM orders')).toEqual([{ id: 2, customer: 'Bob', total: '7', paid: 'false', _seq: 2 }]);
  feeder.upsert(orders, { id: '2', customer: 'Bob', total: '8', paid: 't' }, 'update').commit();
  await caughtUp(groups, 4);
  expect(query('SELECT * FROM orders')).toEqual([{ id: 2, customer: 'Bob', total: '8', paid: 'true', _seq: 4 }]);
  expect(query('SELECT sink, seq, position FROM _tidemark')).toEqual([{ sink: 'local', seq: 4, position: '0/40' }]);
});
