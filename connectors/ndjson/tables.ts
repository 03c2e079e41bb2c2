import { TidemarkError } from '../../base/errors.ts';
import type { Log } from '../../model/log.ts';
import type { Column, Table } from '../../model/table.ts';
import { topicOf } from '../../model/table.ts';
import { ndjsonSchema } from './options.ts';
import type { NdjsonTable } from './options.ts';

/**
 * The table as the log is to have it. Columns are told apart by name, so that one that stays keeps its identity when others come or
 * go; rows taken before have NULL in one that comes. TABLE_CHANGED for what rows already taken do not fit: they were read as the file
 * said then, and are not read again.
 */
export function logTable(source: string, declared: NdjsonTable, log: Log): Table {
  const topic = topicOf(source, ndjsonSchema, declared.name);
  const versions = versionsOf(topic, log);
  const ids = new Map(versions.flatMap(({ columns }) => columns.map(({ name, id }) => [name, id])));
  let next = Math.max(0, ...ids.values()) + 1;
  const columns = declared.columns.map(({ name, type, declared: spelled }): Column => ({
    id: ids.get(name) ?? next++,
    name,
    type,
    declared: spelled,
    nullable: !declared.key.includes(name),
  }));
  const key = declared.key.map((name) => columns.findIndex((column) => column.name === name));
  const table: Table = {
    source,
    schema: ndjsonSchema,
    name: declared.name,
    topic,
    kind: declared.kind,
    columns,
    key,
  };
  for (const version of versions) checkFits(version, table);
  return table;
}

function versionsOf(topic: string, log: Log): Table[] {
  const versions: Table[] = [];
  for (let id = 1, table = log.table(id); table; table = log.table(++id))
    if (table.topic === topic) versions.push(table);
  return versions;
}

function checkFits(before: Table, now: Table): void {
  for (const { name, declared } of now.columns) {
    const old = before.columns.find((column) => column.name === name);
    if (old && old.declared !== declared) throw changed(now, `column ${name} was ${old.declared}, and is ${declared}`);
  }
  const [old, key] = [before, now].map((table) =>
    table.key.map((position) => table.columns[position]?.name).join(', '),
  );
  if (old === key) return;
  throw changed(now, `its key was ${old === '' ? 'none' : `(${old})`}, and is ${key === '' ? 'none' : `(${key})`}`);
}

function changed({ source, topic }: Table, what: string): TidemarkError {
  return new TidemarkError('TABLE_CHANGED', `${topic} is declared otherwise than when its rows were taken: ${what}`, {
    hint: 'Write it as it was; or give the source another name, which takes the file from its beginning.',
    place: { source, table: topic },
  });
}

/** The table as a log that has never seen it would have it. */
export function declaredTable(source: string, { name, kind, columns, key }: NdjsonTable): Table {
  return {
    source,
    schema: ndjsonSchema,
    name,
    topic: topicOf(source, ndjsonSchema, name),
    kind,
    columns: columns.map((column, index) => ({ ...column, id: index + 1, nullable: !key.includes(column.name) })),
    key: key.map((column) => columns.findIndex((candidate) => candidate.name === column)),
  };
}
