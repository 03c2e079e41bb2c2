import { expect, it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { afterReadTransaction, afterReadTransactions, aroundReads } from './harness-parts.ts';
import { TestPipeline } from './harness.ts';

const partitions = (table: string): string => `
  CREATE TABLE ${table} (id int, region text, v text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
  CREATE TABLE ${table}_eu PARTITION OF ${table} FOR VALUES IN ('eu');
  CREATE TABLE ${table}_us PARTITION OF ${table} FOR VALUES IN ('us') PARTITION BY RANGE (id);
  CREATE TABLE ${table}_us_low PARTITION OF ${table}_us FOR VALUES FROM (0) TO (50);
  CREATE TABLE ${table}_us_high PARTITION OF ${table}_us FOR VALUES FROM (50) TO (1000);
  INSERT INTO ${table} SELECT i, CASE WHEN i % 2 = 0 THEN 'eu' ELSE 'us' END, 'old' FROM generate_series(1, 100) i; ANALYZE ${table}`;

describePostgres('a partitioned table', (database) => {
  it('is one topic, read and streamed through its root', async () => {
    await database.query(partitions('parts'));
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.parts*'],
      snapshot: { chunkRows: 10 },
    });
    afterReadTransaction(3, async () => {
      await database.query(
        `UPDATE parts SET v = 'new' WHERE id % 10 = 0; UPDATE parts SET region = 'us' WHERE id = 20; UPDATE parts SET id = id + 500 WHERE id = 7; INSERT INTO parts_us_high VALUES (900, 'us', 'direct'); DELETE FROM parts_eu WHERE id = 30`,
      );
    });
    await pipeline.start();
    await pipeline.settled('public.parts');
    expect((await pipeline.log.topics()).map(({ topic }) => topic)).toEqual(['shop.public.parts']);
  });

  it('takes in the rows of a partition that is attached, and lets go of those detached and dropped', async () => {
    await database.query(partitions('moving'));
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.moving'],
      snapshot: { chunkRows: 10 },
    });
    await pipeline.settled('public.moving');
    const changed = async (sql: string): Promise<void> => {
      const before = pipeline.notices().length;
      await database.query(sql);
      await pipeline.until('the change to be noticed', () => pipeline.notices().length > before);
      await pipeline.settled('public.moving');
    };
    await changed(
      `CREATE TABLE moving_asia (region text NOT NULL, extra int, v text, id int NOT NULL); ALTER TABLE moving_asia DROP COLUMN extra;
       INSERT INTO moving_asia SELECT 'asia', 'attached', i FROM generate_series(1, 40) i; ALTER TABLE moving ATTACH PARTITION moving_asia FOR VALUES IN ('asia')`,
    );
    expect((await pipeline.replay('public.moving')).size).toBe(140);
    await database.query(
      `UPDATE moving SET v = 'streamed' WHERE region = 'asia' AND id < 5; INSERT INTO moving VALUES (99, 'asia', 'streamed')`,
    );
    await pipeline.settled('public.moving');
    await changed(`ALTER TABLE moving DETACH PARTITION moving_eu`);
    // A detached table's own changes are no longer the topic's.
    await database.query(`INSERT INTO moving_eu VALUES (5000, 'eu', 'alone')`);
    await pipeline.settled('public.moving');
    await changed(`DROP TABLE moving_us_low`);
    await changed(`ALTER TABLE moving ATTACH PARTITION moving_eu FOR VALUES IN ('eu')`);
    expect((await pipeline.replay('public.moving')).size).toBe(117);
  });

  it('can have partitions attached and detached while it is read', async () => {
    await database.query(partitions('shifting'));
    await database.query(
      `CREATE TABLE shifting_asia (LIKE shifting INCLUDING ALL); INSERT INTO shifting_asia SELECT i, 'asia', 'attached' FROM generate_series(1, 40) i`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.shifting'],
      snapshot: { chunkRows: 10, parallel: 1 },
    });
    afterReadTransactions({
      3: async () => {
        await database.query(`ALTER TABLE shifting ATTACH PARTITION shifting_asia FOR VALUES IN ('asia')`);
      },
      6: async () => {
        await database.query(`ALTER TABLE shifting DETACH PARTITION shifting_eu`);
      },
    });
    await pipeline.start();
    await pipeline.until('both to be noticed', async () => {
      const rows = await pipeline.query(`SELECT count(*) AS n FROM pg_inherits WHERE inhparent = 'shifting'::regclass`);
      return rows[0]?.['n'] === '2' && pipeline.source.status().consistent && pipeline.notices().length > 0;
    });
    await pipeline.settled('public.shifting');
  });

  it('that is truncated as a whole or in part loses just these rows', async () => {
    await database.query(partitions('cut'));
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.cut'],
      snapshot: { chunkRows: 10, parallel: 1 },
    });
    afterReadTransaction(4, async () => {
      await database.query(
        `TRUNCATE cut; INSERT INTO cut VALUES (1, 'eu', 'new'), (3, 'us', 'new'), (60, 'us', 'new')`,
      );
    });
    await pipeline.start();
    await pipeline.settled('public.cut');
    expect((await pipeline.replay('public.cut')).size).toBe(3);
  });
});

