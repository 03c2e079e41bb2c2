import { expect, it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

describePostgres('a large backlog', (database) => {
  it('is worked off in steps, each transaction once and in order, and streaming goes on from its end', async () => {
    await database.query('CREATE TABLE load (id bigint PRIMARY KEY, v text)');
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.load'] });
    await pipeline.caughtUp();
    await pipeline.stop();
    for (let round = 0; round < 40; round++) {
      await database.query(
        `INSERT INTO load SELECT i, repeat('x', 1500) FROM generate_series(${round * 1_000}, ${round * 1_000 + 999}) i`,
      );
      await database.query(`UPDATE load SET v = 'round ${round}' WHERE id % 100 = ${round}`);
    }
    const [slot] = await pipeline.query(
      `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) > 48 * 1024 * 1024 AS large FROM pg_replication_slots WHERE slot_name = $1`,
      [pipeline.slot],
    );
    expect(slot?.['large']).toBe('t');
    await pipeline.start();
    await pipeline.caughtUp();
    await database.query(`INSERT INTO load VALUES (-1, 'streamed')`);
    await pipeline.settled('public.load');
    const order = (await pipeline.events('public.load')).flatMap(({ op, after }) =>
      op === 'u' ? (after?.get(2) ?? '') : [],
    );
    expect(order).toEqual(order.toSorted((a, b) => Number(a.slice(6)) - Number(b.slice(6))));
  });
});
