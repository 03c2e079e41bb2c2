import { ChangeCursor } from '../../../model/change.ts';
import { present } from '../../../base/assert.ts';
import { rowJsonEncoder } from '../../../model/json.ts';
import type { TestPipeline } from './harness.ts';
import { sourceName } from './harness.ts';

/** The newest row of a topic whose JSON has this `id`, parsed. */
export async function jsonRow(pipeline: TestPipeline, topic: string, id: string): Promise<unknown> {
  const { log } = pipeline;
  const reader = log.read(sourceName, { fromSeq: 0, follow: false });
  const cursor = new ChangeCursor();
  let found: unknown = null;
  for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
    for (const { changes } of batch.pieces) {
      cursor.reset(changes.bytes);
      while (cursor.next()) {
        const table = present(log.table(cursor.schemaId), 'the table of a change');
        if (table.topic !== `${sourceName}.${topic}` || !cursor.hasAfter) continue;
        const row: unknown = JSON.parse(
          rowJsonEncoder(table, { poison: 'text' }).stringify(cursor.bytes, cursor.afterStart),
        );
        if (typeof row === 'object' && row !== null && 'id' in row && String(row.id) === id) found = row;
      }
    }
  }
  await reader.close();
  return found;
}
