import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkPostgres } from '../../../connectors/postgres/check.ts';
import type { CheckResult } from '../../../model/source.ts';
import { until } from '../../servers/process.ts';
import { connectTo, describePostgresServer } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

const tables = ['public.orders'];

/** A source that has copied its table and stands still, with a slot that it has read to the end. */
async function stopped(url: string): Promise<TestPipeline> {
  const pipeline = await TestPipeline.started({ url, tables });
  await pipeline.settled('public.orders');
  await pipeline.stop();
  return pipeline;
}

async function slotLine(pipeline: TestPipeline, url: string): Promise<CheckResult | undefined> {
  const target = { name: 'shop', url, tables: [], slot: pipeline.slot, publication: pipeline.slot };
  for await (const result of checkPostgres(target)) {
    if (result.subject === 'shop: slot') return result;
  }
  return undefined;
}

/** The hint says to read everything again: that must then lead back to the table as it is. */
async function recovers(pipeline: TestPipeline): Promise<void> {
  await pipeline.stop().catch(() => undefined);
  pipeline.options = { ...pipeline.options, snapshot: { mode: 'when_needed' } };
  await pipeline.start();
  await pipeline.settled('public.orders');
  await pipeline.query(`INSERT INTO orders SELECT coalesce(max(id), 0) + 1, 0 FROM orders`);
  await pipeline.settled('public.orders');
  await pipeline.stop();
}

