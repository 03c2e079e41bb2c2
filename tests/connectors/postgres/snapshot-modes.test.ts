import { expect, it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { aroundReads } from './harness-parts.ts';
import { TestPipeline } from './harness.ts';

const countReads = (): (() => number) => {
  let reads = 0;
  aroundReads(async (_request, read) => {
    reads++;
    return read();
  });
  return () => reads;
};

describePostgres('snapshot mode', (database) => {
  it('never: only what happens from the start on is published, each change once', async () => {
    await database.query(
      `CREATE TABLE never (id int PRIMARY KEY, v text); INSERT INTO never SELECT i, 'old' FROM generate_series(1, 20) i`,
    );
    const reads = countReads();
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.never'],
      snapshot: { mode: 'never' },
    });
    // Views are bound to the tables of the log, changed or not.
    expect(pipeline.log.table(1)?.columns.map(({ name }) => name)).toEqual(['id', 'v']);
    await database.query(
      `UPDATE never SET v = 'new' WHERE id = 3; INSERT INTO never VALUES (100, 'new'); DELETE FROM never WHERE id = 4`,
    );
    await pipeline.caughtUp();
    await pipeline.restart();
    await database.query(`INSERT INTO never VALUES (101, 'new')`);
    await pipeline.caughtUp();
    const events = await pipeline.events('public.never');
    expect(events.map(({ op, after, before }) => `${op} ${(after ?? before)?.get(1)}`)).toEqual([
      'u 3',
      'c 100',
      'd 4',
      'c 101',
    ]);
    expect(reads()).toBe(0);
    // Asked for, it is read all the same.
    await pipeline.source.snapshot('shop.public.never');
    await pipeline.settled('public.never');
  });

  it('initial: a slot that was dropped is an error that says what to do, and nothing is read', async () => {
    await database.query(`CREATE TABLE strict (id int PRIMARY KEY); INSERT INTO strict VALUES (1)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.strict'] });
    await pipeline.settled('public.strict');
    await pipeline.stop();
    await database.query(`SELECT pg_drop_replication_slot('${pipeline.slot}')`);
    const reads = countReads();
    await pipeline.launch();
    const failure = await pipeline.failed();
    expect([failure.code, reads()]).toEqual(['SLOT_LOST', 0]);
    expect(failure.hint).toMatch(/when_needed/);
  });

  it('when_needed: after the slot was dropped every table is read again, and nothing that went meanwhile stays', async () => {
    await database.query(
      `CREATE TABLE needed (id int PRIMARY KEY, v text); INSERT INTO needed SELECT i, 'old' FROM generate_series(1, 60) i;
       CREATE TABLE needed_too (id int PRIMARY KEY, v text); INSERT INTO needed_too SELECT i, 'old' FROM generate_series(1, 60) i`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.needed*'],
      snapshot: { mode: 'when_needed', chunkRows: 10 },
    });
    await pipeline.settled('public.needed', 'public.needed_too');
    const before = pipeline.log.frontier('shop').seq;
    await pipeline.stop();
    await database.query(`SELECT pg_drop_replication_slot('${pipeline.slot}')`);
    await database.query(
      `DELETE FROM needed WHERE id % 3 = 0; UPDATE needed SET v = 'unseen' WHERE id % 5 = 0; INSERT INTO needed VALUES (1000, 'unseen'); TRUNCATE needed_too`,
    );
    await pipeline.start();
    await database.query(`UPDATE needed SET v = 'seen' WHERE id = 1000; INSERT INTO needed_too VALUES (5, 'seen')`);
    await pipeline.settled('public.needed', 'public.needed_too');
    // The numbering goes on: sinks see a long commit, not another history.
    expect(pipeline.log.frontier('shop').seq).toBeGreaterThan(before);
    expect(pipeline.notices().some((text) => text.includes('reading every table again'))).toBe(true);
  });

  it('when_needed: a crash in the middle of reading everything again loses nothing', async () => {
    await database.query(
      `CREATE TABLE halfway (id int PRIMARY KEY, v text); INSERT INTO halfway SELECT i, 'old' FROM generate_series(1, 100) i`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.halfway'],
      snapshot: { mode: 'when_needed', chunkRows: 10, parallel: 1 },
    });
    await pipeline.settled('public.halfway');
    await pipeline.stop();
    await database.query(`SELECT pg_drop_replication_slot('${pipeline.slot}')`);
    await database.query(`DELETE FROM halfway WHERE id % 3 = 0; UPDATE halfway SET v = 'unseen' WHERE id % 5 = 0`);
    const end = Promise.withResolvers<void>();
    let reads = 0;
    aroundReads(async (_request, read) => {
      if (++reads === 4) end.resolve();
      return read();
    });
    await pipeline.start();
    await end.promise;
    await pipeline.crash();
    await database.query(`DELETE FROM halfway WHERE id % 7 = 0; INSERT INTO halfway VALUES (3, 'again')`);
    await pipeline.start();
    await pipeline.settled('public.halfway');
    // Crashed before anything of it was durable, it is asked for again; a second loss of the slot begins anew once more.
    await pipeline.stop();
    await database.query(`SELECT pg_drop_replication_slot('${pipeline.slot}'); `);
    await database.query(`DELETE FROM halfway WHERE id < 50`);
    await pipeline.start();
    await pipeline.settled('public.halfway');
  });

  it('initial: a row filter holds for the snapshot and for the stream', async () => {
    await database.query(
      `CREATE TABLE filtered (id int PRIMARY KEY, v text); INSERT INTO filtered SELECT i, 'old' FROM generate_series(1, 40) i`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: [{ name: 'public.filtered', where: 'id <= 20' }],
      snapshot: { chunkRows: 5 },
    });
    await database.query(
      `UPDATE filtered SET id = id + 200 WHERE id = 1 OR id = 40; UPDATE filtered SET id = -id WHERE id = 30; INSERT INTO filtered VALUES (0, 'new'), (100, 'new'); UPDATE filtered SET v = 'new' WHERE id IN (5, 35)`,
    );
    await pipeline.caughtUp();
    const held = [...(await pipeline.replay('public.filtered')).values()].map((row) => `${row.get(1)} ${row.get(2)}`);
    const wanted = await database.query(`SELECT id || ' ' || v AS row FROM filtered WHERE id <= 20`);
    expect(new Set(held)).toEqual(new Set(wanted.map(({ row }) => row)));
  });

  it('initial: columns that are left out are in neither', async () => {
    await database.query(
      `CREATE TABLE thin (id int PRIMARY KEY, v text, secret text, twice int GENERATED ALWAYS AS (id * 2) STORED); INSERT INTO thin SELECT i, 'old', 's' FROM generate_series(1, 10) i`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: [{ name: 'public.thin', exclude: ['secret'] }],
      snapshot: { chunkRows: 3 },
    });
    await database.query(
      `UPDATE thin SET v = 'new', secret = 't' WHERE id = 4; INSERT INTO thin VALUES (11, 'new', 's')`,
    );
    await pipeline.caughtUp();
    const events = await pipeline.events('public.thin');
    expect(new Set(events.flatMap(({ after }) => [...(after?.keys() ?? [])]))).toEqual(new Set([1, 2]));
    expect((await pipeline.replay('public.thin')).size).toBe(11);
  });
});
