import { DatabaseSync } from 'node:sqlite';
import type { SinkRow, SinkValue } from '../port.ts';
import { quote, seqColumn } from './layout.ts';
import type { Layout } from './layout.ts';

/** Reads through a connection of their own, so that they see what other readers see: the newest commit, whole. */

export function readRows(path: string, layout: Layout, keys: readonly SinkValue[][]): SinkRow[] {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const where = layout.key.map((name) => `${quote(name)} = ?`).join(' AND ');
    const statement = db.prepare(`SELECT * FROM ${quote(layout.table)} WHERE ${where}`);
    statement.setReadBigInts(true);
    db.exec('BEGIN');
    return keys.flatMap((key) => {
      const row = statement.get(...key);
      return row === undefined ? [] : [sinkRow(layout, row)];
    });
  } finally {
    db.close();
  }
}

export function* scanRows(path: string, layout: Layout): Generator<SinkRow> {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const order = layout.key.length === 0 ? '' : ` ORDER BY ${layout.key.map(quote).join(', ')}`;
    const statement = db.prepare(`SELECT * FROM ${quote(layout.table)}${order}`);
    statement.setReadBigInts(true);
    for (const row of statement.iterate()) yield sinkRow(layout, row);
  } finally {
    db.close();
  }
}

function sinkRow(layout: Layout, row: Record<string, unknown>): SinkRow {
  const values: Record<string, SinkValue> = {};
  for (const { name } of layout.columns) values[name] = plain(row[name]);
  return { values, seq: Number(row[seqColumn]) };
}

/** Integers as numbers where these are exact. */
function plain(value: unknown): SinkValue {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  return typeof value === 'string' || typeof value === 'number' ? value : null;
}
