import type { DatabaseSync } from 'node:sqlite';
import {
  copyName,
  createSearchSql,
  createTableSql,
  createTriggersSql,
  quote,
  rowidOf,
  searchName,
  seqColumn,
  triggerKinds,
  triggerName,
} from './layout.ts';
import type { Layout } from './layout.ts';

/** Statements that make, change and swap a sink's tables. All run inside the write that needs them. */

/** Creates the table, empty, with its full-text index. `finalName` is the table's name once readers see it. */
export function createTable(db: DatabaseSync, layout: Layout, finalName: string): void {
  db.exec(createTableSql(layout));
  createSearch(db, layout, finalName);
}

/** Without a full-text index of ours, a table that has the name of one is somebody else's. */
export function dropTable(db: DatabaseSync, { table, search }: Pick<Layout, 'table' | 'search'>): void {
  if (search.length > 0) db.exec(`DROP TABLE IF EXISTS ${quote(searchName(table))}`);
  db.exec(`DROP TABLE IF EXISTS ${quote(table)}`);
}

/** Gives the copy the name that readers know, and returns its layout under that name. */
export function renameCopy(db: DatabaseSync, copy: Layout, name: string): Layout {
  const layout = { ...copy, table: name };
  dropTriggers(db, copy.table);
  db.exec(`ALTER TABLE ${quote(copy.table)} RENAME TO ${quote(name)}`);
  if (copy.search.length > 0) {
    db.exec(`ALTER TABLE ${quote(searchName(copy.table))} RENAME TO ${quote(searchName(name))}`);
    createTriggers(db, layout);
  }
  return layout;
}

/**
 * Fits the table to another shape and keeps its rows: columns are renamed, dropped and added in place. Where a column's affinity or the
 * key changes, SQLite cannot alter the table, and its rows are copied into a new one. The source reads again what it cannot tell by
 * events (docs/sinks.md).
 */
export function alterTable(db: DatabaseSync, from: Layout, to: Layout, finalName: string): void {
  const kept = to.columns.filter(({ id }) => from.columns.some((column) => column.id === id));
  if (sameColumns(from, to)) return;
  if (from.search.length > 0) db.exec(`DROP TABLE IF EXISTS ${quote(searchName(from.table))}`);
  dropTriggers(db, from.table);
  const sameKey =
    from.key.length === to.key.length &&
    from.key.every((name, part) => idOf(from, name) === idOf(to, to.key[part] ?? ''));
  const sameAffinities = kept.every(
    (column) => from.columns.find(({ id }) => id === column.id)?.affinity === column.affinity,
  );
  if (sameKey && sameAffinities) alterInPlace(db, from, to);
  else copyRows(db, from, to);
  createSearch(db, to, finalName);
  if (to.search.length > 0) {
    db.exec(copyIntoSearch(to));
  }
}

function idOf(layout: Layout, name: string): number | undefined {
  return layout.columns.find((column) => column.name === name)?.id;
}

function sameColumns(from: Layout, to: Layout): boolean {
  return JSON.stringify([from.columns, from.key]) === JSON.stringify([to.columns, to.key]);
}

function alterInPlace(db: DatabaseSync, from: Layout, to: Layout): void {
  const table = quote(from.table);
  const renamed = from.columns.flatMap((column, position) => {
    const next = to.columns.find(({ id }) => id === column.id);
    return next === undefined || next.name === column.name ? [] : [{ column, next, passing: `__tidemark_${position}` }];
  });
  for (const { id, name } of from.columns) {
    if (!to.columns.some((column) => column.id === id)) db.exec(`ALTER TABLE ${table} DROP COLUMN ${quote(name)}`);
  }
  // Names may have been exchanged, so each takes a passing name first.
  for (const { column, passing } of renamed)
    db.exec(`ALTER TABLE ${table} RENAME COLUMN ${quote(column.name)} TO ${passing}`);
  for (const { next, passing } of renamed)
    db.exec(`ALTER TABLE ${table} RENAME COLUMN ${passing} TO ${quote(next.name)}`);
  for (const { id, name, affinity } of to.columns) {
    if (!from.columns.some((column) => column.id === id)) {
      db.exec(`ALTER TABLE ${table} ADD COLUMN ${quote(name)} ${affinity}`);
    }
  }
}

function copyRows(db: DatabaseSync, from: Layout, to: Layout): void {
  const passing = { ...to, table: copyName(from.table) };
  db.exec(createTableSql(passing));
  const pairs = to.columns.flatMap((column) => {
    const old = from.columns.find(({ id }) => id === column.id);
    return old === undefined ? [] : [{ column, old }];
  });
  const into = [...pairs.map(({ column }) => column.name), seqColumn].map(quote).join(', ');
  const values = [
    ...pairs.map(({ old, column }) => `CAST(${quote(old.name)} AS ${column.affinity})`),
    quote(seqColumn),
  ];
  db.exec(
    `INSERT OR REPLACE INTO ${quote(passing.table)} (${into}) SELECT ${values.join(', ')} FROM ${quote(from.table)}`,
  );
  db.exec(`DROP TABLE ${quote(from.table)}`);
  db.exec(`ALTER TABLE ${quote(passing.table)} RENAME TO ${quote(to.table)}`);
}

function createSearch(db: DatabaseSync, layout: Layout, finalName: string): void {
  if (layout.search.length === 0) return;
  db.exec(createSearchSql(layout, searchName(layout.table), finalName));
  createTriggers(db, layout);
}

/** Indexes the rows that are there already. Not FTS5's own 'rebuild', which reads the final table, that may be another one yet. */
function copyIntoSearch(layout: Layout): string {
  const columns = layout.search.map(quote).join(', ');
  const rowid = rowidOf(layout);
  return `INSERT INTO ${quote(searchName(layout.table))}(rowid, ${columns}) SELECT ${rowid}, ${columns} FROM ${quote(layout.table)}`;
}

function createTriggers(db: DatabaseSync, layout: Layout): void {
  for (const sql of createTriggersSql(layout, searchName(layout.table))) db.exec(sql);
}

function dropTriggers(db: DatabaseSync, table: string): void {
  for (const kind of triggerKinds) db.exec(`DROP TRIGGER IF EXISTS ${quote(triggerName(table, kind))}`);
}
