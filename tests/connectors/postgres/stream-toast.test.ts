import { expect, it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

/** Text that does not compress. */
const noise = (rows: number): string => `(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, ${rows}))`;

describePostgres('values that an update leaves out of line', (database) => {
  it('are published whole, from the snapshot, from an insert, and after restarts', async () => {
    await database.query(`CREATE TABLE docs (id int PRIMARY KEY, body text, n int DEFAULT 0, more text)`);
    await database.query(`INSERT INTO docs VALUES (1, ${noise(200)}, 0, ${noise(100)}), (2, ${noise(300)}, 0, NULL)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.docs'] });
    await pipeline.consistent();
    await database.query(`INSERT INTO docs VALUES (3, ${noise(250)}, 0, 'short')`);
    await database.query(`UPDATE docs SET n = n + 1`);
    await pipeline.settled('public.docs');
    await pipeline.restart();
    await database.query(`UPDATE docs SET n = n + 1`);
    await pipeline.settled('public.docs');
    await pipeline.crash();
    await database.query(
      `UPDATE docs SET n = n + 1; UPDATE docs SET more = 'now short' WHERE id = 1; UPDATE docs SET n = 99`,
    );
    await pipeline.start();
    await pipeline.settled('public.docs');
    // Healed, not read again by their keys.
    expect((await pipeline.events('public.docs')).filter(({ snapshot }) => snapshot)).toHaveLength(2);
    await pipeline.stop();
  });

  it('move with their row to another key, and are not taken from whoever had the key before', async () => {
    await database.query(`CREATE TABLE moving (id int PRIMARY KEY, body text, n int DEFAULT 0)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.moving'] });
    await pipeline.consistent();
    await database.query(`INSERT INTO moving VALUES (1, ${noise(200)}), (2, ${noise(200)})`);
    await database.query(
      `UPDATE moving SET id = 3 WHERE id = 1; UPDATE moving SET id = 1 WHERE id = 2; UPDATE moving SET n = 5`,
    );
    await pipeline.settled('public.moving');
    await database.query(
      `BEGIN; UPDATE moving SET id = -id; UPDATE moving SET id = 4 + id; UPDATE moving SET n = n + 1; COMMIT`,
    );
    await pipeline.settled('public.moving');
    await database.query(
      `DELETE FROM moving WHERE id = 1; INSERT INTO moving VALUES (1, ${noise(150)}); UPDATE moving SET n = 6`,
    );
    await pipeline.restart();
    await database.query(`UPDATE moving SET n = 7`);
    await pipeline.settled('public.moving');
    await pipeline.stop();
  });

  it('may be jsonb, arrays, bytea, numeric and composites', async () => {
    await database.query(`
      CREATE TYPE pair AS (a text, b int[]);
      CREATE TABLE kinds (id int PRIMARY KEY, j jsonb, a bigint[], t text[], b bytea, d numeric, p pair, c varchar, n int DEFAULT 0)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.kinds'] });
    await pipeline.consistent();
    for (const [id, scale] of [
      [1, 20],
      [2, 60],
      [3, 300],
    ] as const) {
      await database.query(`INSERT INTO kinds SELECT ${id}, jsonb_build_object('k', ${noise(scale)}, 'n', ARRAY[1, 2]), array_agg((random() * 1e18)::bigint),
        array_agg(md5(random()::text)), decode(${noise(scale)}, 'hex'), repeat('7', ${scale * 30})::numeric, ROW(${noise(scale)}, ARRAY[1, NULL])::pair,
        ${noise(scale)}, 0 FROM generate_series(1, ${scale * 4})`);
    }
    for (let round = 0; round < 3; round++) {
      await database.query(`UPDATE kinds SET n = n + 1`);
      await database.query(`UPDATE kinds SET j = '{}' WHERE id = ${round + 1}`);
      await database.query(`UPDATE kinds SET n = n + 1`);
      await pipeline.restart();
    }
    await database.query(`UPDATE kinds SET n = n + 1`);
    await pipeline.settled('public.kinds');
    expect((await pipeline.events('public.kinds')).filter(({ snapshot }) => snapshot)).toEqual([]);
    await pipeline.stop();
  });

  it('may be small, where the table or its columns say so', async () => {
    await database.query(`
      CREATE TABLE tight (id int PRIMARY KEY, a text, b text, n int DEFAULT 0) WITH (toast_tuple_target = 128);
      CREATE TABLE external (id int PRIMARY KEY, a text, b text, n int DEFAULT 0);
      ALTER TABLE external ALTER a SET STORAGE EXTERNAL`);
    const tables = ['public.tight', 'public.external'];
    const pipeline = await TestPipeline.started({ url: database.url, tables });
    await pipeline.consistent();
    for (const table of ['tight', 'external']) {
      for (const [id, size] of [3, 5, 10, 30, 60, 62, 64, 66, 80].entries()) {
        await database.query(`INSERT INTO ${table} VALUES (${id}, ${noise(size)}, ${noise(2)})`);
      }
      await database.query(`UPDATE ${table} SET n = 1`);
    }
    await pipeline.settled(...tables);
    // The target is lowered (and the rows written anew) while the stream goes on.
    await database.query(
      `ALTER TABLE external SET (toast_tuple_target = 128); UPDATE external SET a = a || 'x'; UPDATE external SET n = 2`,
    );
    await pipeline.restart();
    await database.query(`UPDATE tight SET n = 3; UPDATE external SET n = 3`);
    await pipeline.settled(...tables);
    expect((await pipeline.events('public.tight')).filter(({ snapshot }) => snapshot)).toEqual([]);
    await pipeline.stop();
  });

  it('shrink, become NULL and grow again without an old value coming back', async () => {
    await database.query(`CREATE TABLE shrinking (id int PRIMARY KEY, a text, b text, n int DEFAULT 0)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.shrinking'] });
    await pipeline.consistent();
    await database.query(`INSERT INTO shrinking VALUES (1, ${noise(200)}, ${noise(200)})`);
    for (const change of [
      `a = 'small'`,
      'n = 1',
      'a = NULL',
      'n = 2',
      `b = 'small'`,
      'n = 3',
      `a = ${noise(90)}`,
      'n = 4',
      `b = ${noise(150)}`,
      'n = 5',
      `a = ''`,
      'n = 6',
    ]) {
      await database.query(`UPDATE shrinking SET ${change}`);
    }
    await pipeline.settled('public.shrinking');
    await database.query(`UPDATE shrinking SET a = ${noise(120)}; UPDATE shrinking SET n = 7`);
    await database.query(
      `BEGIN; UPDATE shrinking SET a = ${noise(120)}; SAVEPOINT s; UPDATE shrinking SET a = ${noise(121)}; ROLLBACK TO s; UPDATE shrinking SET n = 8; COMMIT; UPDATE shrinking SET n = 9`,
    );
    await pipeline.settled('public.shrinking');
    await pipeline.stop();
  });

  it('are found again when a transaction that carried new ones is larger than memory, and when it is rolled back', async () => {
    await database.query(`ALTER DATABASE ${database.name} SET logical_decoding_work_mem = '64kB'`);
    await database.query(`CREATE TABLE bulky (id int PRIMARY KEY, body text, n int DEFAULT 0)`);
    await database.query(`INSERT INTO bulky SELECT g, ${noise(120)} || g FROM generate_series(1, 40) g`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.bulky'] });
    await pipeline.consistent();
    await database.query(`BEGIN; UPDATE bulky SET body = body || 'lost'; UPDATE bulky SET n = 1; ROLLBACK`);
    await database.query(`UPDATE bulky SET n = 2 WHERE id < 10`);
    await database.query(
      `BEGIN; INSERT INTO bulky SELECT g, ${noise(150)} || g FROM generate_series(100, 3100) g; UPDATE bulky SET n = 3 WHERE id % 10 = 0; COMMIT`,
    );
    await database.query(`UPDATE bulky SET n = 4 WHERE id % 15 = 0`);
    await pipeline.settled('public.bulky');
    await pipeline.restart();
    await database.query(`UPDATE bulky SET n = 5 WHERE id % 7 = 0`);
    await pipeline.settled('public.bulky');
    expect((await pipeline.events('public.bulky')).filter(({ snapshot }) => snapshot)).toHaveLength(40);
    await pipeline.stop();
  });

  it('of a table with REPLICA IDENTITY FULL come from the row before', async () => {
    await database.query(
      `CREATE TABLE fullrow (id int PRIMARY KEY, body text, n int DEFAULT 0); ALTER TABLE fullrow REPLICA IDENTITY FULL`,
    );
    await database.query(`INSERT INTO fullrow VALUES (1, ${noise(200)}), (2, ${noise(200)})`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.fullrow'] });
    await pipeline.consistent();
    await database.query(
      `UPDATE fullrow SET n = 1; UPDATE fullrow SET id = 3 WHERE id = 1; DELETE FROM fullrow WHERE id = 2`,
    );
    await pipeline.settled('public.fullrow');
    await pipeline.stop();
  });
});
