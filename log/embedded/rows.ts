import { pieceBytesMax } from '../../base/constants.ts';
import { ChangeCursor, ChangeWriter, flagAfter, opDelete, opRead } from '../../model/change.ts';
import type { ChangeBatch } from '../../model/change.ts';
import type { LogReader } from '../../model/log.ts';

/** The newest rows of what a reader gives, in memory. */
export async function* newestRows(
  reader: LogReader,
  upToSeq: number,
  newestBefore: number,
): AsyncGenerator<ChangeBatch> {
  const rows = new Map<string, { seq: number; schemaId: number; key: Buffer; after: Buffer }>();
  const cursor = new ChangeCursor();
  for (let batch = await reader.next(); batch; batch = await reader.next()) {
    for (const { seq, changes } of batch.pieces) {
      if (seq > upToSeq) break;
      cursor.reset(changes.bytes);
      while (cursor.next()) {
        const key = Buffer.from(cursor.key());
        const id = key.toString('latin1');
        if (cursor.op === opDelete) rows.delete(id);
        else {
          const after = Buffer.from(cursor.bytes.subarray(cursor.afterStart, cursor.afterEnd));
          rows.set(id, { seq, schemaId: cursor.schemaId, key, after });
        }
      }
    }
  }
  const writer = new ChangeWriter();
  for (const { seq, schemaId, key, after } of rows.values()) {
    if (seq >= newestBefore) continue;
    if (writer.size > 0 && writer.size + after.length > pieceBytesMax) {
      yield { bytes: Buffer.from(writer.batch().bytes), count: writer.count };
      writer.reset();
    }
    writer.begin(opRead, flagAfter, schemaId);
    writer.reserve(key.length + after.length);
    writer.at += key.copy(writer.buffer, writer.at);
    writer.endKey();
    writer.at += after.copy(writer.buffer, writer.at);
    writer.end();
  }
  if (writer.count > 0) yield writer.batch();
}