describePostgresServer('a slot', {}, (server) => {
  let admin: Client;
  beforeAll(async () => {
    admin = await connectTo(server().url());
    await admin.query(
      `CREATE TABLE orders (id int PRIMARY KEY, n int); INSERT INTO orders SELECT g, g FROM generate_series(1, 10) g`,
    );
  });
  afterAll(async () => admin?.end());

  it('that was dropped stops the source, which can then read everything again', async () => {
    const pipeline = await stopped(server().url());
    await admin.query(`UPDATE orders SET n = -1; DELETE FROM orders WHERE id = 1`);
    await admin.query(`SELECT pg_drop_replication_slot($1)`, [pipeline.slot]);
    await admin.query(`DELETE FROM orders WHERE id = 2`);
    await pipeline.launch();
    const error = await pipeline.failed();
    expect(error).toMatchObject({ code: 'SLOT_LOST', place: { source: 'shop' } });
    expect(error.hint).toContain('when_needed');
    await recovers(pipeline);
  });

  it('that somebody drops while it is read stops the source, too', async () => {
    const pipeline = await TestPipeline.started({ url: server().url(), tables });
    await pipeline.consistent();
    await until('the slot to be dropped', async () => {
      await admin.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1`, [
        pipeline.slot,
      ]);
      return admin.query(`SELECT pg_drop_replication_slot($1)`, [pipeline.slot]).then(
        () => true,
        () => false,
      );
    });
    expect(await pipeline.failed()).toMatchObject({ code: 'SLOT_LOST' });
    await recovers(pipeline);
  });

  it('that somebody else has moved on stops the source', async () => {
    const pipeline = await stopped(server().url());
    await admin.query(`UPDATE orders SET n = -2`);
    await admin.query(`SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())`, [pipeline.slot]);
    await pipeline.launch();
    const error = await pipeline.failed();
    expect(error).toMatchObject({ code: 'SLOT_AHEAD' });
    expect(error.message).toContain('somebody else');
    await recovers(pipeline);
  });

  it('that another reader holds is waited for, and nothing is lost', async () => {
    const pipeline = await stopped(server().url());
    const other = await TestPipeline.create({ url: server().url(), tables });
    // The same slot, from another log: the second deployment of a copied configuration.
    Object.assign(other, { slot: pipeline.slot });
    await pipeline.start();
    await other.launch();
    const event = await other.until('the second reader to complain', () =>
      other.reports.find(({ type }) => type === 'source.retrying'),
    );
    expect(event).toMatchObject({ error: { code: 'SLOT_IN_USE' } });
    expect(other.source.status().error).toMatchObject({ code: 'SLOT_IN_USE' });
    await admin.query(`INSERT INTO orders VALUES (100, 1)`);
    await pipeline.settled('public.orders');
    await other.crash();
    await pipeline.stop();
  });
});

describePostgresServer(
  'a slot whose WAL the server has removed',
  { settings: { max_slot_wal_keep_size: '1MB', min_wal_size: '32MB', max_wal_size: '32MB' } },
  (server) => {
    it('stops the source with the reason, which can then read everything again', async () => {
      const admin = await connectTo(server().url());
      await admin.query(
        `CREATE TABLE orders (id int PRIMARY KEY, n int); INSERT INTO orders SELECT g, g FROM generate_series(1, 10) g`,
      );
      const pipeline = await stopped(server().url());
      await admin.query(`UPDATE orders SET n = 0`);
      await until('the slot to be lost', async () => {
        await admin.query(`SELECT pg_switch_wal()`);
        await admin.query(`CREATE TABLE IF NOT EXISTS filler (a int); INSERT INTO filler VALUES (1)`);
        await admin.query('CHECKPOINT');
        const { rows } = await admin.query<{ wal_status: string }>(
          `SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1`,
          [pipeline.slot],
        );
        return rows[0]?.wal_status === 'lost';
      });
      expect(await slotLine(pipeline, server().url())).toMatchObject({ level: 'error' });
      await pipeline.launch();
      const error = await pipeline.failed();
      expect(error).toMatchObject({ code: 'SLOT_LOST' });
      expect(error.message).toMatch(/max_slot_wal_keep_size|wal_removed/);
      expect(error.hint).toContain('when_needed');
      await recovers(pipeline);
      await admin.end();
    });
  },
);

describePostgresServer('a server that was restored from a copy of its data', {}, (server) => {
  it('is not followed over the gap', async () => {
    const admin = await connectTo(server().url());
    await admin.query(
      `CREATE TABLE orders (id int PRIMARY KEY, n int); INSERT INTO orders SELECT g, g FROM generate_series(1, 10) g`,
    );
    const pipeline = await stopped(server().url());
    await admin.end();
    const copy = `${server().dataDirectory}.copy`;
    await server().shutDown();
    // With its owner: the server runs as another account than the tests may.
    execFileSync('cp', ['-a', server().dataDirectory, copy]);
    await server().start();
    await pipeline.start();
    await pipeline.query(`INSERT INTO orders SELECT g, 0 FROM generate_series(100, 300) g`);
    await pipeline.settled('public.orders');
    await pipeline.stop();
    await server().shutDown();
    rmSync(server().dataDirectory, { recursive: true });
    execFileSync('cp', ['-a', copy, server().dataDirectory]);
    await server().start();
    await pipeline.launch();
    const error = await pipeline.failed();
    expect(error).toMatchObject({ code: 'SOURCE_IDENTITY' });
    expect(error.message).toContain('restored');
    await recovers(pipeline);
  });
});

describePostgresServer('another database at the same address', {}, (server) => {
  it('is not taken for the one that the log was filled from', async () => {
    const admin = await connectTo(server().url());
    await admin.query(`CREATE DATABASE twin`);
    await admin.query(`CREATE TABLE orders (id int PRIMARY KEY, n int)`);
    const twin = await connectTo(server().url('twin'));
    await twin.query(`CREATE TABLE orders (id int PRIMARY KEY, n int)`);
    const pipeline = await stopped(server().url());
    pipeline.options = { ...pipeline.options, url: server().url('twin') };
    await pipeline.launch();
    expect((await pipeline.failed()).code).toMatch(/^(SOURCE_IDENTITY|SLOT_FOREIGN)$/);
    await pipeline.stop().catch(() => undefined);
    await twin.end();
    await admin.end();
  });
});
