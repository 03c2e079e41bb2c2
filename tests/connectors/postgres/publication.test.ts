import { it } from 'vitest';
import { describePostgresServer } from '../../servers/suite.ts';
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
