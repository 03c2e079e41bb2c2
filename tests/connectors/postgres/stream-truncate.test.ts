import { expect, it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

describePostgres('TRUNCATE', (database) => {
  it('is published as the deletes of every key, in one transaction, for every table that it empties', async () => {
    await database.query(`
      CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent);
      CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE uncaptured (id int PRIMARY KEY);
      INSERT INTO parent SELECT generate_series(1, 50); INSERT INTO child SELECT g, g FROM generate_series(1, 30) g;
      INSERT INTO other SELECT generate_series(1, 5); INSERT INTO uncaptured VALUES (1)`);
    const tables = ['public.parent', 'public.child', 'public.other'];
    const pipeline = await TestPipeline.started({ url: database.url, tables });
    await pipeline.consistent();
    await database.query(`TRUNCATE parent, other, uncaptured RESTART IDENTITY CASCADE`);
    await pipeline.settled(...tables);
    const deletes = await Promise.all(
      tables.map(async (table) => (await pipeline.events(table)).filter(({ op }) => op === 'd')),
    );
    expect(deletes.map(({ length }) => length)).toEqual([50, 30, 5]);
    expect(new Set(deletes.flat().map(({ seq }) => seq)).size).toBe(1);
    await database.query(`INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1)`);
    await pipeline.settled(...tables);
    await pipeline.stop();
  });

  it('between changes of the same transaction leaves what came after it, and nothing of what came before', async () => {
    await database.query(
      `CREATE TABLE mixed (id int PRIMARY KEY, n text); INSERT INTO mixed SELECT g, 'old' FROM generate_series(1, 10) g`,
    );
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.mixed'] });
    await pipeline.consistent();
    await database.query(`BEGIN; INSERT INTO mixed SELECT g, 'first' FROM generate_series(11, 20) g; UPDATE mixed SET id = 99 WHERE id = 3;
      TRUNCATE mixed; INSERT INTO mixed SELECT g, 'second' FROM generate_series(15, 25) g; COMMIT`);
    await pipeline.settled('public.mixed');
    expect((await pipeline.replay('public.mixed')).size).toBe(11);
    await database.query(
      `BEGIN; TRUNCATE mixed; TRUNCATE mixed; INSERT INTO mixed VALUES (1, 'x'); TRUNCATE mixed; COMMIT`,
    );
    await pipeline.settled('public.mixed');
    expect((await pipeline.replay('public.mixed')).size).toBe(0);
    await database.query(
      `BEGIN; TRUNCATE mixed; INSERT INTO mixed VALUES (7, 'lost'); ROLLBACK; INSERT INTO mixed VALUES (8, 'kept')`,
    );
    await pipeline.settled('public.mixed');
    await pipeline.stop();
  });

  it('that is rolled back with its savepoint deletes nothing', async () => {
    await database.query(`CREATE TABLE spared (id int PRIMARY KEY); INSERT INTO spared SELECT generate_series(1, 10)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.spared'] });
    await pipeline.consistent();
    await database.query(
      `BEGIN; INSERT INTO spared VALUES (11); SAVEPOINT s; TRUNCATE spared; INSERT INTO spared VALUES (12); ROLLBACK TO s; INSERT INTO spared VALUES (13); COMMIT`,
    );
    await pipeline.settled('public.spared');
    expect((await pipeline.replay('public.spared')).size).toBe(12);
    await pipeline.stop();
  });

  it('in a transaction larger than memory deletes also the rows that went to the log before it', async () => {
    await database.query(
      `CREATE TABLE huge (id int PRIMARY KEY, filler text); INSERT INTO huge SELECT g, 'old' FROM generate_series(1, 100) g`,
    );
    // Streamed while it is in progress, and sent at its commit.
    for (const memory of ['64kB', '64MB']) {
      await database.query(`ALTER DATABASE ${database.name} SET logical_decoding_work_mem = '${memory}'`);
      const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.huge'] });
      await pipeline.consistent();
      await database.query(`BEGIN; INSERT INTO huge SELECT g, repeat('a', 200) FROM generate_series(1000, 30000) g; UPDATE huge SET id = -id WHERE id < 1100;
        TRUNCATE huge; INSERT INTO huge SELECT g, 'new' FROM generate_series(100, 110) g; COMMIT`);
      await pipeline.settled('public.huge');
      expect((await pipeline.replay('public.huge')).size).toBe(11);
      await pipeline.stop();
    }
  });
});
