import { it } from 'vitest';
import { describePostgres, describePostgresServer } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

describePostgresServer('a publication of all tables that somebody else made', {}, (server) => {
  it('loses nothing of a table that is made and filled before the next look at the catalog', async () => {
    const pipeline = await TestPipeline.create({ url: server().url(), tables: ['public.*'], heartbeatMs: 60_000 });
    await pipeline.query('CREATE TABLE old (id int PRIMARY KEY); INSERT INTO old VALUES (1)');
    await pipeline.query(`CREATE PUBLICATION ${pipeline.slot} FOR ALL TABLES WITH (publish_via_partition_root = true)`);
    await pipeline.start();
    await pipeline.settled('public.old');
    await pipeline.query('CREATE TABLE fresh (id int PRIMARY KEY, v text)');
    await pipeline.query(`INSERT INTO fresh VALUES (1, 'a'), (2, 'b')`);
    await pipeline.query(`UPDATE fresh SET v = 'c' WHERE id = 1; INSERT INTO fresh VALUES (3, 'd')`);
    await pipeline.settled('public.old', 'public.fresh');
  });
});

describePostgres('a publication that loses a table', (database) => {
  it('gets it back at a heartbeat, and the table is read again', async () => {
    await database.query('CREATE TABLE lost (id int PRIMARY KEY, v text); INSERT INTO lost VALUES (1), (2)');
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.lost'] });
    await pipeline.settled('public.lost');
    await database.query(
      `ALTER PUBLICATION ${pipeline.slot} DROP TABLE lost; DELETE FROM lost WHERE id = 1; INSERT INTO lost VALUES (3)`,
    );
    await pipeline.until(
      'the table to be read again',
      () => pipeline.reports.filter(({ type }) => type === 'snapshot.done').length > 1,
    );
    await pipeline.settled('public.lost');
  });

  it('has it read again when that happened while tidemark was down, or the table was not captured for a while', async () => {
    await database.query(
      'CREATE TABLE away (id int PRIMARY KEY); CREATE TABLE stays (id int PRIMARY KEY); INSERT INTO away VALUES (1), (2)',
    );
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.away', 'public.stays'] });
    await pipeline.settled('public.away');
    await pipeline.stop();
    pipeline.options = { ...pipeline.options, tables: ['public.stays'] };
    await pipeline.start();
    await pipeline.caughtUp();
    await pipeline.stop();
    await database.query('DELETE FROM away WHERE id = 1; INSERT INTO away VALUES (3)');
    pipeline.options = { ...pipeline.options, tables: ['public.away', 'public.stays'] };
    await pipeline.start();
    await pipeline.settled('public.away');
    await pipeline.stop();
    await database.query(
      `ALTER PUBLICATION ${pipeline.slot} DROP TABLE away; DELETE FROM away; INSERT INTO away VALUES (4)`,
    );
    await pipeline.start();
    await pipeline.settled('public.away');
  });
});

describePostgres('a backlog with a column that is gone', (database) => {
  it('is read, large values and all', async () => {
    await database.query('CREATE TABLE narrowed (id int PRIMARY KEY, a text, b text, c text)');
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.narrowed'] });
    await pipeline.settled('public.narrowed');
    await pipeline.stop();
    await database.query(
      `INSERT INTO narrowed (id, c) SELECT 1000, string_agg(md5(g::text), '') FROM generate_series(1, 400) g; ALTER TABLE narrowed DROP c`,
    );
    await pipeline.start();
    await pipeline.settled('public.narrowed');
  });
});
