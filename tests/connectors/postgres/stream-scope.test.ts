import type { Client } from 'pg';
import { ChangeCursor } from '../../../model/change.ts';
import { identifier } from '../../../connectors/postgres/session.ts';
import { fieldPositions, readFields } from '../../../model/row.ts';
import { expect, it } from 'vitest';
import { connectTo, describePostgres, describePostgresServer } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

describePostgres('what is captured of a table', (database) => {
  it('leaves excluded columns out, in the snapshot and in the stream', async () => {
    await database.query(
      `CREATE TABLE people (id int PRIMARY KEY, name text, password text, "Secret" text); INSERT INTO people VALUES (1, 'a', 'p', 's')`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: [{ name: 'public.people', exclude: ['password', 'Secret'] }],
    });
    await pipeline.consistent();
    await database.query(
      `INSERT INTO people VALUES (2, 'b', 'p', 's'); UPDATE people SET password = 'q', name = 'c' WHERE id = 1; UPDATE people SET id = 5 WHERE id = 2`,
    );
    await database.query(`ALTER TABLE people ADD COLUMN extra int; UPDATE people SET extra = 1`);
    await pipeline.caughtUp();
    const replayed = await pipeline.replay('public.people');
    expect([...replayed.values()].map((row) => [...row])).toEqual([
      [
        [1, '1'],
        [2, 'c'],
        [5, '1'],
      ],
      [
        [1, '5'],
        [2, 'b'],
        [5, '1'],
      ],
    ]);
    await pipeline.stop();
  });

  it('is only the rows that `where` lets through, as they come and go', async () => {
    await database.query(`CREATE TABLE parts (id int PRIMARY KEY, region text, n int); ALTER TABLE parts REPLICA IDENTITY FULL;
      INSERT INTO parts SELECT g, CASE WHEN g % 2 = 0 THEN 'eu' ELSE 'us' END, g FROM generate_series(1, 20) g`);
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: [{ name: 'public.parts', where: `region = 'eu'` }],
    });
    await pipeline.consistent();
    await database.query(`INSERT INTO parts VALUES (30, 'eu', 1), (31, 'us', 1); UPDATE parts SET region = 'us' WHERE id = 2; UPDATE parts SET region = 'eu' WHERE id = 3;
      UPDATE parts SET n = 0; DELETE FROM parts WHERE id IN (4, 5); UPDATE parts SET id = 40 WHERE id = 6`);
    await pipeline.caughtUp();
    const held = [...(await pipeline.replay('public.parts')).values()].map((row) => Number(row.get(1)));
    const wanted = (await database.query(`SELECT id FROM parts WHERE region = 'eu'`)).map(({ id }) => Number(id));
    expect(new Set(held)).toEqual(new Set(wanted));
    expect(held).toHaveLength(wanted.length);
    await pipeline.stop();
  });

  it("of a kind: stream table without identity is what is added, and the application's updates go on working", async () => {
    await database.query(`CREATE TABLE clicks (at int, page text); INSERT INTO clicks VALUES (1, 'before')`);
    await database.query(`CREATE TABLE beside (id int PRIMARY KEY)`);
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: [{ name: 'public.clicks', kind: 'stream' }, 'public.beside'],
    });
    await pipeline.consistent();
    await database.query(
      `INSERT INTO clicks VALUES (2, 'during'), (2, 'during'); UPDATE clicks SET page = 'changed'; DELETE FROM clicks WHERE at = 1; INSERT INTO beside VALUES (1); DELETE FROM beside`,
    );
    await database.query(`INSERT INTO clicks VALUES (3, 'after')`);
    await pipeline.caughtUp();
    const pages = (await pipeline.events('public.clicks')).map(({ op, after }) => [op, after?.get(2)]);
    expect(pages).toEqual([
      ['r', 'before'],
      ['c', 'during'],
      ['c', 'during'],
      ['c', 'after'],
    ]);
    await pipeline.settled('public.beside');
    await pipeline.stop();
  });

  it('has any name that PostgreSQL takes, down to its columns and keys', async () => {
    const schema = 'Sché.ma "x"';
    const table = `Ta"ble.'ñ 漢字`;
    await database.query(
      `CREATE SCHEMA ${identifier(schema)}; CREATE TABLE ${identifier(schema)}.${identifier(table)} ("Kéy 1" int, "k""2" text, "select" text, "a.b" int, "\t" int, PRIMARY KEY ("k""2", "Kéy 1"))`,
    );
    await database.query(
      `INSERT INTO ${identifier(schema)}.${identifier(table)} VALUES (1, 'x''y', 'a', 1, 1), (2, 'back\\slash', 'b', 2, 2)`,
    );
    const pipeline = await TestPipeline.create({ url: database.url, tables: [] });
    pipeline.options = { url: database.url, tables: [{ name: 'x.y', schema, table }] };
    await pipeline.start();
    await pipeline.consistent();
    await database.query(
      `UPDATE ${identifier(schema)}.${identifier(table)} SET "a.b" = 7; UPDATE ${identifier(schema)}.${identifier(table)} SET "k""2" = 'moved' WHERE "Kéy 1" = 2; INSERT INTO ${identifier(schema)}.${identifier(table)} VALUES (3, E'new\\nline\\t', NULL, 0, 0)`,
    );
    await pipeline.caughtUp();
    const replayed = await pipeline.replay(`${schema}.${table}`);
    const rows = await database.query(
      `SELECT "Kéy 1" AS a, "k""2" AS b, "select" AS c, "a.b" AS d FROM ${identifier(schema)}.${identifier(table)} ORDER BY 1`,
    );
    const held = [...replayed.values()].map((row) => [row.get(1), row.get(2), row.get(3), row.get(4)]);
    expect(held.toSorted((x, y) => Number(x[0]) - Number(y[0]))).toEqual(rows.map(({ a, b, c, d }) => [a, b, c, d]));
    await pipeline.stop();
  });
});

