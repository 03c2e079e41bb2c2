import type { SqlType } from '../../../views/type.ts';
import { sqlScalar } from '../../../views/type.ts';
import type { Chance } from './chance.ts';

/** Types of the columns of random tables, by the names that PostgreSQL knows them under. */
export type ColumnTypeName =
  | 'bool'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'numeric'
  /** numeric of any scale, where equal values may differ in digits. */
  | 'decimal'
  | 'float8'
  | 'text'
  | 'varchar'
  | 'bpchar'
  | 'bytea'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz'
  | 'interval'
  | 'uuid'
  | 'json'
  | 'jsonb'
  | 'int4[]'
  | 'text[]';

export interface TestColumn {
  readonly name: string;
  readonly type: ColumnTypeName;
  readonly nullable: boolean;
}

export interface TestTable {
  readonly name: string;
  readonly columns: readonly TestColumn[];
  /** Positions in `columns`. */
  readonly key: readonly number[];
}

/** As PostgreSQL prints it; null for NULL. */
export type TextRow = readonly (string | null)[];

/** As in CREATE TABLE. One scale for all numerics, so that equal ones have equal digits. */
export const declaredTypes: Partial<Record<ColumnTypeName, string>> = {
  numeric: 'numeric(12,2)',
  decimal: 'numeric',
  varchar: 'varchar(12)',
  bpchar: 'char(4)',
};

export function sqlTypeOfColumn(type: ColumnTypeName): SqlType {
  if (type === 'int4[]') return { kind: 'array', element: sqlScalar('int4') };
  if (type === 'decimal') return sqlScalar('numeric');
  if (type === 'text[]') return { kind: 'array', element: sqlScalar('text') };
  return sqlScalar(type);
}

/** Values of each type, as PostgreSQL prints them: few, so that rows find each other, and the awkward ones among them. */
export const pools: Readonly<Record<ColumnTypeName, readonly string[]>> = {
  bool: ['t', 'f'],
  int2: ['0', '1', '2', '3', '-1', '7'],
  int4: ['0', '1', '2', '3', '4', '-1', '10', '100'],
  int8: ['0', '1', '2', '3', '5', '-2', '9007199254740993', '-9007199254740995'],
  numeric: ['0.00', '1.00', '1.50', '2.00', '-0.75', '10.25', '99.99', '1234567.89'],
  decimal: [
    '1.0',
    '1.00',
    '-2.5',
    '0.000',
    '1',
    '0.1',
    '12345678901234567890.123456789',
    '-12345678901234567890.12345',
    '99999999999999999',
    'NaN',
  ],
  float8: ['0', '0.5', '1', '1.5', '-2.25', '1024', '0.0009765625', 'NaN', 'Infinity', '-Infinity'],
  text: [
    'a',
    'b',
    'ab',
    'B',
    '',
    'a b',
    ' a ',
    "it's",
    'é',
    '日本',
    '😀',
    '%',
    'a_b',
    '"q"',
    'x\\y',
    'NULL',
    '10',
    '{1,2}',
  ],
  varchar: ['a', 'b', 'ab', 'abc ', '', 'Zoë'],
  bpchar: ['a   ', 'b   ', 'ab  ', 'abcd', '    '],
  bytea: ['\\x', '\\x00', '\\x6162', '\\xff'],
  date: ['2024-01-01', '2024-01-31', '2024-02-29', '2023-12-31', '2024-12-30', '1999-07-04'],
  time: ['00:00:00', '12:30:00', '23:59:59.999999', '06:00:00.5'],
  timestamp: [
    '2024-01-01 00:00:00',
    '2024-01-31 23:59:59.999999',
    '2024-02-29 12:34:56',
    '2023-12-31 18:00:00.5',
    '1999-07-04 06:07:08.009',
  ],
  timestamptz: [
    '2024-01-01 00:00:00+00',
    '2024-03-31 01:30:00+00',
    '2024-02-29 12:34:56.75+00',
    '2023-12-31 18:00:00+00',
  ],
  interval: ['1 day', '02:30:00', '1 mon 3 days', '-1 days', '1 year 2 mons', '00:00:00.25'],
  uuid: [
    '00000000-0000-0000-0000-000000000000',
    '6f1e4e7a-3f6c-4d0f-9a59-2f6b1f6e8f00',
    'c0ffee00-1234-5678-9abc-def012345678',
  ],
  json: ['{"a": 1}', '{"a":1,"a":2}', '[1, 2,3]', 'null', '"x"', '1.50', '{"b": {"c": [true, null]}}'],
  jsonb: [
    '{"a": 1}',
    '{"a": 2, "b": "x"}',
    '{"a": {"b": [1, "two", null]}}',
    '[1, 2, 3]',
    '[]',
    'null',
    '"x"',
    '1.5',
    'true',
    '{"a": "é\\"q", "b": null}',
  ],
  'int4[]': ['{}', '{1}', '{1,2,3}', '{NULL,2}', '{3,3,1}'],
  'text[]': ['{}', '{a}', '{a,b}', '{"a b",NULL,"x,y"}', '{"",é}'],
};

