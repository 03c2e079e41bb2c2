import { expect, it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { Gate, afterReadTransaction, aroundReads } from './harness-parts.ts';
import { TestPipeline } from './harness.ts';

/**
 * Updates without the large value that they leave as it is, while the table is being read. Every comparison also fails when a
 * placeholder was published.
 */
describePostgres('a large value that an update leaves out', (database) => {
  /** Rows 1 to 12 with a value of about 6 kB each, stored out of line; chunks of four rows, one after the other. */
  const withDocuments = async (table: string): Promise<TestPipeline> => {
    await database.query(
      `CREATE TABLE ${table} (id int PRIMARY KEY, n int, body text, more text);
       ALTER TABLE ${table} ALTER body SET STORAGE EXTERNAL, ALTER more SET STORAGE EXTERNAL;
       INSERT INTO ${table} SELECT i, 0, repeat('body ' || i || ' ', 700), CASE WHEN i % 2 = 0 THEN repeat('more ' || i, 500) END FROM generate_series(1, 12) i`,
    );
    return TestPipeline.create({
      url: database.url,
      tables: [`public.${table}`],
      snapshot: { chunkRows: 4, parallel: 1 },
    });
  };

  /** Runs SQL before the n-th read of a range, when the chunks before it are published, waits until it is in the log, and counts the reads of single keys. */
  const beforeRead = (pipeline: TestPipeline, table: string, count: number, sql: string): { keyReads: string[][] } => {
    let reads = 0;
    const keyReads: string[][] = [];
    aroundReads(async (request, read) => {
      if (request.keys !== undefined) keyReads.push(request.keys.map((key) => key.join(',')));
      else if (++reads === count) {
        const before = 4 * (count - 1);
        await pipeline.until(
          'the chunks before in the log',
          async () => (await pipeline.replay(table)).size === before,
        );
        await database.query(sql);
        await pipeline.reached(await pipeline.source.currentPosition());
      }
      return read();
    });
    return { keyReads };
  };

  it('comes from the chunk that reads its row later', async () => {
    const pipeline = await withDocuments('ahead');
    const seen = beforeRead(pipeline, 'public.ahead', 2, `UPDATE ahead SET n = 1 WHERE id IN (6, 11)`);
    await pipeline.start();
    await pipeline.settled('public.ahead');
    expect(seen.keyReads).toEqual([]);
    // Held back, not published: the row appears once, as read.
    const events = await pipeline.events('public.ahead');
    expect(events.filter(({ after }) => after?.get(1) === '6').map(({ op }) => op)).toEqual(['r']);
  });

  it('comes from the value that an earlier chunk has read', async () => {
    const pipeline = await withDocuments('behind');
    const seen = beforeRead(pipeline, 'public.behind', 2, `UPDATE behind SET n = 1 WHERE id IN (1, 4)`);
    await pipeline.start();
    await pipeline.settled('public.behind');
    expect(seen.keyReads).toEqual([]);
    const events = await pipeline.events('public.behind');
    expect(events.filter(({ after }) => after?.get(1) === '4').map(({ op }) => op)).toEqual(['r', 'u']);
  });

  it('moved with its key to where chunks have been is read by its new key, and the table is consistent only then', async () => {
    const pipeline = await withDocuments('moved_back');
    const keyReads: string[][] = [];
    const gate = new Gate();
    let reads = 0;
    aroundReads(async (request, read) => {
      if (request.keys !== undefined) {
        keyReads.push(request.keys.map((key) => key.join(',')));
        await gate.pass();
      } else if (++reads === 2) {
        await database.query(`UPDATE moved_back SET id = -id, n = 1 WHERE id IN (7, 12)`);
        await pipeline.reached(await pipeline.source.currentPosition());
      }
      return read();
    });
    await pipeline.start();
    await gate.arrived;
    // Everything else is read; these two rows are not there, not even in part.
    await pipeline.reached(await pipeline.source.currentPosition());
    const ids = [...(await pipeline.replay('public.moved_back')).values()].map((row) => Number(row.get(1)));
    expect(new Set(ids)).toEqual(new Set([1, 2, 3, 4, 5, 6, 8, 9, 10, 11]));
    expect(pipeline.source.status().consistent).toBe(false);
    gate.open();
    await pipeline.settled('public.moved_back');
    expect(keyReads.map((keys) => keys.toSorted())).toEqual([['-12', '-7']]);
    expect([...pipeline.log.state('shop').keys()].filter((name) => name.startsWith('incomplete:'))).toEqual([]);
  });

  it('moved with its key to where chunks will be comes with them', async () => {
    const pipeline = await withDocuments('moved_on');
    const seen = beforeRead(
      pipeline,
      'public.moved_on',
      2,
      `UPDATE moved_on SET id = id + 100, n = 1 WHERE id IN (2, 3, 8, 9)`,
    );
    await pipeline.start();
    await pipeline.settled('public.moved_on');
    expect(seen.keyReads).toEqual([]);
  });

  it.each([
    ['updated while its chunk was open', 'UPDATE $ SET n = 1 WHERE id IN (5, 6)'],
    [
      'moved while its chunk was open',
      'UPDATE $ SET id = id - 100 WHERE id IN (5, 6); UPDATE $ SET id = id + 100 WHERE id IN (7, 8)',
    ],
    [
      'moved and moved back',
      'UPDATE $ SET id = id - 100 WHERE id IN (5, 6, 9); UPDATE $ SET id = id + 100 WHERE id < 0',
    ],
    ['updated twice', 'UPDATE $ SET n = 1 WHERE id IN (5, 6); UPDATE $ SET n = n + 1 WHERE id IN (5, 10)'],
    [
      'moved onto a row that was just deleted',
      'BEGIN; DELETE FROM $ WHERE id = 1; UPDATE $ SET id = 1 WHERE id = 7; COMMIT',
    ],
    [
      'exchanged with another row',
      'BEGIN; UPDATE $ SET id = 0 WHERE id = 2; UPDATE $ SET id = 2 WHERE id = 10; UPDATE $ SET id = 10 WHERE id = 0; COMMIT',
    ],
  ])('arrives when its row was %s', async (title, statements) => {
    const table = `open_${title.replaceAll(/\W/g, '_').slice(0, 30)}`;
    const pipeline = await withDocuments(table);
    let done = false;
    afterReadTransaction(2, async () => {
      await database.query(statements.replaceAll('$', table));
      done = true;
    });
    await pipeline.start();
    await pipeline.settled(`public.${table}`);
    expect(done).toBe(true);
  });

  it.each([
    ['deleted', 'DELETE FROM $ WHERE id < 0'],
    ['updated with every value', `UPDATE $ SET body = 'small', more = NULL WHERE id < 0`],
    ['updated in part', `UPDATE $ SET body = repeat('new', 2000) WHERE id < 0`],
    ['moved on', `UPDATE $ SET id = id - 1000 WHERE id < 0`],
    ['deleted and written anew', `DELETE FROM $ WHERE id < 0; INSERT INTO $ VALUES (-7, 5, repeat('z', 5000), 'm')`],
    ['gone with a TRUNCATE', `TRUNCATE $; INSERT INTO $ VALUES (-7, 5, repeat('z', 5000), 'm')`],
  ])('does no harm when its row is %s before it could be read', async (title, statements) => {
    const table = `held_${title.replaceAll(/\W/g, '_').toLowerCase()}`;
    const pipeline = await withDocuments(table);
    let ranges = 0;
    let keys = 0;
    aroundReads(async (request, read) => {
      if (request.keys === undefined && ++ranges === 2) {
        await database.query(`UPDATE ${table} SET id = -id, n = 1 WHERE id IN (7, 12)`);
        await pipeline.reached(await pipeline.source.currentPosition());
      }
      if (request.keys === undefined || ++keys > 1) return read();
      // The first read of the two rows: they change after it has seen them, and before it is published.
      const chunk = await read();
      await database.query(statements.replaceAll('$', table));
      return { ...chunk, high: await pipeline.source.currentPosition() };
    });
    await pipeline.start();
    await pipeline.settled(`public.${table}`);
    expect(keys).toBeGreaterThan(0);
  });

  it('stays missing when its row came back while a read that did not find it was open', async () => {
    const pipeline = await withDocuments('coming_back');
    let ranges = 0;
    let keys = 0;
    aroundReads(async (request, read) => {
      if (request.keys === undefined && ++ranges === 2) {
        await database.query(`UPDATE coming_back SET id = -id, n = 1 WHERE id IN (7, 12)`);
        await pipeline.reached(await pipeline.source.currentPosition());
      }
      if (request.keys === undefined || ++keys > 1) return read();
      await database.query(`DELETE FROM coming_back WHERE id = -7`);
      const chunk = await read();
      await database.query(`UPDATE coming_back SET id = -7 WHERE id = -12`);
      return { ...chunk, high: await pipeline.source.currentPosition() };
    });
    await pipeline.start();
    await pipeline.settled('public.coming_back');
    expect(keys).toBeGreaterThan(1);
  });

  it('is still known to be missing after a crash', async () => {
    const pipeline = await withDocuments('crashing');
    const gate = new Gate();
    let ranges = 0;
    let crashed = false;
    aroundReads(async (request, read) => {
      if (request.keys === undefined && ++ranges === 2) {
        await database.query(`UPDATE crashing SET id = -id, n = 1 WHERE id IN (7, 12)`);
        await pipeline.reached(await pipeline.source.currentPosition());
      }
      if (request.keys !== undefined && !crashed) {
        await gate.pass();
        throw new Error('the process is gone');
      }
      return read();
    });
    await pipeline.start();
    await gate.arrived;
    await pipeline.reached(await pipeline.source.currentPosition());
    crashed = true;
    const gone = pipeline.crash();
    gate.open();
    await gone;
    await pipeline.start();
    await pipeline.settled('public.crashing');
  });

  it('is known again after a crash when it was read before', async () => {
    const pipeline = await withDocuments('healing');
    await pipeline.start();
    await pipeline.settled('public.healing');
    for (let round = 0; round < 3; round++) {
      await database.query(`UPDATE healing SET n = n + 1; UPDATE healing SET id = id + 1000 WHERE id % 5 = ${round}`);
      await pipeline.caughtUp();
      await pipeline.crash();
      await database.query(
        `UPDATE healing SET n = n + 1; INSERT INTO healing VALUES (${-round}, 0, repeat('b', 9000), NULL)`,
      );
      await pipeline.start();
    }
    await pipeline.settled('public.healing');
    expect(pipeline.reports.filter(({ type }) => type === 'snapshot.started').length).toBe(1);
  });

  it('is taken from the old row with REPLICA IDENTITY FULL', async () => {
    const pipeline = await withDocuments('whole');
    await database.query(`ALTER TABLE whole REPLICA IDENTITY FULL`);
    const seen = beforeRead(
      pipeline,
      'public.whole',
      2,
      `UPDATE whole SET n = 1 WHERE id IN (2, 6); UPDATE whole SET id = -id WHERE id IN (3, 7)`,
    );
    await pipeline.start();
    await pipeline.settled('public.whole');
    expect(seen.keyReads).toEqual([]);
  });
});
