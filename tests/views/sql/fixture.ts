import { typeFromName } from '../../../views/expressions/resolve.ts';
import { valueOf } from '../../../views/expressions/text.ts';
import { catalogOf } from '../../../views/sql/catalog.ts';
import type { Catalog, Relation } from '../../../views/sql/catalog.ts';
import type { Row } from '../../../views/value.ts';

interface FixtureTable {
  readonly name: string;
  /** `name type`, `!` after a type that is NOT NULL. */
  readonly columns: readonly string[];
  readonly key: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** Few rows with much in them: NULLs in every nullable column, duplicates, parents without children, children without parents. */
export const fixtureTables: readonly FixtureTable[] = [
  {
    name: 'emp',
    columns: [
      'id int4!',
      'dept int4',
      'boss int4',
      'name text!',
      'salary numeric',
      'bonus float8',
      'tags text[]',
      'doc jsonb',
      'hired date',
      'active bool',
    ],
    key: ['id'],
    rows: [
      ['1', '10', null, 'ann', '1000.00', '1.5', '{a,b}', '{"x": 1, "list": [1, 2]}', '2020-01-01', 't'],
      ['2', '10', '1', 'bob', '900', null, '{b,NULL}', '{"x": null, "list": []}', '2020-02-29', 'f'],
      ['3', '20', '1', 'cyd', '900.00', '0', '{}', null, '2021-12-31', null],
      ['4', '20', '3', 'dan', null, '-2.25', null, '{"x": "z", "list": [3]}', null, 't'],
      ['5', null, '3', 'eve', '1200.50', '1.5', '{c}', '{"list": [2, 2]}', '2019-07-04', 't'],
      ['6', '40', '9', 'fay', '0', null, '{a,a}', '{"x": 1, "list": [1]}', '2020-01-01', 'f'],
      ['7', '30', '1', 'ann', '100', '10', '{"d,e"}', null, '2022-03-03', 't'],
    ],
  },
  {
    name: 'dept',
    columns: ['id int4!', 'name text!', 'city text', 'budget numeric'],
    key: ['id'],
    rows: [
      ['10', 'sales', 'Bern', '2000.0'],
      ['20', 'tech', 'Basel', '900'],
      ['30', 'ops', null, null],
      ['50', 'hr', 'Bern', '0.00'],
    ],
  },
  {
    name: 'pay',
    columns: ['id int4!', 'emp int4', 'amount numeric', 'kind text', 'at timestamp'],
    key: ['id'],
    rows: [
      ['1', '1', '10.0', 'a', '2024-01-01 10:00:00'],
      ['2', '1', '12.00', 'b', '2024-01-02 10:00:00'],
      ['3', '2', '5', 'a', '2024-01-01 10:00:00'],
      ['4', '2', null, null, null],
      ['5', null, '7', 'b', '2024-03-01 00:00:00'],
      ['6', '3', '900.000', 'a', '2024-01-05 10:30:00'],
      ['7', '5', '5', 'c', '2024-01-01 10:00:00.5'],
      ['8', '5', '20', 'c', '2023-12-31 23:59:59'],
    ],
  },
  {
    name: 'pair',
    columns: ['x int4', 'y int4'],
    key: [],
    rows: [
      ['1', '1'],
      ['1', '1'],
      ['1', '2'],
      ['2', null],
      [null, '2'],
      [null, null],
      ['3', '3'],
      ['20', '10'],
    ],
  },
  { name: 'nothing', columns: ['a int4', 'b text'], key: [], rows: [] },
];

function columnsOf(table: FixtureTable): { name: string; declared: string; nullable: boolean }[] {
  return table.columns.map((column) => {
    const [name = '', declared = ''] = column.split(' ');
    return { name, declared: declared.replace('!', ''), nullable: !declared.endsWith('!') };
  });
}

function relation(table: FixtureTable): Relation {
  const columns = columnsOf(table).map(({ name, declared, nullable }) => ({
    name,
    type: typeFromName([declared.replace('[]', '')], [], declared.endsWith('[]') ? 1 : 0, 0).type,
    nullable,
  }));
  return {
    relation: `shop.public.${table.name}`,
    columns,
    key: table.key.map((name) => columns.findIndex((column) => column.name === name)),
  };
}

const relations = fixtureTables.map(relation);

export const fixtureCatalog: Catalog = catalogOf(relations);

export const fixtureRows: ReadonlyMap<string, readonly Row[]> = new Map(
  fixtureTables.map((table, at) => {
    const { relation: name = '', columns = [] } = relations[at] ?? {};
    const rows = table.rows.map((row) => row.map((text, index) => parsed(text, columns[index])));
    return [name, rows];
  }),
);

function parsed(text: string | null, column: Relation['columns'][number] | undefined): Row[number] {
  return text === null || column === undefined ? null : valueOf(text, column.type);
}

/** As SQL, for the database that answers what is right. */
export function fixtureSql(): string {
  return fixtureTables
    .map((table) => {
      const columns = columnsOf(table).map(
        ({ name, declared, nullable }) => `${name} ${declared}${nullable ? '' : ' NOT NULL'}`,
      );
      const key = table.key.length === 0 ? '' : `, PRIMARY KEY (${table.key.join(', ')})`;
      const values = table.rows.map((row) => `(${row.map((v) => (v === null ? 'NULL' : `'${v}'`)).join(', ')})`);
      const insert = values.length === 0 ? '' : `INSERT INTO ${table.name} VALUES ${values.join(', ')};`;
      return `CREATE TABLE ${table.name} (${columns.join(', ')}${key}); ${insert}`;
    })
    .join('\n');
}
