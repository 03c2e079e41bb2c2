import { it } from 'vitest';
import { connectTo, describePostgresServer } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

// On a shared server the oldest transaction may be another suite's.
describePostgresServer('making the slot', {}, (server) => {
  it('waits for the transactions that run, and says whose', async () => {
    const url = server().url();
    const open = await connectTo(url);
    await open.query('CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain VALUES (1)');
    await open.query(`SET application_name = 'nightly report'; BEGIN; SELECT pg_current_xact_id()`);
    const pipeline = await TestPipeline.create({ url, tables: ['public.plain'] });
    await pipeline.launch();
    await pipeline.until('status to name the session', () =>
      pipeline.source.status().snapshot.waitingFor?.includes('nightly report'),
    );
    await open.query('COMMIT');
    await open.end();
    await pipeline.settled('public.plain');
  });
});
