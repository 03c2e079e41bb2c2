import { createHash } from 'node:crypto';
import type { ChangeCursor } from '../model/change.ts';

/** A hash that tells the record's row from others of its table, by the bytes of its key or, where there is none, by all it holds. */
export function rowName(record: ChangeCursor): string {
  return rowNameOf(rowIdentity(record));
}

/** The bytes that tell the record's row from others of its table; a view of the record. */
export function rowIdentity(record: ChangeCursor): Buffer {
  const { bytes, keyStart, keyEnd, hasAfter } = record;
  const start = keyEnd > keyStart ? keyStart : hasAfter ? record.afterStart : record.beforeStart;
  const end = keyEnd > keyStart ? keyEnd : hasAfter ? record.afterEnd : record.beforeEnd;
  return bytes.subarray(start, end);
}

export function rowNameOf(identity: Buffer): string {
  return createHash('sha256').update(identity).digest('hex').slice(0, 20);
}
