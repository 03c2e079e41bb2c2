import { ChangeCursor, ChangeWriter, opDelete } from '../model/change.ts';
import { withQuotedNumbers } from '../model/exact-json.ts';
import { keyEncodingOf, keySizeMax, writeKeyPart } from '../model/key.ts';
import { packRow } from '../model/row.ts';
import type { Table } from '../model/table.ts';
import { rowName } from './row-name.ts';

/**
 * The delete of a row that is gone, made from its key as JSON, as a record of the log would be; null where the JSON does not lead back to
 * the key's bytes (timestamps, for one, are written otherwise in JSON), which the row's name tells.
 */
export function deleteRecord(key: string, row: string, table: Table, schemaId: number): ChangeCursor | null {
  const texts = textsOf(key);
  const columns = table.key.map((index) => table.columns[index]);
  const parts: Buffer[] = [];
  for (const column of columns) {
    const text = texts?.get(column?.name ?? '');
    if (column === undefined || text === undefined) return null;
    const bytes = Buffer.from(text);
    const into = Buffer.alloc(keySizeMax(bytes.length));
    parts.push(into.subarray(0, writeKeyPart(keyEncodingOf(column.type), bytes, 0, bytes.length, into, 0)));
  }
  const before = packRow(
    table.columns.map((column) => (columns.includes(column) ? (texts?.get(column.name) ?? null) : null)),
  );
  const writer = new ChangeWriter(1024);
  writer.add({ op: opDelete, schemaId, key: Buffer.concat(parts), before });
  const record = new ChangeCursor().reset(writer.batch().bytes);
  return parts.length > 0 && record.next() && rowName(record) === row ? record : null;
}

/** The values of a key by their columns, as the source prints them; null when one has no such text. */
function textsOf(key: string): Map<string, string> | null {
  const texts = new Map<string, string>();
  for (const [name, value] of Object.entries(JSON.parse(withQuotedNumbers(key)) as Record<string, unknown>)) {
    if (typeof value === 'boolean') texts.set(name, value ? 't' : 'f');
    else if (typeof value === 'string') texts.set(name, value.startsWith('\0') ? value.slice(1) : value);
    else return null;
  }
  return texts;
}