describePostgresServer('a SQL_ASCII database', { initdb: ['--encoding=SQL_ASCII', '--locale=C'] }, (server) => {
  it('gives the bytes that it holds, whatever they mean', async () => {
    const url = server().url();
    const client: Client = await connectTo(url);
    await client.query(`SET client_encoding = 'SQL_ASCII'`);
    await client.query(
      `CREATE TABLE bytes (id int PRIMARY KEY, a text); INSERT INTO bytes VALUES (1, E'caf\\xe9'), (2, 'plain')`,
    );
    const pipeline = await TestPipeline.started({ url, tables: ['public.bytes'] });
    await pipeline.consistent();
    await client.query(`INSERT INTO bytes VALUES (3, E'\\xff\\xfe'); UPDATE bytes SET a = a || E'\\xc3' WHERE id = 1`);
    await pipeline.caughtUp();
    const { rows } = await client.query<{ id: string; hex: string }>(
      `SELECT id, encode(a::bytea, 'hex') AS hex FROM bytes ORDER BY id`,
    );
    expect(rows).toEqual([
      { id: '1', hex: '636166e9c3' },
      { id: '2', hex: '706c61696e' },
      { id: '3', hex: 'fffe' },
    ]);
    const held = new Map<string, string>();
    const reader = pipeline.log.read('shop', { fromSeq: 0, follow: false });
    const fields = fieldPositions(2);
    for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
      for (const { changes } of batch.pieces) {
        const cursor = new ChangeCursor().reset(changes.bytes);
        while (cursor.next()) {
          readFields(cursor.bytes, cursor.afterStart, 2, fields);
          const text = (column: number): Buffer => cursor.bytes.subarray(fields.start[column], fields.end[column]);
          held.set(text(0).toString(), text(1).toString('hex'));
        }
      }
    }
    await reader.close();
    expect([...held].map(([id, hex]) => ({ id, hex })).toSorted((x, y) => Number(x.id) - Number(y.id))).toEqual(rows);
    await pipeline.stop();
    await client.end();
  });
});