describePostgres('tables that inherit', (database) => {
  it('are not mixed into their parent', async () => {
    await database.query(
      `CREATE TABLE parent (id int PRIMARY KEY, v text); CREATE TABLE child (extra text, PRIMARY KEY (id)) INHERITS (parent);
       INSERT INTO parent SELECT i, 'parent' FROM generate_series(1, 30) i; INSERT INTO child SELECT i, 'child', 'e' FROM generate_series(20, 60) i`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.parent'],
      snapshot: { chunkRows: 10 },
    });
    afterReadTransaction(2, async () => {
      await database.query(
        `UPDATE parent SET v = v || '!' WHERE id IN (3, 25, 50); INSERT INTO child VALUES (1, 'child', 'e'); DELETE FROM parent WHERE id IN (21, 22)`,
      );
    });
    await pipeline.start();
    await pipeline.settled('public.parent');
    await pipeline.source.snapshot('shop.public.parent');
    await pipeline.settled('public.parent');
    expect((await pipeline.replay('public.parent')).size).toBe(28);
  });

  it('are captured beside their parent when both are selected', async () => {
    await database.query(
      `CREATE TABLE both_parent (id int PRIMARY KEY, v text); CREATE TABLE both_child (extra text, PRIMARY KEY (id)) INHERITS (both_parent);
       INSERT INTO both_parent SELECT i, 'parent' FROM generate_series(1, 30) i; INSERT INTO both_child SELECT i, 'child', 'e' FROM generate_series(20, 60) i`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.both_*'],
      snapshot: { chunkRows: 10 },
    });
    await database.query(`UPDATE both_parent SET v = v || '!' WHERE id % 3 = 0`);
    await pipeline.settled('public.both_parent', 'public.both_child');
  });
});

describePostgres('a table that goes while it is read', (database) => {
  it('is given up when it is dropped, and the others are read', async () => {
    await database.query(
      `CREATE TABLE going_a (id int PRIMARY KEY); INSERT INTO going_a SELECT generate_series(1, 40); CREATE TABLE going_b (id int PRIMARY KEY); INSERT INTO going_b SELECT generate_series(1, 40)`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.going_*'],
      snapshot: { chunkRows: 5, parallel: 1 },
    });
    afterReadTransaction(2, async () => {
      await database.query(`INSERT INTO going_b VALUES (100); DROP TABLE going_a`);
    });
    await pipeline.start();
    await pipeline.settled('public.going_b');
  });

  it('is read anew when it is dropped and made again under its name, with other columns', async () => {
    await database.query(
      `CREATE TABLE remade (id int PRIMARY KEY, v text); INSERT INTO remade SELECT i, 'old' FROM generate_series(1, 40) i`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.remade*'],
      snapshot: { chunkRows: 5, parallel: 1 },
    });
    afterReadTransaction(4, async () => {
      await database.query(
        `DROP TABLE remade; CREATE TABLE remade (w numeric, id bigint PRIMARY KEY, v text); INSERT INTO remade SELECT i / 2.0, i, 'new' FROM generate_series(10, 20) i`,
      );
    });
    await pipeline.start();
    await pipeline.until('the new table to be read', async () => {
      const [row] = await pipeline.query(
        `SELECT count(*) AS n FROM pg_publication_rel WHERE prrelid = 'remade'::regclass`,
      );
      return row?.['n'] === '1' && pipeline.source.status().consistent;
    });
    await database.query(`INSERT INTO remade VALUES (1, 1, 'streamed'); DELETE FROM remade WHERE id = 12`);
    await pipeline.settled('public.remade');
  });

  it('is read anew when it is dropped and made again after it was read', async () => {
    await database.query(
      `CREATE TABLE again (id int PRIMARY KEY, v text); INSERT INTO again SELECT i, 'old' FROM generate_series(1, 40) i`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.again*'],
      snapshot: { chunkRows: 10 },
    });
    await pipeline.settled('public.again');
    await database.query(
      `DROP TABLE again; CREATE TABLE again (id int PRIMARY KEY, v text); INSERT INTO again SELECT i, 'new' FROM generate_series(30, 50) i`,
    );
    await pipeline.until('the new table to be published', async () => {
      const [row] = await pipeline.query(
        `SELECT count(*) AS n FROM pg_publication_rel WHERE prrelid = 'again'::regclass`,
      );
      return row?.['n'] === '1' && !pipeline.source.status().consistent;
    });
    await database.query(`UPDATE again SET v = 'newer' WHERE id % 2 = 0`);
    await pipeline.settled('public.again');
  });

  it('is read under its new name when it is renamed', async () => {
    await database.query(
      `CREATE TABLE name_old (id int PRIMARY KEY, v text); INSERT INTO name_old SELECT i, 'old' FROM generate_series(1, 40) i`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.name_*'],
      snapshot: { chunkRows: 5, parallel: 1 },
    });
    const topics = new Set<string>();
    aroundReads(async (request, read) => {
      topics.add(request.topic);
      return read();
    });
    afterReadTransaction(3, async () => {
      await database.query(`ALTER TABLE name_old RENAME TO name_new; UPDATE name_new SET v = 'new' WHERE id % 4 = 0`);
    });
    await pipeline.start();
    await pipeline.until(
      'the new name to be read',
      () => topics.has('shop.public.name_new') && pipeline.source.status().consistent,
    );
    await database.query(`INSERT INTO name_new VALUES (41, 'streamed')`);
    await pipeline.settled('public.name_new');
  });
});
