import { it } from 'vitest';
import { connectTo, describePostgres } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

describePostgres('making the slot', (database) => {
  it('waits for the transactions that run, and says whose', async () => {
    await database.query('CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain VALUES (1)');
    const open = await connectTo(database.url);
    await open.query(`SET application_name = 'nightly report'; BEGIN; SELECT pg_current_xact_id()`);
    const pipeline = await TestPipeline.create({ url: database.url, tables: ['public.plain'] });
    await pipeline.launch();
    await pipeline.until('status to name the session', () =>
      pipeline.source.status().snapshot.waitingFor?.includes('nightly report'),
    );
    await open.query('COMMIT');
    await open.end();
    await pipeline.settled('public.plain');
  });
});
