import { expect, it } from 'vitest';
import { rowJsonEncoder } from '../../../model/json.ts';
import { ChangeCursor, opDelete } from '../../../model/change.ts';
import { literal } from '../../../connectors/postgres/session.ts';
import { describePostgres } from '../../servers/suite.ts';
import { TestPipeline, sourceName } from './harness.ts';
import { newerCases, typeCases, typesSetup } from './types-cases.ts';

/** The topic's newest rows, as the JSON of their columns. */
async function jsonOf(pipeline: TestPipeline): Promise<string[]> {
  const rows = new Map<string, string>();
  const reader = pipeline.log.read(sourceName, { fromSeq: 0, follow: false });
  const cursor = new ChangeCursor();
  for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
    for (const piece of batch.pieces) {
      cursor.reset(piece.changes.bytes);
      while (cursor.next()) {
        const key = cursor.key().toString('hex');
        const table = pipeline.log.table(cursor.schemaId);
        if (cursor.op === opDelete || table === undefined) rows.delete(key);
        else rows.set(key, rowJsonEncoder(table).stringify(cursor.bytes, cursor.afterStart));
      }
    }
  }
  await reader.close();
  return [...rows.values()].toSorted();
}

describePostgres('every type, with its extremes', (database) => {
  it('arrives exactly, from the snapshot and from the stream', async () => {
    await database.query(typesSetup);
    const cases = [...typeCases, ...newerCases.filter(({ since }) => database.major >= since)];
    const columns = cases.map(({ type }, index) => `c${index} ${type}`).join(', ');
    await database.query(`CREATE TABLE every_type (id int PRIMARY KEY, streamed bool, ${columns})`);
    const rounds = Math.max(...cases.map(({ values }) => values.length));
    const insert = async (streamed: boolean): Promise<void> => {
      for (let round = 0; round < rounds; round++) {
        const values = cases.map(({ values: given }) => {
          const value = given[round];
          return value === undefined ? 'NULL' : literal(value);
        });
        await database.query(
          `INSERT INTO every_type VALUES (${streamed ? round : -1 - round}, ${String(streamed)}, ${values.join(', ')})`,
        );
      }
    };
    await insert(false);
    const pipeline = await TestPipeline.started({ url: database.url, tables: ['public.every_type'] });
    await pipeline.caughtUp();
    await insert(true);
    await database.query(`UPDATE every_type SET streamed = NOT streamed WHERE id % 2 = 0`);
    await pipeline.caughtUp();
    const held = await jsonOf(pipeline);
    const rows = await pipeline.query(`SELECT to_json(every_type)::text AS json FROM every_type`);
    expect(held).toEqual(rows.map(({ json }) => json ?? '').toSorted());
  });
});
