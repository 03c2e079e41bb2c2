import { expect, it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { afterReadTransaction, aroundReads } from './harness-parts.ts';
import { TestPipeline } from './harness.ts';

describePostgres('a snapshot', (database) => {
  it('holds every row, and goes on with what changes', async () => {
    await database.query(
      `CREATE TABLE plain (id int PRIMARY KEY, v text); INSERT INTO plain SELECT i, 'row ' || i FROM generate_series(1, 5000) i`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.plain'],
      snapshot: { chunkRows: 300 },
    });
    await database.query(
      `UPDATE plain SET v = v || '!' WHERE id % 7 = 0; DELETE FROM plain WHERE id % 11 = 0; UPDATE plain SET id = id + 10000 WHERE id % 13 = 0`,
    );
    await pipeline.settled('public.plain');
    await pipeline.restart();
    await database.query(`INSERT INTO plain VALUES (-1, NULL), (0, '')`);
    await pipeline.settled('public.plain');
  });

  it('does not bring back rows that changed after a chunk saw them', async () => {
    await database.query(
      `CREATE TABLE busy (id int PRIMARY KEY, v text); INSERT INTO busy SELECT i, 'old' FROM generate_series(1, 30) i`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.busy'],
      snapshot: { chunkRows: 10 },
    });
    let reads = 0;
    afterReadTransaction(1, async () => {
      await database.query(
        `UPDATE busy SET v = 'new' WHERE id IN (1, 15, 25); DELETE FROM busy WHERE id IN (2, 16, 26); UPDATE busy SET id = id + 100 WHERE id IN (3, 17, 27); UPDATE busy SET id = id - 100 WHERE id IN (4, 18, 28); INSERT INTO busy VALUES (0, 'added'), (31, 'added')`,
      );
      reads++;
    });
    await pipeline.start();
    await pipeline.settled('public.busy');
    expect(reads).toBe(1);
    const read = (await pipeline.events('public.busy')).filter(({ op }) => op === 'r');
    // The first chunk saw ids 1 to 10; what the stream has carried of them since stands.
    expect(
      read.filter(({ after }) => ['1', '2', '3', '4'].includes(after?.get(1) ?? '') && after?.get(2) === 'old'),
    ).toEqual([]);
  });

  it('does not bring back rows that a TRUNCATE took after a chunk saw them', async () => {
    await database.query(
      `CREATE TABLE emptied (id int PRIMARY KEY, v text); INSERT INTO emptied SELECT i, 'old' FROM generate_series(1, 30) i`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.emptied'],
      snapshot: { chunkRows: 10, parallel: 1 },
    });
    // The first chunk is published, the second one is in its window.
    afterReadTransaction(2, async () => {
      await database.query(
        `BEGIN; INSERT INTO emptied VALUES (50, 'gone'); TRUNCATE emptied; INSERT INTO emptied VALUES (12, 'new'), (40, 'new'); COMMIT`,
      );
    });
    await pipeline.start();
    await pipeline.settled('public.emptied');
    expect((await pipeline.replay('public.emptied')).size).toBe(2);
  });

  it('does not bring back rows that a TRUNCATE took between the last look at the table and the end of the window', async () => {
    await database.query(
      `CREATE TABLE late_cut (id int PRIMARY KEY, v text); INSERT INTO late_cut SELECT i, 'old' FROM generate_series(1, 30) i`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.late_cut'],
      snapshot: { chunkRows: 10, parallel: 1 },
    });
    let reads = 0;
    aroundReads(async (_request, read) => {
      const chunk = await read();
      if (++reads !== 2) return chunk;
      await database.query(`TRUNCATE late_cut; INSERT INTO late_cut VALUES (12, 'new')`);
      return { ...chunk, high: await pipeline.source.currentPosition() };
    });
    await pipeline.start();
    await pipeline.settled('public.late_cut');
    expect((await pipeline.replay('public.late_cut')).size).toBe(1);
  });

  it('does not bring back rows of any open chunk that a TRUNCATE took, with several read at once', async () => {
    await database.query(
      `CREATE TABLE wiped (id int PRIMARY KEY, v text); INSERT INTO wiped SELECT i, 'old' FROM generate_series(1, 3000) i; ANALYZE wiped`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.wiped'],
      snapshot: { chunkRows: 200, parallel: 4 },
    });
    afterReadTransaction(3, async () => {
      await database.query(`TRUNCATE wiped; INSERT INTO wiped SELECT i, 'new' FROM generate_series(2500, 2600) i`);
    });
    await pipeline.start();
    await pipeline.settled('public.wiped');
  });

  it('reads a chunk again when the table is rewritten before the chunk is complete', async () => {
    await database.query(
      `CREATE TABLE retyped (id int PRIMARY KEY, v text); INSERT INTO retyped SELECT i, i FROM generate_series(1, 30) i`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.retyped'],
      snapshot: { chunkRows: 10, parallel: 1 },
    });
    const stable: boolean[] = [];
    aroundReads(async (_request, read) => {
      const chunk = await read();
      stable.push(chunk.stable);
      return chunk;
    });
    afterReadTransaction(2, async () => {
      await database.query(
        `ALTER TABLE retyped ALTER COLUMN v TYPE numeric(8,2) USING v::numeric * 2, ADD COLUMN w text DEFAULT 'w'`,
      );
    });
    await pipeline.start();
    await pipeline.settled('public.retyped');
    expect(stable).toContain(false);
    const values = [...(await pipeline.replay('public.retyped')).values()];
    expect(values.map((row) => row.get(3))).toEqual(values.map(() => 'w'));
    // The chunk that was read as the table had been (ids 11 to 20) was not published as such.
    const old = (await pipeline.events('public.retyped')).filter(({ after }) => after?.has(3) === false);
    expect(new Set(old.map(({ after }) => Number(after?.get(1))))).toEqual(
      new Set(Array.from({ length: 10 }, (_, index) => index + 1)),
    );
  });

  it('reads a table again that was rewritten after its last chunk, however quiet it is', async () => {
    await database.query(
      `CREATE TABLE defaulted (id int PRIMARY KEY, v text); INSERT INTO defaulted SELECT i, i FROM generate_series(1, 30) i`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.defaulted'],
      snapshot: { chunkRows: 10 },
    });
    await pipeline.settled('public.defaulted');
    await database.query(`ALTER TABLE defaulted ADD COLUMN w int DEFAULT 7`);
    await pipeline.until('the new column to be noticed', () =>
      pipeline.notices().some((text) => text.includes('added')),
    );
    await pipeline.settled('public.defaulted');
  });

  it('takes a renamed and a dropped column as they are, without reading again', async () => {
    await database.query(
      `CREATE TABLE renaming (id int PRIMARY KEY, a text, b text, c text); INSERT INTO renaming SELECT i, 'a' || i, 'b' || i, 'c' || i FROM generate_series(1, 30) i`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.renaming'],
      snapshot: { chunkRows: 10, parallel: 1 },
    });
    afterReadTransaction(2, async () => {
      await database.query(
        `ALTER TABLE renaming RENAME b TO d; ALTER TABLE renaming DROP COLUMN c; UPDATE renaming SET d = 'new' WHERE id IN (1, 12, 25)`,
      );
    });
    await pipeline.start();
    await pipeline.settled('public.renaming');
    expect(pipeline.notices()).toEqual([]);
  });
});

