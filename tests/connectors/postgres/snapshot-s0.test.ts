import { expect, it } from 'vitest';
import { until } from '../../servers/process.ts';
import { describePostgresServer } from '../../servers/suite.ts';
import { aroundReads } from './harness-parts.ts';
import { TestPipeline } from './harness.ts';
import { Session, commitInvisibly, invisibleCommits } from './invisible.ts';

/** How many chunks of a topic were read and given to the snapshotter. */
const countReads = (topic: string): (() => number) => {
  let count = 0;
  aroundReads(async (request, read) => {
    if (request.topic === topic) count++;
    return read();
  });
  return () => count;
};

/** Transactions that are never streamed for a table, because they began or committed too early, and that reads may not see yet. */
describePostgresServer('a transaction that the stream leaves out', invisibleCommits, (server) => {
  it('because it committed before the slot was consistent, is waited for until it is visible', async () => {
    const url = server().url();
    const pipeline = await TestPipeline.create({ url, tables: ['public.early'] });
    await pipeline.query(
      `CREATE TABLE early (id int PRIMARY KEY, v text); INSERT INTO early VALUES (1, 'old'), (2, 'old')`,
    );
    const reads = countReads('shop.public.early');
    const waitsFor = async (xid: string): Promise<void> => {
      await until(`the slot to wait for transaction ${xid}`, async () => {
        const rows = await pipeline.query(
          `SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'transactionid' AND transactionid = '${xid}' AND NOT granted AND query LIKE '%pg_create_logical_replication_slot%'`,
        );
        return rows.length > 0;
      });
    };
    // The slot's builder waits for whoever runs at its start, then for whoever runs once these have ended; it streams what
    // commits after that, but waits for nobody who began in between.
    const [first, second] = [await Session.open(url), await Session.open(url)];
    const firstXid = await first.begin();
    await pipeline.launch();
    await waitsFor(firstXid);
    const secondXid = await second.begin();
    await first.commit();
    await waitsFor(secondXid);
    const invisible = await commitInvisibly(url, `UPDATE early SET v = 'new' WHERE id = 1`);
    await second.commit();
    const waitingFor = await pipeline.until(
      'the snapshot to say what it waits for',
      () => pipeline.source.status().snapshot.waitingFor ?? false,
    );
    expect(waitingFor).toMatch(/waiting for a synchronous standby/);
    expect(reads()).toBe(0);
    await invisible.release();
    await pipeline.settled('public.early');
    expect(reads()).toBe(1);
    expect(pipeline.source.status().snapshot.waitingFor).toBeNull();
  });

  it('because it began before a table was added and is still open, is waited for until it ends', async () => {
    const url = server().url();
    const pipeline = await TestPipeline.create({ url, tables: ['public.base1'] });
    await pipeline.query(
      `CREATE TABLE base1 (id int PRIMARY KEY); CREATE TABLE added1 (id int PRIMARY KEY, v text); INSERT INTO added1 VALUES (1, 'old'), (2, 'old')`,
    );
    await pipeline.start();
    await pipeline.settled('public.base1');
    await pipeline.stop();
    const reads = countReads('shop.public.added1');
    const open = await Session.open(url);
    await open.begin(`UPDATE added1 SET v = 'new' WHERE id = 1; INSERT INTO added1 VALUES (3, 'new')`);
    pipeline.options = { ...pipeline.options, tables: ['public.base1', 'public.added1'] };
    await pipeline.start();
    await pipeline.until('the snapshot to wait', () => pipeline.source.status().snapshot.waitingFor !== null);
    await pipeline.query(`UPDATE added1 SET v = 'streamed' WHERE id = 2; INSERT INTO base1 VALUES (1)`);
    // Other tables go on meanwhile.
    await pipeline.reached(await pipeline.source.currentPosition());
    await pipeline.expectEqual('public.base1');
    expect([reads(), pipeline.source.status().consistent]).toEqual([0, false]);
    await open.query(`DELETE FROM added1 WHERE id = 3; INSERT INTO added1 VALUES (4, 'new')`);
    await open.commit();
    await pipeline.settled('public.base1', 'public.added1');
  });

  it('because it committed before a table was added, is waited for until it is visible, also after a crash', async () => {
    const url = server().url();
    const pipeline = await TestPipeline.create({ url, tables: ['public.base2'] });
    await pipeline.query(
      `CREATE TABLE base2 (id int PRIMARY KEY); CREATE TABLE added2 (id int PRIMARY KEY, v text); INSERT INTO added2 VALUES (1, 'old'), (2, 'old')`,
    );
    await pipeline.start();
    await pipeline.settled('public.base2');
    await pipeline.stop();
    const reads = countReads('shop.public.added2');
    const invisible = await commitInvisibly(url, `UPDATE added2 SET v = 'new' WHERE id = 1`);
    pipeline.options = { ...pipeline.options, tables: ['public.base2', 'public.added2'] };
    await pipeline.start();
    await pipeline.until('the snapshot to wait', () => pipeline.source.status().snapshot.waitingFor !== null);
    await pipeline.crash();
    await pipeline.start();
    await pipeline.until('the snapshot to wait again', () => pipeline.source.status().snapshot.waitingFor !== null);
    expect(reads()).toBe(0);
    await invisible.release();
    await pipeline.settled('public.added2');
  });

  it('because it began before a table that a pattern means was found, is waited for until it ends', async () => {
    const url = server().url();
    const pipeline = await TestPipeline.create({ url, tables: ['public.order_*'] });
    await pipeline.query(`CREATE TABLE order_1 (id int PRIMARY KEY, v text); INSERT INTO order_1 VALUES (1, 'old')`);
    await pipeline.start();
    await pipeline.settled('public.order_1');
    const reads = countReads('shop.public.order_2');
    // The heartbeat, which looks for new tables, waits until the transaction is open.
    const letGo = pipeline.clock.hold(100);
    await pipeline.query(
      `CREATE TABLE order_2 (id int PRIMARY KEY, v text); INSERT INTO order_2 VALUES (1, 'old'), (2, 'old')`,
    );
    const open = await Session.open(url);
    await open.begin(`UPDATE order_2 SET v = 'new' WHERE id = 1`);
    letGo();
    await pipeline.until('the snapshot to wait', () => pipeline.source.status().snapshot.waitingFor !== null);
    expect(reads()).toBe(0);
    await open.query(`UPDATE order_2 SET v = 'new' WHERE id = 2`);
    await open.commit();
    await pipeline.settled('public.order_1', 'public.order_2');
  });

  it.each(['stopped', 'running'] as const)(
    'because it began before a table was made again under its name is waited for, %s meanwhile',
    async (during) => {
      const url = server().url();
      const table = `reborn_${during}`;
      const pipeline = await TestPipeline.create({ url, tables: [`public.${table}*`] });
      const make = `CREATE TABLE ${table} (id int PRIMARY KEY, v text); INSERT INTO ${table} VALUES (1, 'old'), (2, 'old')`;
      await pipeline.query(make);
      await pipeline.start();
      await pipeline.settled(`public.${table}`);
      const letGo = pipeline.clock.hold(100);
      if (during === 'stopped') await pipeline.stop();
      await pipeline.query(`DROP TABLE ${table}; ${make}`);
      const open = await Session.open(url);
      await open.begin(`UPDATE ${table} SET v = 'new' WHERE id = 1; DELETE FROM ${table} WHERE id = 2`);
      letGo();
      if (during === 'stopped') await pipeline.start();
      await pipeline.until('the snapshot to wait', () => pipeline.source.status().snapshot.waitingFor !== null);
      await open.query(`INSERT INTO ${table} VALUES (3, 'new')`);
      await open.commit();
      await pipeline.settled(`public.${table}`);
    },
  );
});
