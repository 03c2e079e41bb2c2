import { expect, it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { afterReadTransaction, aroundReads } from './harness-parts.ts';
import { TestPipeline } from './harness.ts';

/** SQL for a text that is stored out of line. */
function large(letter: string): string {
  return `(SELECT string_agg(md5(i::text), '${letter}') FROM generate_series(1, 200) i)`;
}

describePostgres('a table that another takes the name of', (database) => {
  async function piped(table: string, setUp: string): Promise<TestPipeline> {
    await database.query(setUp);
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: [`public.${table}`],
      snapshot: { chunkRows: 10 },
      // No look at the catalog but those that a test asks for.
      heartbeatMs: 600_000,
    });
    await pipeline.settled(`public.${table}`);
    return pipeline;
  }

  it('leaves no row behind when it was truncated, renamed away and made anew in one burst', async () => {
    const pipeline = await piped(
      'burst',
      `CREATE TABLE burst (id int PRIMARY KEY, v text); INSERT INTO burst SELECT i, 'old' FROM generate_series(1, 40) i`,
    );
    await database.query(
      `TRUNCATE burst; INSERT INTO burst SELECT i, 'ghost' FROM generate_series(100, 140) i; ALTER TABLE burst RENAME TO burst_away;
       INSERT INTO burst_away VALUES (200, 'ghost'); CREATE TABLE burst (id int PRIMARY KEY, v text); INSERT INTO burst VALUES (1, 'new')`,
    );
    await database.query(`INSERT INTO burst_away VALUES (201, 'ghost')`);
    await pipeline.settled('public.burst');
    await database.query(`INSERT INTO burst_away VALUES (202, 'ghost'); INSERT INTO burst VALUES (2, 'streamed')`);
    await pipeline.settled('public.burst');
  });

  it('is known not to equal its topic before a position is returned that comes after the swap', async () => {
    const pipeline = await piped(
      'swapped',
      `CREATE TABLE swapped (id int PRIMARY KEY, v text); INSERT INTO swapped SELECT i, 'old' FROM generate_series(1, 40) i`,
    );
    await database.query(
      `BEGIN; CREATE TABLE swapping (id int PRIMARY KEY, v text); INSERT INTO swapping SELECT i, 'new' FROM generate_series(30, 50) i;
       ALTER TABLE swapped RENAME TO swapped_old; ALTER TABLE swapping RENAME TO swapped; COMMIT`,
    );
    await pipeline.source.currentPosition();
    expect(pipeline.source.status().consistent).toBe(false);
    await pipeline.settled('public.swapped');
    expect(pipeline.notices()).toEqual([
      'shop.public.swapped: the table was made again, or another took its name; the table is read anew',
    ]);
  });

  it('that was swapped while tidemark was down keeps no row and no large value of the other', async () => {
    const pipeline = await piped(
      'valued',
      `CREATE TABLE valued (id int PRIMARY KEY, n int, v text); INSERT INTO valued SELECT i, i, ${large('a')} FROM generate_series(1, 20) i`,
    );
    await pipeline.stop();
    await database.query(
      `INSERT INTO valued VALUES (100, 1, 'ghost'); ALTER TABLE valued RENAME TO valued_old; CREATE TABLE valued (id int PRIMARY KEY, n int, v text);
       INSERT INTO valued SELECT i, i, ${large('b')} FROM generate_series(1, 20) i`,
    );
    await pipeline.start();
    await pipeline.settled('public.valued');
    await database.query(
      `UPDATE valued SET n = -n; BEGIN; ALTER TABLE valued RENAME TO valued_new; ALTER TABLE valued_old RENAME TO valued; COMMIT; UPDATE valued SET n = n + 5 WHERE id < 5`,
    );
    await pipeline.settled('public.valued');
    await database.query(`UPDATE valued SET n = n + 5 WHERE id > 5`);
    await pipeline.settled('public.valued');
  });

  it('keeps no large value from before its rows were rewritten', async () => {
    const pipeline = await piped(
      'rewritten',
      `CREATE TABLE rewritten (id int PRIMARY KEY, n int, v text); INSERT INTO rewritten SELECT i, i, ${large('a')} FROM generate_series(1, 5) i`,
    );
    await database.query(`ALTER TABLE rewritten ALTER v TYPE text USING v || '!'`);
    // Not seen by the read, and without the value that it leaves as it is.
    afterReadTransaction(1, async () => {
      await database.query('UPDATE rewritten SET n = -n');
    });
    await pipeline.settled('public.rewritten');
    expect([...(await pipeline.replay('public.rewritten')).values()].map((row) => Number(row.get(2)))).toContain(-5);
  });

  it('goes on under its own new name, and the other under that which it took', async () => {
    await database.query(
      `CREATE TABLE pair_a (id int PRIMARY KEY, v text); INSERT INTO pair_a SELECT i, 'a' FROM generate_series(1, 30) i;
       CREATE TABLE pair_b (id int PRIMARY KEY, v text); INSERT INTO pair_b SELECT i, 'b' FROM generate_series(20, 50) i`,
    );
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.pair_*'], heartbeatMs: 600_000 });
    await pipeline.settled('public.pair_a', 'public.pair_b');
    await database.query(
      `UPDATE pair_a SET v = 'a2' WHERE id < 5; BEGIN; ALTER TABLE pair_a RENAME TO elsewhere; ALTER TABLE pair_b RENAME TO pair_a; ALTER TABLE elsewhere RENAME TO pair_b; COMMIT;
       UPDATE pair_a SET v = 'b2' WHERE id > 45; DELETE FROM pair_b WHERE id = 7`,
    );
    await pipeline.settled('public.pair_a', 'public.pair_b');
    await database.query(`INSERT INTO pair_a VALUES (60, 'b3'); INSERT INTO pair_b VALUES (61, 'a3')`);
    await pipeline.settled('public.pair_a', 'public.pair_b');
  });

  it('is read again when it was away only while a chunk of it was asked for', async () => {
    const pipeline = await piped(
      'absent',
      `CREATE TABLE absent (id int PRIMARY KEY, v text); INSERT INTO absent SELECT i, 'v' FROM generate_series(1, 30) i`,
    );
    let reads = 0;
    aroundReads(async (_, read) => {
      if (reads++ > 0) return read();
      await database.query(`ALTER TABLE absent RENAME TO absent_away`);
      return read().finally(async () => database.query(`ALTER TABLE absent_away RENAME TO absent`));
    });
    await pipeline.source.snapshot('shop.public.absent');
    await pipeline.settled('public.absent');
    expect(reads).toBeGreaterThan(1);
  });
});
