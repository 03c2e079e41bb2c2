import { present } from '../base/assert.ts';
import { flagBefore, flagKeyOnly, opDelete } from './change.ts';
import type { ChangeCursor, ChangeWriter } from './change.ts';
import type { FieldPositions } from './row.ts';
import { fieldPositions, packedSize, readFields, writeLength, writeNull } from './row.ts';
import type { Table } from './table.ts';

const fields: FieldPositions = fieldPositions(1664);

/** Appends the delete of the key whose newest row is the cursor's current record, which must have a row after. */
export function writeDeleteOf(cursor: ChangeCursor, table: Table, schemaId: number, into: ChangeWriter): void {
  const { bytes } = cursor;
  readFields(bytes, cursor.afterStart, table.columns.length, fields);
  into.begin(opDelete, flagBefore | flagKeyOnly, schemaId);
  into.reserve(cursor.keyEnd - cursor.keyStart + table.columns.length + cursor.afterEnd - cursor.afterStart);
  into.at += bytes.copy(into.buffer, into.at, cursor.keyStart, cursor.keyEnd);
  into.endKey();
  for (let column = 0; column < table.columns.length; column++) {
    const end = present(fields.end[column], 'a column');
    if (end < 0 || !table.key.includes(column)) {
      into.at = writeNull(into.buffer, into.at);
      continue;
    }
    const start = present(fields.start[column], 'a column');
    into.reserve(packedSize(end - start));
    into.at = writeLength(into.buffer, into.at, end - start);
    into.at += bytes.copy(into.buffer, into.at, start, end);
  }
  into.endBefore();
  into.end();
}
