import type { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

/** How many transactions the server has streamed over a slot so far. */
async function streamedCount(pipeline: TestPipeline): Promise<number> {
  const [row] = await pipeline.query('SELECT stream_txns AS n FROM pg_stat_replication_slots WHERE slot_name = $1', [
    pipeline.slot,
  ]);
  return Number(row?.['n'] ?? 0);
}

const insertBroken = (from: number): string =>
  `INSERT INTO broken SELECT g, repeat('x', 100) FROM generate_series(${from}, ${from + 900}) g`;

describePostgres('transactions that the server streams before they commit', (database) => {
  const settings = "logical_decoding_work_mem = '64kB'";

  beforeAll(async () => {
    await database.query(`ALTER DATABASE ${database.name} SET ${settings}`);
  });

  async function inTransaction(statements: readonly string[]): Promise<Client> {
    const session = await database.connect();
    await session.query('BEGIN');
    for (const statement of statements) await session.query(statement);
    return session;
  }

  it('come whole, without the savepoints that were rolled back', async () => {
    await database.query(
      `CREATE TABLE nested (id int PRIMARY KEY, note text); INSERT INTO nested SELECT g, 'old' FROM generate_series(1, 500) g`,
    );
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.nested'] });
    await pipeline.consistent();
    const session = await inTransaction([
      `INSERT INTO nested SELECT g, repeat('a', 100) FROM generate_series(1000, 3000) g`,
      'SAVEPOINT one',
      `UPDATE nested SET note = repeat('b', 100) WHERE id > 2000`,
      'SAVEPOINT two',
      `DELETE FROM nested WHERE id BETWEEN 2500 AND 2600`,
      'RELEASE two',
      `INSERT INTO nested SELECT g, repeat('lost', 25) FROM generate_series(5000, 7000) g`,
      'ROLLBACK TO one',
      `INSERT INTO nested SELECT g, repeat('c', 100) FROM generate_series(5500, 6000) g`,
      'SAVEPOINT three',
      `UPDATE nested SET id = -id WHERE id BETWEEN 1000 AND 1100`,
      'RELEASE three',
      `DELETE FROM nested WHERE id < -1050`,
    ]);
    await pipeline.until('the server to stream', async () => (await streamedCount(pipeline)) > 0);
    await session.query('COMMIT');
    await pipeline.settled('public.nested');
    const numbers = (await pipeline.events('public.nested')).filter(({ snapshot }) => !snapshot).map(({ seq }) => seq);
    expect(new Set(numbers).size).toBe(1);
    await pipeline.stop();
  });

  it('may be interleaved, and be rolled back, with small ones between', async () => {
    await database.query(`CREATE TABLE woven (id int PRIMARY KEY, note text)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.woven'] });
    await pipeline.consistent();
    const sessions = await Promise.all([inTransaction([]), inTransaction([]), inTransaction([])]);
    for (let round = 0; round < 6; round++) {
      for (const [index, session] of sessions.entries()) {
        const base = index * 100_000 + round * 1_000;
        await session.query(
          `INSERT INTO woven SELECT g, repeat('${String(index)}', 100) FROM generate_series(${base}, ${base + 900}) g`,
        );
      }
      await database.query(`INSERT INTO woven VALUES (${900_000 + round}, 'small')`);
    }
    const [first, second, third] = sessions;
    await pipeline.until('the server to stream', async () => (await streamedCount(pipeline)) >= 3);
    await second?.query('ROLLBACK');
    await third?.query('COMMIT');
    await database.query(`UPDATE woven SET note = 'after' WHERE id = 200000`);
    await first?.query('COMMIT');
    await pipeline.settled('public.woven');
    const events = (await pipeline.events('public.woven')).filter(({ snapshot }) => !snapshot);
    // Small ones, then the third, the update of it, and the first: in the order of their commits.
    const order = [...new Set(events.map(({ seq, after }) => `${seq} ${Math.floor(Number(after?.get(1)) / 100_000)}`))];
    expect(order.map((entry) => entry.split(' ')[1])).toEqual(['9', '9', '9', '9', '9', '9', '2', '2', '0']);
    await pipeline.stop();
  });

  it('are begun again, and come once, when the process or the connection ends in between', async () => {
    await database.query(`CREATE TABLE broken (id int PRIMARY KEY, note text)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.broken'] });
    await pipeline.consistent();
    const session = await inTransaction([insertBroken(0)]);
    await pipeline.until('the server to stream', async () => (await streamedCount(pipeline)) > 0);
    await database.query(`INSERT INTO broken VALUES (1000000, 'small')`);
    await pipeline.crash();
    await session.query(insertBroken(1_000));
    await pipeline.start();
    await session.query(insertBroken(2_000));
    await pipeline.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1`, [
      pipeline.slot,
    ]);
    await session.query(insertBroken(3_000));
    await session.query('COMMIT');
    await pipeline.settled('public.broken');
    const events = (await pipeline.events('public.broken')).filter(({ snapshot }) => !snapshot);
    expect(events).toHaveLength(4 * 901 + 1);
    expect(new Set(events.map(({ seq }) => seq)).size).toBe(2);
    await pipeline.stop();
  });

  it('that change the table on their way are read with the columns that each change was made under', async () => {
    await database.query(`CREATE TABLE shifting (id int PRIMARY KEY, a text)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.shifting'] });
    await pipeline.consistent();
    const session = await inTransaction([
      `INSERT INTO shifting SELECT g, repeat('a', 100) FROM generate_series(1, 900) g`,
      'SAVEPOINT s',
      'ALTER TABLE shifting ADD COLUMN lost int',
      `INSERT INTO shifting SELECT g, repeat('b', 100), 1 FROM generate_series(1000, 1900) g`,
      'ROLLBACK TO s',
      'ALTER TABLE shifting ADD COLUMN kept int',
      `INSERT INTO shifting SELECT g, repeat('c', 100), g FROM generate_series(2000, 2900) g`,
      'ALTER TABLE shifting DROP COLUMN a',
      `INSERT INTO shifting SELECT g, g FROM generate_series(3000, 3900) g`,
    ]);
    await session.query('COMMIT');
    await pipeline.settled('public.shifting');
    await pipeline.stop();
  });
});

describePostgres('a transaction of 300,000 rows', (database) => {
  let peak = 0;
  let timer: NodeJS.Timeout;
  beforeAll(() => {
    timer = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage.rss());
    }, 20);
  });
  afterAll(() => clearInterval(timer));

  for (const memory of ['64MB', '1MB']) {
    it(`comes whole and once within bounded memory (logical_decoding_work_mem ${memory})`, async () => {
      await database.query(`ALTER DATABASE ${database.name} SET logical_decoding_work_mem = '${memory}'`);
      await database.query(`DROP TABLE IF EXISTS large; CREATE TABLE large (id bigint PRIMARY KEY, n int, note text)`);
      const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.large'] });
      await pipeline.consistent();
      const before = process.memoryUsage.rss();
      peak = before;
      const { seq } = pipeline.log.frontier('shop');
      await database.query(
        `INSERT INTO large SELECT g, g % 7, md5(g::text) || repeat('x', 150) FROM generate_series(1, 300000) g`,
      );
      await pipeline.caughtUp();
      const growth = peak - before;
      expect(pipeline.log.frontier('shop').seq).toBe(seq + 1);
      // About 80 MB travel; buffers of the socket, the spool and the log are what may stay.
      expect(growth).toBeLessThan(64 * 1024 * 1024);
      let rows = 0;
      const reader = pipeline.log.read('shop', { fromSeq: seq, follow: false });
      for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
        for (const { changes } of batch.pieces) rows += changes.count;
      }
      await reader.close();
      expect(rows).toBe(300_000);
      await pipeline.stop();
    });
  }
});
