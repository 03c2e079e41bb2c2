import { expect, it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

async function ids(pipeline: TestPipeline, table: string): Promise<number[]> {
  const rows = await pipeline.replay(`public.${table}`);
  return [...rows.values()].map((row) => Number(row.get(1))).toSorted((a, b) => a - b);
}

function picked(where: string | null): { name: string; where: string | null }[] {
  return [{ name: 'public.picked', where }];
}

describePostgres('rows for which a condition holds', (database) => {
  it('are read again when the condition is another, and not when it is only written otherwise', async () => {
    await database.query(
      `CREATE TABLE picked (id int PRIMARY KEY, region text); ALTER TABLE picked REPLICA IDENTITY FULL;
       INSERT INTO picked SELECT i, CASE i % 3 WHEN 0 THEN 'eu' WHEN 1 THEN 'us' ELSE 'asia' END FROM generate_series(0, 11) i`,
    );
    const pipeline = await TestPipeline.started({ url: database.url, tables: picked(`region = 'eu'`) });
    await pipeline.caughtUp();
    expect(await ids(pipeline, 'picked')).toEqual([0, 3, 6, 9]);
    const restarted = async (where: string | null): Promise<number> => {
      await pipeline.stop();
      pipeline.reports.length = 0;
      pipeline.options = { ...pipeline.options, tables: picked(where) };
      await pipeline.start();
      await pipeline.caughtUp();
      return pipeline.reports.filter(({ type }) => type === 'snapshot.done').length;
    };
    expect(await restarted(` (region)='eu' `)).toBe(0);
    expect(await restarted(`region IN ('eu', 'us') AND id <> 4`)).toBe(1);
    expect(await ids(pipeline, 'picked')).toEqual([0, 1, 3, 6, 7, 9, 10]);
    await database.query(
      `INSERT INTO picked VALUES (20, 'us'), (21, 'asia'); UPDATE picked SET region = 'asia' WHERE id = 7`,
    );
    await pipeline.caughtUp();
    expect(await ids(pipeline, 'picked')).toEqual([0, 1, 3, 6, 9, 10, 20]);
    expect(await restarted(null)).toBe(1);
    await pipeline.settled('public.picked');
    await pipeline.stop();
    pipeline.options = { ...pipeline.options, tables: picked(`region < now()::text`) };
    await pipeline.launch();
    expect(await pipeline.failed()).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('immutable'),
    });
  });

  it("are refused when the condition would make the application's updates fail", async () => {
    await database.query(
      `CREATE TABLE guarded (id int PRIMARY KEY, region text); INSERT INTO guarded VALUES (1, 'eu')`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: [{ name: 'public.guarded', where: `region = 'eu'` }],
    });
    await pipeline.launch();
    expect(await pipeline.failed()).toMatchObject({
      code: 'TABLE_NO_KEY',
      hint: expect.stringContaining('REPLICA IDENTITY FULL'),
    });
    await database.query(`UPDATE guarded SET region = 'us'`);
  });
});
