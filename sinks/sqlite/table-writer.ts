import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { assert } from '../../base/assert.ts';
import { ChangeCursor } from '../../model/change.ts';
import type { Table } from '../../model/table.ts';
import type { ChangeSet } from '../change-set.ts';
import { quote, seqColumn } from './layout.ts';
import type { Layout } from './layout.ts';
import { RowBinder } from './row-binder.ts';
import type { Bound } from './row-binder.ts';

/** Rows of one statement. Calls into SQLite are what binding costs; from 32 rows on, more of them gain nothing (benchmarks/sinks-sqlite.ts). */
const rowsPerStatement = 32;
/** SQLITE_MAX_VARIABLE_NUMBER */
const parametersMax = 32_766;

/** Applies changes to one table: upserts and deletes by key, or plain inserts where there is none. */
export class TableWriter {
  readonly #db: DatabaseSync;
  readonly #layout: Layout;
  readonly #tableOf: (schemaId: number) => Table | undefined;
  readonly #binders = new Map<number, RowBinder>();
  readonly #record = new ChangeCursor();
  /** Positions in the layout of the columns that a delete is found by: the key's, or all. */
  readonly #deleteBy: number[];
  readonly #width: number;
  readonly #many: StatementSync;
  readonly #one: StatementSync;
  readonly #delete: StatementSync;
  readonly #values: Bound[];
  readonly #single: Bound[];
  readonly #keyValues: Bound[];

  constructor(db: DatabaseSync, layout: Layout, tableOf: (schemaId: number) => Table | undefined) {
    const { columns, key } = layout;
    this.#db = db;
    this.#layout = layout;
    this.#tableOf = tableOf;
    this.#width = columns.length + 1;
    const rows = Math.max(1, Math.min(rowsPerStatement, Math.floor(parametersMax / this.#width)));
    this.#deleteBy =
      key.length > 0
        ? key.map((name) => columns.findIndex((column) => column.name === name))
        : columns.map((_, index) => index);
    this.#many = db.prepare(upsertSql(layout, rows));
    this.#one = db.prepare(upsertSql(layout, 1));
    this.#delete = db.prepare(deleteSql(layout));
    this.#values = Array.from({ length: rows * this.#width }, () => null);
    this.#single = Array.from({ length: this.#width }, () => null);
    this.#keyValues = Array.from({ length: this.#deleteBy.length }, () => null);
  }

  /** Writes the changes [from, to). */
  apply(changes: ChangeSet, from: number, to: number): void {
    // Without a key a row that is written twice is there twice, so a range that fails is taken back.
    const keyless = this.#layout.key.length === 0;
    if (!keyless) return this.#apply(changes, from, to, true);
    this.#db.exec('SAVEPOINT range');
    try {
      this.#apply(changes, from, to, false);
    } catch (error) {
      // After some errors (a full disk) SQLite has taken back the whole transaction already.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK TO range; RELEASE range');
      throw error;
    }
    this.#db.exec('RELEASE range');
  }

  #apply(changes: ChangeSet, from: number, to: number, keyed: boolean): void {
    const record = this.#record;
    const values = this.#values;
    let filled = 0;
    for (let index = from; index < to; index++) {
      changes.locate(index, record);
      if (record.hasBefore && (!keyed || !record.hasAfter)) {
        // Rows waiting in `values` may be the very ones to delete.
        if (!keyed) filled = this.#flush(filled);
        this.#remove(record);
      }
      if (!record.hasAfter) continue;
      filled = this.#bind(record, changes.seqAt(index), values, filled);
      if (filled === values.length) {
        this.#many.run(...values);
        filled = 0;
      }
    }
    this.#flush(filled);
  }

  #bind(record: ChangeCursor, seq: number, into: Bound[], at: number): number {
    const binder = this.#binder(record.schemaId);
    const { bytes, afterStart } = record;
    binder.locate(bytes, afterStart);
    const last = at + this.#width - 1;
    for (let column = 0; at < last; column++, at++) into[at] = binder.value(bytes, column);
    into[at] = seq;
    return at + 1;
  }

  /** Writes the rows that do not fill a whole statement. */
  #flush(filled: number): number {
    const single = this.#single;
    for (let at = 0; at < filled; at += this.#width) {
      for (let column = 0; column < this.#width; column++) single[column] = this.#values[at + column] ?? null;
      this.#one.run(...single);
    }
    return 0;
  }

  #remove(record: ChangeCursor): void {
    const binder = this.#binder(record.schemaId);
    const { bytes, beforeStart } = record;
    binder.locate(bytes, beforeStart);
    for (let part = 0; part < this.#deleteBy.length; part++) {
      this.#keyValues[part] = binder.value(bytes, this.#deleteBy[part] as number);
    }
    this.#delete.run(...this.#keyValues);
  }

  #binder(schemaId: number): RowBinder {
    let binder = this.#binders.get(schemaId);
    if (binder === undefined) {
      const table = this.#tableOf(schemaId);
      assert(table !== undefined, `the log has no table with id ${schemaId}`);
      binder = new RowBinder(table, this.#layout.columns);
      this.#binders.set(schemaId, binder);
    }
    return binder;
  }
}

function upsertSql({ table, columns, key }: Layout, rows: number): string {
  const names = [...columns.map(({ name }) => name), seqColumn];
  const row = `(${names.map(() => '?').join(', ')})`;
  const insert = `INSERT INTO ${quote(table)} (${names.map(quote).join(', ')}) VALUES ${Array.from({ length: rows }, () => row).join(', ')}`;
  if (key.length === 0) return insert;
  const set = names.filter((name) => !key.includes(name)).map((name) => `${quote(name)} = excluded.${quote(name)}`);
  return `${insert} ON CONFLICT (${key.map(quote).join(', ')}) DO UPDATE SET ${set.join(', ')}`;
}

function deleteSql(layout: Layout): string {
  const { table, columns, key } = layout;
  if (key.length > 0)
    return `DELETE FROM ${quote(table)} WHERE ${key.map((name) => `${quote(name)} = ?`).join(' AND ')}`;
  const match = columns.map(({ name }) => `${quote(name)} IS ?`).join(' AND ');
  return `DELETE FROM ${quote(table)} WHERE rowid = (SELECT rowid FROM ${quote(table)} WHERE ${match} LIMIT 1)`;
}
