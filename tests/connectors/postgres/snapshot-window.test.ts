import { it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

describePostgres('a snapshot', (database) => {
  it('holds every row, and goes on with what changes', async () => {
    await database.query(
      `CREATE TABLE plain (id int PRIMARY KEY, v text); INSERT INTO plain SELECT i, 'row ' || i FROM generate_series(1, 5000) i`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.plain'],
      snapshot: { chunkRows: 300 },
    });
    await database.query(
      `UPDATE plain SET v = v || '!' WHERE id % 7 = 0; DELETE FROM plain WHERE id % 11 = 0; UPDATE plain SET id = id + 10000 WHERE id % 13 = 0`,
    );
    await pipeline.settled('public.plain');
    await pipeline.restart();
    await database.query(`INSERT INTO plain VALUES (-1, NULL), (0, '')`);
    await pipeline.settled('public.plain');
  });
});