const commonTypes: readonly ColumnTypeName[] = [
  'int4',
  'int4',
  'int4',
  'int8',
  'numeric',
  'numeric',
  'text',
  'text',
  'text',
  'bool',
  'date',
  'timestamp',
  'timestamptz',
  'float8',
  'jsonb',
];
const rareTypes: readonly ColumnTypeName[] = [
  'decimal',
  'decimal',
  'int2',
  'varchar',
  'bpchar',
  'bytea',
  'time',
  'interval',
  'uuid',
  'json',
  'int4[]',
  'text[]',
];

export function randomTables(chance: Chance): TestTable[] {
  const count = chance.between(2, 4);
  return Array.from({ length: count }, (_, index) => randomTable(chance, `t${index}`));
}

function randomTable(chance: Chance, name: string): TestTable {
  const columns: TestColumn[] = [];
  const keyType = chance.weighted({ int4: 6, int8: 2, text: 1, uuid: 0.3, numeric: 0.3, date: 0.4 });
  columns.push({ name: 'id', type: keyType, nullable: false });
  const composite = chance.maybe(0.25);
  if (composite) columns.push({ name: 'no', type: chance.of(['int4', 'text', 'date'] as const), nullable: false });
  // A column of int4 in every table, so that most joins find a partner.
  columns.push({ name: 'n', type: 'int4', nullable: chance.maybe(0.7) });
  const more = chance.between(1, 4);
  for (let index = 0; index < more; index++) {
    const type = chance.of(chance.maybe(0.85) ? commonTypes : rareTypes);
    columns.push({ name: 'abcd'[index] ?? 'e', type, nullable: chance.maybe(0.7) });
  }
  return { name, columns, key: composite ? [0, 1] : [0] };
}

export function randomValue(chance: Chance, column: TestColumn, spread: number): string | null {
  if (column.nullable && chance.maybe(0.2)) return null;
  if (spread > 0 && column.type === 'int4' && chance.maybe(0.8)) return String(chance.below(spread));
  const pool = pools[column.type];
  // The first few more often, so that rows find each other.
  return chance.of(chance.maybe(0.5) ? pool.slice(0, 4) : pool);
}

/** A value of a key: from the pool, or beyond it where the type has more to offer. */
export function randomKeyValue(chance: Chance, column: TestColumn, spread: number): string {
  if ((column.type === 'int4' || column.type === 'int8') && chance.maybe(0.8)) return String(chance.below(spread));
  return chance.of(pools[column.type]);
}

export function quoted(text: string | null): string {
  return text === null ? 'NULL' : `'${text.replaceAll("'", "''")}'`;
}

export function createTable(table: TestTable): string {
  const columns = table.columns.map(
    ({ name, type, nullable }) => `${name} ${declaredTypes[type] ?? type}${nullable ? '' : ' NOT NULL'}`,
  );
  const key = table.key.map((position) => table.columns[position]?.name).join(', ');
  return `CREATE TABLE ${table.name} (${columns.join(', ')}, PRIMARY KEY (${key}));`;
}
