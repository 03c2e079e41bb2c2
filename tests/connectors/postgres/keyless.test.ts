import { expect, it } from 'vitest';
import { connectTo, describePostgres } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

/** The rows that a topic's changes add up to, each as often as it stands, when no key tells them apart. */
async function multiset(pipeline: TestPipeline, table: string): Promise<string[]> {
  const counts = new Map<string, number>();
  const count = (row: ReadonlyMap<number, string | null>, change: number): void => {
    const text = JSON.stringify([...row.values()]);
    counts.set(text, (counts.get(text) ?? 0) + change);
  };
  for (const { before, after } of await pipeline.events(table)) {
    if (before !== null) count(before, -1);
    if (after !== null) count(after, 1);
  }
  return [...counts].flatMap(([row, times]) => Array.from({ length: times }, () => row)).toSorted();
}

async function expectEqual(pipeline: TestPipeline, table: string): Promise<void> {
  await pipeline.caughtUp();
  const rows = await pipeline.query(`SELECT * FROM ${table}`);
  expect(await multiset(pipeline, table)).toEqual(rows.map((row) => JSON.stringify(Object.values(row))).toSorted());
}

describePostgres('a table without any key', (database) => {
  it('is read as one commit, twice the same row twice, and followed by its whole rows', async () => {
    await database.query(
      `CREATE TABLE bag (a int, b text); ALTER TABLE bag REPLICA IDENTITY FULL;
       INSERT INTO bag SELECT i % 10, 'x' FROM generate_series(1, 3000) i`,
    );
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.bag'] });
    await expectEqual(pipeline, 'public.bag');
    const reads = (await pipeline.events('public.bag')).filter(({ op }) => op === 'r');
    expect(new Set(reads.map(({ seq }) => seq)).size).toBe(1);
    await database.query(
      `DELETE FROM bag WHERE ctid IN (SELECT ctid FROM bag WHERE a = 3 LIMIT 1); UPDATE bag SET b = 'y' WHERE a = 4; INSERT INTO bag VALUES (NULL, NULL), (NULL, NULL)`,
    );
    await expectEqual(pipeline, 'public.bag');
    await pipeline.restart();
    await database.query(`TRUNCATE bag; INSERT INTO bag VALUES (1, 'after')`);
    await expectEqual(pipeline, 'public.bag');
  });

  it('loses no change that is made while it is read, and takes none twice', async () => {
    const { pipeline, release } = await heldUp('busy');
    await database.query(`UPDATE busy SET t = 'early' WHERE n < 100; INSERT INTO busy VALUES (5000, 'early')`);
    await release();
    for (let round = 0; round < 20; round++) {
      await database.query(
        `UPDATE busy SET t = 'r${round}' WHERE n % 20 = ${round}; INSERT INTO busy VALUES (${30_000 + round}, 'new')`,
      );
    }
    await expectEqual(pipeline, 'public.busy');
  });

  it('is begun again after a crash, with the changes that had been held back', async () => {
    const { pipeline, release } = await heldUp('again');
    await database.query(`INSERT INTO again VALUES (2000, 'held')`);
    await pipeline.reached(await pipeline.source.currentPosition());
    await pipeline.crash();
    await release();
    await database.query(`INSERT INTO again VALUES (3000, 'down'); DELETE FROM again WHERE n < 10`);
    await pipeline.start();
    await expectEqual(pipeline, 'public.again');
  });

  it('is read again when it is truncated while its changes are held back', async () => {
    const { pipeline, release } = await heldUp('cut');
    await database.query(`INSERT INTO cut VALUES (5000, 'gone'); TRUNCATE cut; INSERT INTO cut VALUES (1, 'kept')`);
    await database.query(`INSERT INTO cut VALUES (2, 'kept')`);
    await pipeline.reached(await pipeline.source.currentPosition());
    await release();
    await expectEqual(pipeline, 'public.cut');
  });

  /** A pipeline to which a table was added while a transaction is open: reading waits until that is released. */
  async function heldUp(name: string): Promise<{ pipeline: TestPipeline; release: () => Promise<void> }> {
    const pipeline = await TestPipeline.started({ url: database.url, tables: [`public.${name}*`] });
    const open = await connectTo(database.url);
    await open.query('BEGIN; SELECT pg_current_xact_id()');
    await database.query(
      `CREATE TABLE ${name} (n int, t text); ALTER TABLE ${name} REPLICA IDENTITY FULL; INSERT INTO ${name} SELECT i, 'old' FROM generate_series(1, 1000) i`,
    );
    await pipeline.until('the read to wait', () => pipeline.source.status().snapshot.waitingFor !== null);
    return {
      pipeline,
      release: async () => {
        await open.query('COMMIT');
        await open.end();
      },
    };
  }
});

describePostgres('a table of kind stream', (database) => {
  it('publishes what is added, and leaves the application free to update it', async () => {
    await database.query(
      `CREATE TABLE clicks (at timestamptz, url text); INSERT INTO clicks VALUES (now(), '/a'), (now(), '/a')`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: [{ name: 'public.clicks', kind: 'stream' }],
    });
    await pipeline.caughtUp();
    await database.query(`INSERT INTO clicks VALUES (now(), '/b')`);
    await database.query(`UPDATE clicks SET url = '/c' WHERE url = '/b'; DELETE FROM clicks WHERE url = '/a'`);
    await pipeline.caughtUp();
    const urls = (await pipeline.events('public.clicks')).map(({ op, after }) => [op, after?.get(2)]);
    expect(urls).toEqual([
      ['r', '/a'],
      ['r', '/a'],
      ['c', '/b'],
    ]);
  });
});

describePostgres('a table without any identity that matches a pattern', (database) => {
  it("is left out, said so, and the application's updates go on to work; it is picked up once it has a key", async () => {
    await database.query('CREATE TABLE t_a (x int PRIMARY KEY)');
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.t_*'] });
    await database.query('CREATE TABLE t_b (x int); INSERT INTO t_b VALUES (1)');
    await pipeline.until('a notice of the table', () => pipeline.notices().some((text) => text.includes('t_b')));
    await database.query('UPDATE t_b SET x = 2');
    await database.query('ALTER TABLE t_b ADD PRIMARY KEY (x)');
    await pipeline.until('the table to be captured', () =>
      pipeline.log.state('shop').has('consistent:shop.public.t_b'),
    );
    await database.query('UPDATE t_b SET x = 3');
    await pipeline.settled('public.t_b');
  });
});
