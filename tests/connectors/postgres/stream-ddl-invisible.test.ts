import { expect, it } from 'vitest';
import { connectTo, describePostgresServer } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';
import { commitInvisibly, invisibleCommits } from './invisible.ts';

/** Waits until the server has sent all there is. */
async function sent(pipeline: TestPipeline): Promise<void> {
  await pipeline.until('everything to be sent', async () => {
    const rows = await pipeline.query(
      `SELECT sent_lsn >= pg_current_wal_flush_lsn() AS yes FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid WHERE slot_name = $1`,
      [pipeline.slot],
    );
    return rows[0]?.['yes'] === 't';
  });
}

describePostgresServer(
  'a table altered by a commit that is streamed before it is visible',
  invisibleCommits,
  (server) => {
    async function piped(table: string, columns: string): Promise<TestPipeline> {
      const admin = await connectTo(server().url());
      await admin.query(
        `CREATE TABLE ${table} (id int PRIMARY KEY, ${columns}); INSERT INTO ${table} SELECT g, 'a', 'b' FROM generate_series(1, 9) g`,
      );
      await admin.end();
      const pipeline = await TestPipeline.started({ url: server().url(), tables: [`public.${table}`] });
      await pipeline.settled(`public.${table}`);
      return pipeline;
    }

    it('has its columns told apart by what the commit made of them', async () => {
      const pipeline = await piped('swapped', 'a text, b text');
      const invisible = await commitInvisibly(
        server().url(),
        `ALTER TABLE swapped RENAME a TO x; ALTER TABLE swapped RENAME b TO a; UPDATE swapped SET x = 'was a' WHERE id = 3`,
      );
      await sent(pipeline);
      await invisible.release();
      await pipeline.settled('public.swapped');
      const [changed] = (await pipeline.events('public.swapped')).filter(({ op }) => op === 'u');
      expect([...(changed?.after ?? [])]).toEqual([
        [1, '3'],
        [2, 'was a'],
        [3, 'b'],
      ]);
      await pipeline.stop();
    });

    it('may have a column replaced by another of the same name and type', async () => {
      const pipeline = await piped('replaced', 'a text, b text');
      const invisible = await commitInvisibly(
        server().url(),
        `ALTER TABLE replaced DROP b; ALTER TABLE replaced ADD b text; UPDATE replaced SET b = 'new' WHERE id = 3`,
      );
      await sent(pipeline);
      await invisible.release();
      await pipeline.until('the change to be noticed', () => pipeline.notices().length > 0);
      await pipeline.query(`UPDATE replaced SET b = 'newer' WHERE id = 4`);
      await pipeline.settled('public.replaced');
      await pipeline.restart();
      await pipeline.settled('public.replaced');
      await pipeline.stop();
    });

    it('keeps the source from going on until it is visible, not from being stopped', async () => {
      const pipeline = await piped('waiting', 'a text, b text');
      const invisible = await commitInvisibly(
        server().url(),
        `ALTER TABLE waiting RENAME a TO x; UPDATE waiting SET x = 'y'`,
      );
      await sent(pipeline);
      await pipeline.stop();
      await pipeline.start();
      await invisible.release();
      await pipeline.settled('public.waiting');
      await pipeline.stop();
    });
  },
);
