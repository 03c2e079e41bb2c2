import { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { assert } from '../../base/assert.ts';
import { isTidemarkError, messageOf } from '../../base/errors.ts';
import { ChangeCursor } from '../../model/change.ts';
import type { Table } from '../../model/table.ts';
import type { ChangeSet } from '../change-set.ts';
import type { SinkDocument } from '../port.ts';
import { quote } from './layout.ts';
import type { Layout } from './layout.ts';
import { RowBinder } from './row-binder.ts';
import type { Bound } from './row-binder.ts';

/** Rows given at a time: few, so that they are garbage before they have become old. */
const scanRows = 200;
/** Batches without a pause: a few milliseconds, in which the process does nothing else. */
const batchesPerTurn = 5;
const busyTimeoutMs = 2_000;

/** What SQLite gives back: what was bound, or what somebody else has put there. */
type Held = Bound | Uint8Array;

/**
 * The rows of a table as a reader sees them at one moment, over a connection of its own, so that neither writers nor this wait for each
 * other. `_seq` is left out: it says when a row was written, not what it holds.
 */
export async function* scanTable(path: string, layout: Layout): AsyncGenerator<readonly SinkDocument[]> {
  const { table, columns } = layout;
  if (columns.length === 0) return;
  const db = new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs });
  try {
    const names = columns.map(({ name }) => quote(name)).join(', ');
    const select = db.prepare(`SELECT ${names} FROM ${quote(table)}`);
    select.setReadBigInts(true);
    select.setReturnArrays(true);
    const writer = new DocumentWriter(layout);
    let batch: SinkDocument[] = [];
    let batches = 0;
    for (const row of select.iterate()) {
      assert(Array.isArray(row), 'a row comes as its values');
      batch.push(writer.document(row));
      if (batch.length < scanRows) continue;
      yield batch;
      batch = [];
      if (++batches % batchesPerTurn === 0) await nextTurn();
    }
    yield batch;
  } finally {
    db.close();
  }
}

/** What `scanTable` gives for rows of the log. */
export class Expectation {
  readonly layout: Layout;
  readonly #tableOf: (schemaId: number) => Table | undefined;
  readonly #binders = new Map<number, RowBinder>();
  readonly #writer: DocumentWriter;
  readonly #record = new ChangeCursor();
  readonly #row: Held[];

  constructor(layout: Layout, tableOf: (schemaId: number) => Table | undefined) {
    this.layout = layout;
    this.#tableOf = tableOf;
    this.#writer = new DocumentWriter(layout);
    this.#row = layout.columns.map(() => null);
  }

  documents(changes: ChangeSet, from: number, to: number): SinkDocument[] {
    const record = this.#record;
    const documents: SinkDocument[] = [];
    for (let index = from; index < to; index++) {
      changes.locate(index, record);
      const { bytes, afterStart, schemaId } = record;
      const binder = this.#binder(schemaId);
      binder.locate(bytes, afterStart);
      for (let column = 0; column < this.#row.length; column++) this.#row[column] = valueOf(binder, bytes, column);
      documents.push(this.#writer.document(this.#row));
    }
    return documents;
  }

  #binder(schemaId: number): RowBinder {
    let binder = this.#binders.get(schemaId);
    if (binder === undefined) {
      const table = this.#tableOf(schemaId);
      assert(table !== undefined, `the log has no table with id ${schemaId}`);
      binder = new RowBinder(table, this.layout.columns);
      this.#binders.set(schemaId, binder);
    }
    return binder;
  }
}

/** A value that SQLite cannot have is in dead letters, and nothing that the table holds is equal to it. */
function valueOf(binder: RowBinder, bytes: Buffer, column: number): Held {
  try {
    return binder.value(bytes, column);
  } catch (error) {
    if (!isTidemarkError(error, 'ROW_REJECTED')) throw error;
    return Buffer.from(messageOf(error));
  }
}

/** Deletes the rows of these keys, as `scanTable` gave them: all of its columns where the table has no key. */
export function deleteKeys(db: DatabaseSync, layout: Layout, keys: readonly string[]): void {
  const { table, columns, key } = layout;
  const names = key.length > 0 ? key : columns.map(({ name }) => name);
  const match = names.map((name) => `${quote(name)} IS ?`).join(' AND ');
  const which = key.length > 0 ? match : `rowid = (SELECT rowid FROM ${quote(table)} WHERE ${match} LIMIT 1)`;
  const statement = db.prepare(`DELETE FROM ${quote(table)} WHERE ${which}`);
  for (const text of keys) statement.run(...valuesOfKey(text, names));
}

/** Numbers keep all their digits: JSON.parse would round them. */
function valuesOfKey(text: string, names: readonly string[]): (string | number | bigint | Uint8Array | null)[] {
  const object = JSON.parse(text, (_name, value: unknown, context?: { source?: string }) => {
    const isInteger = typeof value === 'number' && /^-?\d+$/.test(context?.source ?? '');
    return isInteger ? BigInt(context?.source ?? '0') : value;
  }) as Record<string, unknown>;
  return names.map((name) => {
    const value = object[name];
    if (typeof value === 'string' || typeof value === 'bigint' || typeof value === 'number') return value;
    if (typeof value !== 'object' || value === null) return null;
    if ('blob' in value) return Buffer.from(String(value.blob), 'hex');
    return 'number' in value ? Number(value.number) : null;
  });
}

/** Key and text of a row. Keys are JSON objects, so that people can read them and `deleteKeys` finds the row again. */
class DocumentWriter {
  readonly #keys: readonly { readonly position: number; readonly prefix: string }[];

  constructor({ columns, key }: Layout) {
    const positions =
      key.length > 0
        ? key.map((name) => columns.findIndex((column) => column.name === name))
        : columns.map((_, position) => position);
    this.#keys = positions.map((position, part) => ({
      position,
      prefix: `${part === 0 ? '{' : ','}${JSON.stringify(columns[position]?.name ?? '')}:`,
    }));
  }

  document(row: readonly Held[]): SinkDocument {
    let key = '';
    for (const { position, prefix } of this.#keys) key += prefix + jsonOf(row[position] ?? null);
    let text = '';
    for (const value of row) text += textOf(value);
    return { key: `${key}}`, text };
  }
}

function jsonOf(value: Held): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === null) return 'null';
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return Number.isFinite(value) ? String(zeroed(value)) : `{"number":"${value}"}`;
  return `{"blob":"${Buffer.from(value).toString('hex')}"}`;
}

/** A length before each text, so that no two rows are written alike. */
function textOf(value: Held): string {
  if (typeof value === 'string') return `${value.length}:${value}`;
  if (value === null) return '~';
  if (typeof value === 'bigint') return `${value.toString()};`;
  if (typeof value === 'number') return `${zeroed(value)};`;
  return `x${Buffer.from(value).toString('hex')};`;
}

/** SQLite knows no negative zero. */
function zeroed(value: number): number {
  return value === 0 ? 0 : value;
}