describePostgres('reading a table again', (database) => {
  /** Runs SQL whose updates and deletes the publication leaves out: what a lost slot does, in small. */
  const unpublished = async (pipeline: TestPipeline, sql: string): Promise<void> => {
    await pipeline.caughtUp();
    await database.query(`ALTER PUBLICATION ${pipeline.slot} SET (publish = 'insert')`);
    await database.query(sql);
    await database.query(`ALTER PUBLICATION ${pipeline.slot} SET (publish = 'insert, update, delete, truncate')`);
    await pipeline.reached(await pipeline.source.currentPosition());
  };

  it('deletes rows that are gone from the table, and none that the stream has carried meanwhile', async () => {
    await database.query(
      `CREATE TABLE ghosts (id int PRIMARY KEY, v text); INSERT INTO ghosts SELECT i, 'old' FROM generate_series(1, 40) i`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.ghosts'],
      snapshot: { chunkRows: 10, parallel: 1 },
    });
    await unpublished(
      pipeline,
      `DELETE FROM ghosts WHERE id % 4 = 0; UPDATE ghosts SET v = 'unseen' WHERE id % 5 = 0; UPDATE ghosts SET id = id + 500 WHERE id % 7 = 0`,
    );
    await expect(pipeline.expectEqual('public.ghosts')).rejects.toThrow();
    // Displaced: changed while the chunk with its key was open, or inserted behind the chunk.
    afterReadTransaction(2, async () => {
      await database.query(
        `UPDATE ghosts SET v = 'displaced' WHERE id IN (1, 11, 13, 39); INSERT INTO ghosts VALUES (4, 'again'), (12, 'again'), (-5, 'behind'); DELETE FROM ghosts WHERE id IN (2, 17, 38)`,
      );
    });
    await pipeline.source.snapshot('shop.public.ghosts');
    await pipeline.settled('public.ghosts');
    const deleted = (await pipeline.events('public.ghosts')).filter(({ op, snapshot }) => op === 'd' && snapshot);
    // In one commit, at the end.
    expect(new Set(deleted.map(({ seq }) => seq)).size).toBe(1);
    expect(deleted.length).toBeGreaterThan(0);
  });

  it('with a condition touches only the rows that it holds for', async () => {
    await database.query(
      `CREATE TABLE partial (id int PRIMARY KEY, v text); INSERT INTO partial SELECT i, 'old' FROM generate_series(1, 40) i`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.partial'],
      snapshot: { chunkRows: 10 },
    });
    await unpublished(pipeline, `UPDATE partial SET v = 'new' WHERE id IN (3, 30)`);
    await pipeline.source.snapshot('shop.public.partial', 'id < 10');
    await pipeline.caughtUp();
    const rows = [...(await pipeline.replay('public.partial')).values()];
    const valueOf = (id: string): string | null | undefined => rows.find((row) => row.get(1) === id)?.get(2);
    expect([valueOf('3'), valueOf('30'), rows.length]).toEqual(['new', 'old', 40]);
    await pipeline.source.snapshot('shop.public.partial', 'id >= 10');
    await pipeline.settled('public.partial');
  });

  it('with a condition while all of it is read leaves nothing unread', async () => {
    await database.query(
      `CREATE TABLE narrowed (id int PRIMARY KEY, v text); INSERT INTO narrowed SELECT i, 'old' FROM generate_series(1, 40) i`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.narrowed'],
      snapshot: { chunkRows: 5, parallel: 1 },
    });
    const asked: Promise<void>[] = [];
    afterReadTransaction(3, async () => {
      asked.push(pipeline.source.snapshot('shop.public.narrowed', 'id < 5'));
    });
    await pipeline.start();
    await pipeline.until('the second read to be asked for', () => asked.length > 0);
    await Promise.all(asked);
    await pipeline.settled('public.narrowed');
  });

  it('again while it is still being read begins anew, and ends both', async () => {
    await database.query(
      `CREATE TABLE twice (id int PRIMARY KEY, v text); INSERT INTO twice SELECT i, 'old' FROM generate_series(1, 40) i`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.twice'],
      snapshot: { chunkRows: 5, parallel: 1 },
    });
    await unpublished(pipeline, `DELETE FROM twice WHERE id % 4 = 0; UPDATE twice SET v = 'unseen' WHERE id % 5 = 0`);
    const second: Promise<void>[] = [];
    afterReadTransaction(3, async () => {
      second.push(pipeline.source.snapshot('shop.public.twice'));
    });
    await pipeline.source.snapshot('shop.public.twice');
    await Promise.all(second);
    expect(second.length).toBe(1);
    await pipeline.settled('public.twice');
  });
});
