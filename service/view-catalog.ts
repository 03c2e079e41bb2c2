import type { Log } from '../model/log.ts';
import type { Table } from '../model/table.ts';
import { catalogOf } from '../views/sql/catalog.ts';
import type { Catalog } from '../views/sql/catalog.ts';
import { sqlTypeOf } from '../views/type.ts';

/** Every version of every table that the log has held, oldest first; ids are dense from 1. */
export function loggedTables(log: Log): Table[] {
  const tables: Table[] = [];
  for (let id = 1; ; id++) {
    const table = log.table(id);
    if (!table) return tables;
    tables.push(table);
  }
}

/** The newest version of each table of the given sources, by topic. */
export function newestTables(log: Log, sources: readonly string[]): Map<string, Table> {
  const known = loggedTables(log).filter(({ source }) => sources.includes(source));
  return new Map(known.map((table) => [table.topic, table]));
}

/** The tables as queries see them. */
export function catalogOfTables(tables: Iterable<Table>): Catalog {
  return catalogOf(
    [...tables].map(({ topic, columns, key }) => ({
      relation: topic,
      columns: columns.map(({ name, type, declared, nullable }) => ({
        name,
        type: sqlTypeOf(type, declared),
        nullable,
      })),
      key,
    })),
  );
}
