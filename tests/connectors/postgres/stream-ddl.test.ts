import { expect, it } from 'vitest';
import { jsonRow } from './stream-json.ts';
import { describePostgres } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

describePostgres('a table altered in mid-stream', (database) => {
  async function piped(table: string, setUp: string): Promise<TestPipeline> {
    await database.query(setUp);
    const pipeline = await TestPipeline.started({ url: database.url, tables: [`public.${table}`] });
    await pipeline.consistent();
    return pipeline;
  }

  it('gains columns, without and with a value for the rows that it has', async () => {
    const pipeline = await piped(
      'gaining',
      `CREATE TABLE gaining (id int PRIMARY KEY, a text); INSERT INTO gaining SELECT g, 'x' FROM generate_series(1, 50) g`,
    );
    await database.query(`ALTER TABLE gaining ADD COLUMN b int; UPDATE gaining SET b = 1 WHERE id < 3`);
    await pipeline.settled('public.gaining');
    await database.query(
      `ALTER TABLE gaining ADD COLUMN c text DEFAULT 'given'; INSERT INTO gaining VALUES (100, 'new')`,
    );
    await pipeline.until('the new column to be noticed', () =>
      pipeline.notices().some((text) => text.includes('read again')),
    );
    await pipeline.settled('public.gaining');
    // Nothing is sent for this one: the heartbeat finds it.
    await database.query(`ALTER TABLE gaining ADD COLUMN d timestamptz DEFAULT '2026-01-01'`);
    await pipeline.until(
      'the quiet change to be noticed',
      () => pipeline.notices().filter((text) => text.includes('read again')).length >= 2,
    );
    await pipeline.settled('public.gaining');
    await database.query(`ALTER TABLE gaining ADD COLUMN e uuid DEFAULT gen_random_uuid()`);
    await pipeline.until(
      'the rewrite to be noticed',
      () => pipeline.notices().filter((text) => text.includes('read again')).length >= 3,
    );
    await pipeline.settled('public.gaining');
    await pipeline.stop();
  });

  it('loses and renames columns without being read again, and rows keep what they have', async () => {
    const pipeline = await piped(
      'losing',
      `CREATE TABLE losing (id int PRIMARY KEY, a text, b text, c text); INSERT INTO losing SELECT g, 'a', 'b', 'c' FROM generate_series(1, 20) g`,
    );
    await database.query(
      `UPDATE losing SET a = 'a2' WHERE id = 1; ALTER TABLE losing DROP COLUMN b; UPDATE losing SET c = 'c2' WHERE id = 2`,
    );
    await pipeline.settled('public.losing');
    await database.query(`ALTER TABLE losing RENAME COLUMN a TO first; INSERT INTO losing VALUES (30, 'x', 'y')`);
    await pipeline.settled('public.losing');
    await database.query(
      `ALTER TABLE losing RENAME COLUMN id TO number; UPDATE losing SET number = 99 WHERE number = 5; DELETE FROM losing WHERE number = 6`,
    );
    await pipeline.settled('public.losing');
    expect(pipeline.notices().filter((text) => text.includes('read again'))).toEqual([]);
    await pipeline.stop();
  });

  it('is read again when its values change without events', async () => {
    const pipeline = await piped(
      'retyped',
      `CREATE TABLE retyped (id int PRIMARY KEY, a int, b text); INSERT INTO retyped SELECT g, g, 'b' FROM generate_series(1, 50) g`,
    );
    const statements = [
      `ALTER TABLE retyped ALTER a TYPE numeric(10,2)`,
      `ALTER TABLE retyped ALTER a TYPE numeric(10,2) USING a * 3`,
      `ALTER TABLE retyped ALTER b TYPE text USING b || '!'`,
      `ALTER TABLE retyped ALTER a TYPE text`,
      `ALTER TABLE retyped ALTER id TYPE bigint`,
    ];
    for (const [index, statement] of statements.entries()) {
      const before = pipeline.notices().length;
      await database.query(statement);
      if (index % 2 === 0)
        await database.query(
          `UPDATE retyped SET b = b || 'u' WHERE id = ${index + 1}; INSERT INTO retyped (id) VALUES (${1000 + index})`,
        );
      await pipeline.until(`the change to be noticed: ${statement}`, () => pipeline.notices().length > before);
      await pipeline.settled('public.retyped');
    }
    await pipeline.stop();
  });

  it('is read again when that happened while tidemark was down, with a backlog from before', async () => {
    const pipeline = await piped(
      'offline',
      `CREATE TABLE offline (id int PRIMARY KEY, a int, b text); INSERT INTO offline SELECT g, g, 'b' FROM generate_series(1, 50) g`,
    );
    await pipeline.stop();
    await database.query(`UPDATE offline SET a = -a WHERE id < 5; ALTER TABLE offline ADD COLUMN c int DEFAULT 7; INSERT INTO offline VALUES (60, 1, 'x', 2);
      ALTER TABLE offline DROP COLUMN b; UPDATE offline SET a = 0 WHERE id = 7; ALTER TABLE offline RENAME a TO amount; DELETE FROM offline WHERE id = 9;
      ALTER TABLE offline ALTER amount TYPE bigint USING amount * 10; UPDATE offline SET c = 3 WHERE id = 11`);
    await pipeline.start();
    await pipeline.settled('public.offline');
    await pipeline.stop();
  });

  it('has its columns told apart in a backlog by the names that they had, and is read again when that does not do', async () => {
    const pipeline = await piped(
      'backlog',
      `CREATE TABLE backlog (id int PRIMARY KEY, a text, b text); INSERT INTO backlog SELECT g, 'a', 'b' FROM generate_series(1, 20) g`,
    );
    const whileDown = async (sql: string): Promise<string[]> => {
      await pipeline.stop();
      pipeline.reports.length = 0;
      await database.query(sql);
      await pipeline.start();
      await pipeline.settled('public.backlog');
      return pipeline.notices().filter((text) => text.includes('read again'));
    };
    // In place of the column that is gone stands another one.
    const replaced = `UPDATE backlog SET a = 'x' WHERE id = 1; ALTER TABLE backlog DROP b; ALTER TABLE backlog ADD c text; UPDATE backlog SET c = 'c' WHERE id = 2`;
    expect(await whileDown(replaced)).toEqual([]);
    expect(await whileDown(`UPDATE backlog SET a = 'y' WHERE id = 3; ALTER TABLE backlog RENAME a TO first`)).toEqual(
      [],
    );
    const unseen = `ALTER TABLE backlog ADD n int; UPDATE backlog SET n = 5 WHERE id = 4; ALTER TABLE backlog ADD o int; ALTER TABLE backlog DROP n`;
    expect(await whileDown(unseen)).toHaveLength(1);
    const renamed = `ALTER TABLE backlog ADD p int; UPDATE backlog SET p = 5 WHERE id = 5; ALTER TABLE backlog RENAME p TO q`;
    expect(await whileDown(renamed)).toHaveLength(1);
    const gone = `ALTER TABLE backlog ADD r int; UPDATE backlog SET r = 5 WHERE id = 6; ALTER TABLE backlog DROP r`;
    expect(await whileDown(gone)).toEqual([]);
    const named = `ALTER TABLE backlog ADD s int; UPDATE backlog SET s = 5 WHERE id = 7; ALTER TABLE backlog RENAME s TO t; ALTER TABLE backlog ADD s int`;
    expect(await whileDown(named)).toHaveLength(1);
    const added = `ALTER TABLE backlog ADD u int; UPDATE backlog SET u = 5 WHERE id = 8; ALTER TABLE backlog ADD w int; UPDATE backlog SET w = 5 WHERE id = 9`;
    expect(await whileDown(added)).toEqual([]);
    await pipeline.stop();
  });

  it('is not read again after VACUUM FULL, CLUSTER and new indexes', async () => {
    const pipeline = await piped(
      'tidy',
      `CREATE TABLE tidy (id int PRIMARY KEY, a int); INSERT INTO tidy SELECT g, g FROM generate_series(1, 50) g`,
    );
    await database.query(`VACUUM FULL tidy`);
    await database.query(`CLUSTER tidy USING tidy_pkey`);
    await database.query(`CREATE INDEX ON tidy (a); ANALYZE tidy`);
    await database.query(`UPDATE tidy SET a = 0 WHERE id = 1`);
    await pipeline.settled('public.tidy');
    expect(pipeline.notices()).toEqual([]);
    await pipeline.stop();
  });

  it('may take values added to its enum, and of types made new', async () => {
    const pipeline = await piped(
      'moody',
      `CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE moody (id int PRIMARY KEY, m mood, ms mood[])`,
    );
    await database.query(`INSERT INTO moody VALUES (1, 'ok', '{ok}')`);
    await pipeline.caughtUp();
    await database.query(`ALTER TYPE mood ADD VALUE 'great'`);
    await database.query(
      `INSERT INTO moody VALUES (2, 'great', '{ok,great}'); ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'; INSERT INTO moody VALUES (3, 'fine', NULL)`,
    );
    await database.query(
      `CREATE TYPE later AS (x int, y text); ALTER TABLE moody ADD COLUMN p later; INSERT INTO moody VALUES (4, NULL, NULL, ROW(1, 'a,b'))`,
    );
    await pipeline.caughtUp();
    expect(await jsonRow(pipeline, 'public.moody', '4')).toEqual({ id: 4, m: null, ms: null, p: { x: 1, y: 'a,b' } });
    await pipeline.stop();
  });

  it('shows the attributes that its composite type has, and is read again when they change', async () => {
    const pipeline = await piped(
      'composed',
      `CREATE TYPE point3 AS (x int, y int); CREATE DOMAIN spot AS point3; CREATE TABLE composed (id int PRIMARY KEY, p point3, ps point3[], s spot);
      INSERT INTO composed VALUES (1, ROW(1, 2), ARRAY[ROW(3, 4)::point3])`,
    );
    await database.query(`INSERT INTO composed VALUES (2, ROW(5, 6), NULL, NULL)`);
    await pipeline.caughtUp();
    const notices = (): number => pipeline.notices().filter((text) => text.includes('composite')).length;
    // No message of the stream tells of these: the heartbeat finds them.
    const changes = [
      `ALTER TYPE point3 ADD ATTRIBUTE z int; INSERT INTO composed VALUES (3, ROW(7, 8, 9), ARRAY[ROW(1, 2, 3)::point3], ROW(1, 2, 3)::point3)`,
      `ALTER TYPE point3 RENAME ATTRIBUTE z TO depth; INSERT INTO composed VALUES (4, ROW(1, 1, 1), NULL, NULL)`,
      `ALTER TYPE point3 DROP ATTRIBUTE y; INSERT INTO composed VALUES (5, ROW(2, 3), NULL, NULL)`,
    ];
    for (const [index, change] of changes.entries()) {
      await database.query(change);
      await pipeline.until('the change to be noticed', () => notices() > index);
      await database.query(`INSERT INTO composed (id, p) SELECT ${10 + index}, p FROM composed WHERE id = 1`);
      await pipeline.settled('public.composed');
      const rows = await database.query(`SELECT id, to_json(composed)::text AS json FROM composed`);
      for (const { id, json } of rows) {
        expect(await jsonRow(pipeline, 'public.composed', String(id))).toEqual(JSON.parse(String(json)));
      }
      await pipeline.restart();
    }
    await pipeline.stop();
  });

  it('keeps columns apart that go by the same name one after the other', async () => {
    const pipeline = await piped(
      'names',
      `CREATE TABLE names (id int PRIMARY KEY, a text, b text, c text); INSERT INTO names SELECT g, 'a', 'b', 'c' FROM generate_series(1, 20) g`,
    );
    const changes = [
      `ALTER TABLE names RENAME a TO x; ALTER TABLE names RENAME b TO a; ALTER TABLE names RENAME x TO b; UPDATE names SET a = 'was b' WHERE id = 3`,
      `ALTER TABLE names DROP c; ALTER TABLE names ADD c text; UPDATE names SET c = 'new' WHERE id = 4`,
    ];
    for (const change of changes) {
      await database.query(change);
      await pipeline.until('the change to be noticed', () =>
        pipeline.notices().some((text) => text.includes('name of another')),
      );
      pipeline.reports.length = 0;
      await database.query(`UPDATE names SET b = 'later' WHERE id = 5`);
      await pipeline.settled('public.names');
    }
    await pipeline.stop();
    await database.query(
      `UPDATE names SET a = 'before' WHERE id = 6; ${changes.join('; ')}; UPDATE names SET b = 'after' WHERE id = 7`,
    );
    await pipeline.start();
    await pipeline.settled('public.names');
    await pipeline.stop();
  });

  it('keeps generated columns out, in the snapshot and in the stream alike', async () => {
    const pipeline = await piped(
      'generating',
      `CREATE TABLE generating (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED, i int GENERATED ALWAYS AS IDENTITY); INSERT INTO generating VALUES (1, 1)`,
    );
    await database.query(`INSERT INTO generating VALUES (2, 2); UPDATE generating SET a = 5`);
    await database.query(
      `ALTER TABLE generating ADD COLUMN thrice int GENERATED ALWAYS AS (a * 3) STORED; INSERT INTO generating VALUES (3, 3)`,
    );
    await pipeline.settled('public.generating');
    const [event] = await pipeline.events('public.generating');
    expect(event?.table.columns.map(({ name }) => name)).toEqual(['id', 'a', 'i']);
    await pipeline.stop();
  });

  it('stops the source instead of being read again where it is told to', async () => {
    await database.query(`CREATE TABLE strict (id int PRIMARY KEY, a int); INSERT INTO strict VALUES (1, 1)`);
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: [{ name: 'public.strict', onSchemaChange: 'stop' }],
    });
    await pipeline.consistent();
    await database.query(`ALTER TABLE strict ADD COLUMN b int; INSERT INTO strict VALUES (2, 2, 2)`);
    await pipeline.settled('public.strict');
    await database.query(`ALTER TABLE strict ADD COLUMN c int DEFAULT 3`);
    expect(await pipeline.failed()).toMatchObject({ code: 'TABLE_CHANGED', place: { table: 'shop.public.strict' } });
  });
});

describePostgres('a table renamed in mid-stream', (database) => {
  it('goes on under its new name when that is captured, too, and is told when it is not', async () => {
    await database.query(`CREATE TABLE log_2025 (id int PRIMARY KEY, a text); INSERT INTO log_2025 VALUES (1, 'x')`);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.log_*'] });
    await pipeline.consistent();
    await database.query(
      `INSERT INTO log_2025 VALUES (2, 'y'); ALTER TABLE log_2025 RENAME TO log_old; INSERT INTO log_old VALUES (3, 'z'); CREATE TABLE log_2025 (id int PRIMARY KEY, b int); INSERT INTO log_2025 VALUES (1, 5)`,
    );
    await pipeline.until(
      'both tables to be captured',
      async () =>
        (await pipeline.replay('public.log_old')).size === 3 && (await pipeline.replay('public.log_2025')).size === 1,
    );
    await pipeline.settled('public.log_old', 'public.log_2025');
    await database.query(
      `UPDATE log_old SET a = 'more'; UPDATE log_2025 SET b = 6; INSERT INTO log_2025 VALUES (2, 7)`,
    );
    await pipeline.settled('public.log_old', 'public.log_2025');
    await pipeline.stop();
  });
});
