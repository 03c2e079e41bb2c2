import type { DataType } from '../../model/data-type.ts';
import type { SinkShape } from '../port.ts';
import { unfit } from '../unfit.ts';

/** How SQLite keeps a column: docs/sinks.md lists what each type becomes. */
type Affinity = 'INTEGER' | 'REAL' | 'TEXT';

export interface LayoutColumn {
  readonly id: number;
  readonly name: string;
  readonly affinity: Affinity;
}

/** A table as it stands in the file: kept in `_tidemark_sinks`, so that a later version of the shape can be compared with it. */
export interface Layout {
  readonly table: string;
  readonly schemaId: number;
  readonly columns: readonly LayoutColumn[];
  /** Names of the key's columns, in the key's order. */
  readonly key: readonly string[];
  /** Names of the columns in the full-text index. */
  readonly search: readonly string[];
}

export const seqColumn = '_seq';

/** A sink that has been begun and whose rows have no shape yet: there is no table. */
export function emptyLayout(table: string, search: readonly string[]): Layout {
  return { table, schemaId: 0, columns: [], key: [], search };
}

function affinityOf(type: DataType): Affinity {
  if (type.kind !== 'scalar') return 'TEXT';
  switch (type.name) {
    case 'int2':
    case 'int4':
    case 'int8':
      return 'INTEGER';
    case 'float4':
    case 'float8':
      return 'REAL';
    default:
      return 'TEXT';
  }
}

/** The layout for a shape. SINK_TARGET when SQLite cannot have such a table. */
export function layoutOf(sink: string, table: string, shape: SinkShape, search: readonly string[]): Layout {
  const columns = shape.columns.map(({ id, name, type }) => ({ id, name, affinity: affinityOf(type) }));
  checkNames(sink, columns);
  checkSearch(sink, columns, search, table);
  const key = shape.key.map((position) => columns[position]?.name ?? '');
  return { table, schemaId: shape.schemaId, columns, key, search };
}

function checkNames(sink: string, columns: readonly LayoutColumn[]): void {
  const names = new Set<string>([seqColumn]);
  for (const { name } of columns) {
    const folded = name.toLowerCase();
    if (names.has(folded)) {
      throw unfit('SINK_TARGET', `Sink '${sink}' would have two columns named '${folded}' (SQLite ignores case)`, {
        hint: 'Give one of them another name with `columns: { new_name: old_name, … }`, then start again.',
        place: { sink },
      });
    }
    names.add(folded);
  }
}

/** FTS5 keeps `rank`, `rowid` and the index's own name for itself. */
function checkSearch(sink: string, columns: readonly LayoutColumn[], search: readonly string[], table: string): void {
  const missing = search.find((name) => !columns.some((column) => column.name === name));
  if (missing !== undefined) {
    throw unfit('SINK_TARGET', `Sink '${sink}' is to search column '${missing}', which it does not have`, {
      hint: `Correct \`search\` of the sink, then start again. It has ${columns.map(({ name }) => name).join(', ')}.`,
      place: { sink },
    });
  }
  const reservedNames = new Set(['rank', 'rowid', searchName(table).toLowerCase()]);
  const reserved = search.find((name) => reservedNames.has(name.toLowerCase()));
  if (reserved !== undefined) {
    throw unfit('SINK_TARGET', `Sink '${sink}' is to search column '${reserved}', a name that FTS5 keeps for itself`, {
      hint: 'Give the column another name with `columns: { new_name: old_name, … }`, then start again.',
      place: { sink },
    });
  }
}

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The copy of a table while it is being built. */
export function copyName(table: string): string {
  return `${table}__new`;
}

export function searchName(table: string): string {
  return `${table}_search`;
}

/** The table and its full-text index, if it has one. */
export function tablesOf(table: string, search: readonly string[]): string[] {
  return search.length > 0 ? [table, searchName(table)] : [table];
}

/** The one name for the row number that no column hides. */
export function rowidOf(layout: Layout): string {
  const names = new Set(layout.columns.map(({ name }) => name.toLowerCase()));
  return ['rowid', '_rowid_', 'oid'].find((name) => !names.has(name)) ?? 'rowid';
}

/** Whether the key is the row number itself: one integer column. */
function keyIsRowid({ columns, key }: Layout): boolean {
  return key.length === 1 && columns.find(({ name }) => name === key[0])?.affinity === 'INTEGER';
}

export function createTableSql(layout: Layout): string {
  const { table, columns, key } = layout;
  const inline = keyIsRowid(layout);
  const lines = columns.map(
    ({ name, affinity }) => `${quote(name)} ${affinity}${inline && name === key[0] ? ' PRIMARY KEY' : ''}`,
  );
  lines.push(`${quote(seqColumn)} INTEGER NOT NULL`);
  if (key.length > 0 && !inline) lines.push(`PRIMARY KEY (${key.map(quote).join(', ')})`);
  return `CREATE TABLE ${quote(table)} (\n  ${lines.join(',\n  ')}\n)`;
}

/**
 * The full-text index keeps no copy of the text: it reads the table, whose final name `content` tells from the beginning, so that
 * renaming the copy makes both fit. Triggers keep it in step, in the same transaction.
 */
export function createSearchSql(layout: Layout, index: string, content: string): string {
  const columns = layout.search.map(quote).join(', ');
  return `CREATE VIRTUAL TABLE ${quote(index)} USING fts5(${columns}, content=${literal(content)}, content_rowid=${literal(rowidOf(layout))})`;
}

export const triggerKinds = ['insert', 'update', 'delete'] as const;

export function triggerName(table: string, kind: (typeof triggerKinds)[number]): string {
  return `${table}_search_${kind}`;
}

export function createTriggersSql(layout: Layout, index: string): string[] {
  const { table, search } = layout;
  const rowid = rowidOf(layout);
  const columns = search.map(quote).join(', ');
  const values = (row: 'old' | 'new'): string => search.map((name) => `${row}.${quote(name)}`).join(', ');
  const add = `INSERT INTO ${quote(index)}(rowid, ${columns}) VALUES (new.${rowid}, ${values('new')});`;
  const remove = `INSERT INTO ${quote(index)}(${quote(index)}, rowid, ${columns}) VALUES ('delete', old.${rowid}, ${values('old')});`;
  const changed = search.map((name) => `old.${quote(name)} IS NOT new.${quote(name)}`).join(' OR ');
  const on = quote(table);
  return [
    `CREATE TRIGGER ${quote(triggerName(table, 'insert'))} AFTER INSERT ON ${on} BEGIN ${add} END`,
    `CREATE TRIGGER ${quote(triggerName(table, 'update'))} AFTER UPDATE ON ${on} WHEN ${changed} BEGIN ${remove} ${add} END`,
    `CREATE TRIGGER ${quote(triggerName(table, 'delete'))} AFTER DELETE ON ${on} BEGIN ${remove} END`,
  ];
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
