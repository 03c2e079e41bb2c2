import { expect, it } from 'vitest';
import { lsnOrder } from '../../../model/position.ts';
import { describePostgres } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

/** What the stream made of the topic, oldest first, without the snapshot: op, before, after, by column number. */
async function streamed(pipeline: TestPipeline, table: string): Promise<unknown[]> {
  const events = await pipeline.events(table);
  return events
    .filter(({ snapshot }) => !snapshot)
    .map(({ op, before, after }) => [op, before && Object.fromEntries(before), after && Object.fromEntries(after)]);
}

describePostgres('changes of rows', (database) => {
  it('of a table with a primary key carry the whole row after, and the key of what went', async () => {
    await database.query(
      `CREATE TABLE keyed (id int PRIMARY KEY, a text, b text); INSERT INTO keyed VALUES (1, 'x', NULL), (2, 'y', '')`,
    );
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.keyed'] });
    await pipeline.consistent();
    await database.query(`
      INSERT INTO keyed VALUES (3, 'z', '\\N');
      UPDATE keyed SET a = 'x2' WHERE id = 1;
      UPDATE keyed SET id = 20, b = 'moved' WHERE id = 2;
      DELETE FROM keyed WHERE id = 1`);
    await pipeline.settled('public.keyed');
    expect(await streamed(pipeline, 'public.keyed')).toEqual([
      ['c', null, { 1: '3', 2: 'z', 3: '\\N' }],
      ['u', null, { 1: '1', 2: 'x2', 3: null }],
      ['d', { 1: '2', 2: null, 3: null }, null],
      ['c', null, { 1: '20', 2: 'y', 3: 'moved' }],
      ['d', { 1: '1', 2: null, 3: null }, null],
    ]);
    await pipeline.stop();
  });

  it('of a table with REPLICA IDENTITY FULL carry the whole row before', async () => {
    await database.query(
      `CREATE TABLE whole (id int PRIMARY KEY, a text); ALTER TABLE whole REPLICA IDENTITY FULL; INSERT INTO whole VALUES (1, 'x'), (2, 'y')`,
    );
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.whole'] });
    await pipeline.consistent();
    await database.query(`
      UPDATE whole SET a = NULL WHERE id = 1;
      UPDATE whole SET id = 9 WHERE id = 2;
      DELETE FROM whole WHERE id = 1`);
    await pipeline.settled('public.whole');
    expect(await streamed(pipeline, 'public.whole')).toEqual([
      ['u', { 1: '1', 2: 'x' }, { 1: '1', 2: null }],
      ['d', { 1: '2', 2: 'y' }, null],
      ['c', null, { 1: '9', 2: 'y' }],
      ['d', { 1: '1', 2: null }, null],
    ]);
    await pipeline.stop();
  });

  it('of a table whose identity is an index are known by its columns, in whatever order', async () => {
    await database.query(`
      CREATE TABLE indexed (id int PRIMARY KEY, b text NOT NULL, a int NOT NULL, c text);
      CREATE UNIQUE INDEX indexed_key ON indexed (a, b); ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_key;
      INSERT INTO indexed VALUES (1, 'x', 1, 'one'), (2, 'x', 2, 'two'), (3, 'y', 1, 'three')`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.indexed'] });
    await pipeline.consistent();
    await database.query(`
      UPDATE indexed SET id = 100, c = 'uno' WHERE id = 1;
      UPDATE indexed SET a = 7 WHERE id = 2;
      DELETE FROM indexed WHERE id = 3;
      INSERT INTO indexed VALUES (3, 'z', 3, 'new')`);
    await pipeline.settled('public.indexed');
    expect((await streamed(pipeline, 'public.indexed')).map((event) => (event as unknown[])[0])).toEqual([
      'u',
      'd',
      'c',
      'd',
      'c',
    ]);
    const [table] = await pipeline.events('public.indexed');
    expect(table?.table.key.map((column) => table.table.columns[column]?.name)).toEqual(['a', 'b']);
    await pipeline.stop();
  });

  it('go on being right when the replica identity changes in mid-stream', async () => {
    await database.query(`
      CREATE TABLE switching (id int PRIMARY KEY, code text NOT NULL UNIQUE, n int);
      INSERT INTO switching SELECT g, 'c' || g, 0 FROM generate_series(1, 6) g`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.switching'] });
    await pipeline.consistent();
    for (const identity of ['FULL', 'DEFAULT']) {
      await database.query(`UPDATE switching SET n = n + 1 WHERE id < 3`);
      await database.query(`ALTER TABLE switching REPLICA IDENTITY ${identity}`);
      await database.query(
        `UPDATE switching SET id = id + 100 WHERE id IN (3, 4, 103); DELETE FROM switching WHERE id = (SELECT max(id) FROM switching)`,
      );
    }
    await pipeline.settled('public.switching');
    await pipeline.restart();
    await database.query(`UPDATE switching SET n = 77`);
    await pipeline.settled('public.switching');
    await pipeline.stop();
  });

  it('come once each, in the order of their commits, numbered without gaps', async () => {
    await database.query(`CREATE TABLE ordered (id int PRIMARY KEY, xid text, n serial)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.ordered'] });
    await pipeline.consistent();
    const early = await database.connect();
    const late = await database.connect();
    await early.query('BEGIN');
    await early.query('INSERT INTO ordered VALUES (1, pg_current_xact_id()::text)');
    for (let id = 10; id < 40; id++)
      await late.query('INSERT INTO ordered VALUES ($1, pg_current_xact_id()::text)', [id]);
    await early.query('COMMIT');
    await late.query(
      'BEGIN; INSERT INTO ordered VALUES (50, pg_current_xact_id()::text); INSERT INTO ordered VALUES (51, pg_current_xact_id()::text); COMMIT',
    );
    await pipeline.settled('public.ordered');
    const events = (await pipeline.events('public.ordered')).filter(({ snapshot }) => !snapshot);
    expect(events.map(({ after }) => Number(after?.get(1)))).toEqual([
      ...Array.from({ length: 30 }, (_, index) => 10 + index),
      1,
      50,
      51,
    ]);
    for (const { after, txId } of events) expect(txId).toBe(after?.get(2));
    const numbers = events.map(({ seq }) => seq);
    expect(numbers.slice(1, 32)).toEqual(
      Array.from({ length: 31 }, (_, index) => (numbers[0] ?? 0) + 1 + Math.min(index, 30)),
    );
    expect(numbers.at(-1)).toBe(numbers.at(-2));
    await pipeline.stop();
  });

  it('that touch nothing captured publish nothing, yet move the position on', async () => {
    await database.query(`CREATE TABLE captured (id int PRIMARY KEY); CREATE TABLE ignored (id int PRIMARY KEY)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.captured'] });
    await pipeline.caughtUp();
    const { seq } = pipeline.log.frontier('shop');
    await database.query(`INSERT INTO ignored VALUES (1)`);
    await database.query(`BEGIN; INSERT INTO captured VALUES (1); ROLLBACK`);
    await database.query(`BEGIN; SAVEPOINT s; INSERT INTO captured VALUES (2); ROLLBACK TO s; COMMIT`);
    await database.query(
      `SELECT pg_logical_emit_message(true, 'app', 'hello'), pg_logical_emit_message(false, 'app', 'hello')`,
    );
    const position = await pipeline.caughtUp();
    expect(pipeline.log.frontier('shop').seq).toBe(seq);
    expect(lsnOrder.covers(pipeline.log.frontier('shop').position ?? '0/0', position)).toBe(true);
    expect(await pipeline.events('public.captured')).toEqual([]);
    await pipeline.stop();
  });

  it('replayed from another origin are captured like any other', async () => {
    await database.query(`CREATE TABLE replayed (id int PRIMARY KEY)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.replayed'] });
    await pipeline.consistent();
    const session = await database.connect();
    await session.query(`SELECT pg_replication_origin_create('elsewhere_' || current_database())`);
    await session.query(`SELECT pg_replication_origin_session_setup('elsewhere_' || current_database())`);
    await session.query(
      `BEGIN; SELECT pg_replication_origin_xact_setup('0/1234', now()); INSERT INTO replayed VALUES (1); COMMIT`,
    );
    await session.query(`SELECT pg_replication_origin_session_reset()`);
    await session.query(`SELECT pg_replication_origin_drop('elsewhere_' || current_database())`);
    await database.query(`INSERT INTO replayed VALUES (2)`);
    await pipeline.settled('public.replayed');
    await pipeline.stop();
  });

  it('of a prepared transaction come when it is committed, and never when it is rolled back', async () => {
    await database.query(`CREATE TABLE prepared (id int PRIMARY KEY, n int)`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.prepared'] });
    await pipeline.consistent();
    const name = database.name;
    await database.query(`BEGIN; INSERT INTO prepared VALUES (1, 1); PREPARE TRANSACTION 'one_${name}'`);
    await database.query(`BEGIN; INSERT INTO prepared VALUES (2, 2); PREPARE TRANSACTION 'two_${name}'`);
    await database.query(`INSERT INTO prepared VALUES (3, 3)`);
    await pipeline.caughtUp();
    expect((await pipeline.replay('public.prepared')).size).toBe(1);
    await pipeline.restart();
    await database.query(`ROLLBACK PREPARED 'two_${name}'`);
    await database.query(`COMMIT PREPARED 'one_${name}'`);
    await pipeline.settled('public.prepared');
    expect((await pipeline.replay('public.prepared')).size).toBe(2);
    await pipeline.stop();
  });
});
