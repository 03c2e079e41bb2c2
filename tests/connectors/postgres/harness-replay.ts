import { expect } from 'vitest';
import { present } from '../../../base/assert.ts';
import { ChangeCursor, opCreate, opDelete, opRead, opUpdate } from '../../../model/change.ts';
import type { Op } from '../../../model/change.ts';
import type { Log } from '../../../model/log.ts';
import { fieldNull, fieldPositions, fieldUnchanged, readFields } from '../../../model/row.ts';
import type { Table } from '../../../model/table.ts';

/** Values as the source's text, by column id. */
export type TextRow = ReadonlyMap<number, string | null>;

export interface LoggedEvent {
  readonly seq: number;
  readonly position: string;
  readonly snapshot: boolean;
  readonly txId: string;
  readonly op: 'c' | 'u' | 'd' | 'r';
  readonly table: Table;
  /** The key's bytes, as latin1. */
  readonly key: string;
  readonly before: TextRow | null;
  readonly after: TextRow | null;
}

const names: Record<Op, LoggedEvent['op']> = { [opCreate]: 'c', [opUpdate]: 'u', [opDelete]: 'd', [opRead]: 'r' };

/** A topic's changes, oldest first. Fails when numbers have gaps, or when a placeholder was published. */
export async function eventsOf(log: Log, stream: string, topic: string): Promise<LoggedEvent[]> {
  const found: LoggedEvent[] = [];
  const reader = log.read(stream, { fromSeq: 0, follow: false });
  const cursor = new ChangeCursor();
  let seq = 0;
  for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
    for (const piece of batch.pieces) {
      if (piece.first && piece.kind === 'transaction') expect(piece.seq).toBe(seq + 1);
      seq = piece.seq;
      cursor.reset(piece.changes.bytes);
      while (cursor.next()) {
        const table = present(log.table(cursor.schemaId), 'the table of a change');
        if (table.topic !== topic) continue;
        found.push({
          seq,
          position: piece.position,
          snapshot: piece.snapshot,
          txId: piece.txId,
          op: names[cursor.op],
          table,
          key: cursor.bytes.toString('latin1', cursor.keyStart, cursor.keyEnd),
          before: cursor.hasBefore ? rowAt(cursor.bytes, cursor.beforeStart, table) : null,
          after: cursor.hasAfter ? rowAt(cursor.bytes, cursor.afterStart, table) : null,
        });
      }
    }
  }
  await reader.close();
  return found;
}

/** The newest row of every key. */
export function foldOf(events: readonly LoggedEvent[]): Map<string, TextRow> {
  const rows = new Map<string, TextRow>();
  for (const { key, op, after } of events) {
    if (op === 'd') rows.delete(key);
    else rows.set(key, present(after, 'the row of a change that is no delete'));
  }
  return rows;
}

function rowAt(buffer: Buffer, offset: number, table: Table): TextRow {
  const fields = fieldPositions(table.columns.length);
  readFields(buffer, offset, table.columns.length, fields);
  return new Map(
    table.columns.map(({ id }, column) => {
      const end = present(fields.end[column], 'a column');
      if (end === fieldUnchanged)
        throw new Error(`a placeholder for an unchanged value was published in ${table.topic}`);
      return [id, end === fieldNull ? null : buffer.toString('utf8', fields.start[column], end)];
    }),
  );
}
