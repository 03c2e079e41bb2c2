import type { Relation } from '../../../views/sql/catalog.ts';
import { sqlTypeOfColumn } from './tables.ts';
import type { TestTable } from './tables.ts';

export function relationOf(table: TestTable): Relation {
  return {
    relation: `test.public.${table.name}`,
    columns: table.columns.map(({ name, type, nullable }) => ({ name, type: sqlTypeOfColumn(type), nullable })),
    key: table.key,
  };
}
