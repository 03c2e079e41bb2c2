import * as fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { arrayItems, printArray, readArray } from '../../../views/expressions/array-text.ts';
import { recordPrinter } from '../../../views/expressions/composite-text.ts';
import { recordFields } from '../../../views/expressions/record-text.ts';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { sqlScalar } from '../../../views/type.ts';
import { describePostgres } from '../../servers/suite.ts';
import { expectSameAnswers } from './select-list.ts';

const pools: Record<string, readonly string[]> = {
  ints: [
    'array[1,2,null,3]',
    "'{}'::int[]",
    'null::int[]',
    'array[[1,2],[3,4]]',
    "'[0:1]={5,6}'::int[]",
    'array[1]',
    'array[3,2,1]',
    'array[null]::int[]',
    'array[[1,2]]',
    'array[5,6]',
    "'[2:3][0:1]={{1,2},{3,4}}'::int[]",
  ],
  texts: [`array['a','b c',null,'NULL','','x"y\\']`, "array['é,','{x}']", "'{}'::text[]", `'{ a , "b c" }'::text[]`],
  numerics: ['array[1.0,1.00,2.5]', "array[1.5,'NaN']::numeric[]"],
  others: [
    'array[true,false,null]',
    "array[date '2026-01-31']",
    "array[row(1,'a'),row(2,null)]",
    "array[1.5::float8,'NaN']",
    "array[timestamp '2026-01-31 12:00']",
    "array[interval '1 day']",
  ],
  any: ['{{ints}}', '{{texts}}', '{{numerics}}', '{{others}}'],
  int: ['1', '3', '9', 'null::int'],
  text: ["'a'::text", "''::text", 'null::text', "'NULL'::text"],
  numeric: ['1.000', '2.5', 'null::numeric'],
  dimension: ['0', '1', '2', '3'],
  subscript: ['-1', '0', '1', '2', '3', '9'],
  operator: ['=', '<>', '<', '<=', '>', '>=', '@>', '<@', '&&', '||'],
  compare: ['=', '<>', '<', '<=', '>', '>='],
  all: ['any', 'all'],
  split: ["'a,b,,c',','", "'',','", "'abc',null", "'abc',''", "null::text,','", "'a--b','--'"],
  nulls: ["''", "'b'", 'null', "'x'"],
  record: ['row(1,2)', 'row(1,3)', 'row(null,2)', 'row(1,null)'],
};

const templates = [
  'cardinality({{any}})',
  'array_ndims({{any}})',
  'array_dims({{any}})',
  '({{any}})::text',
  'array_length({{any}}, {{dimension}})',
  'array_lower({{any}}, {{dimension}})',
  'array_upper({{any}}, {{dimension}})',
  '({{any}})[{{subscript}}]',
  "array_to_string({{any}}, ', ')",
  "array_to_string({{any}}, ',', {{nulls}})",
  '{{ints}} {{operator}} {{ints}}',
  '{{texts}} {{operator}} {{texts}}',
  '{{numerics}} {{operator}} {{numerics}}',
  'array_cat({{ints}}, {{ints}})',
  'array_append({{ints}}, {{int}})',
  'array_prepend({{int}}, {{ints}})',
  '{{ints}} || {{int}}',
  '{{int}} || {{ints}}',
  '{{texts}} || {{text}}',
  'array_position({{ints}}, {{int}})',
  'array_position({{ints}}, {{int}}, 2)',
  'array_positions({{texts}}, {{text}})',
  'array_remove({{ints}}, {{int}})',
  'array_replace({{ints}}, {{int}}, 7)',
  '{{int}} {{compare}} {{all}}({{ints}})',
  '{{text}} {{compare}} {{all}}({{texts}})',
  '{{numeric}} {{compare}} {{all}}({{numerics}})',
  '{{numeric}} {{compare}} {{all}}({{ints}})',
  'string_to_array({{split}})',
  'string_to_array({{split}}, {{nulls}})',
  '{{record}} {{compare}} {{record}}',
  'array[{{ints}}, {{ints}}]',
  'array[{{int}}, {{numeric}}]',
];

beforeAll(loadSqlParser);

describePostgres('arrays', (database) => {
  it('are read, changed, searched and compared as PostgreSQL does', async () => {
    await expectSameAnswers(database, templates, pools);
  });
});

const item = fc.option(
  fc.string({ unit: fc.constantFrom('a', 'é', '"', '\\', ',', '{', '}', '(', ')', ' ', 'N', '\n') }),
  {
    nil: null,
  },
);

it('give back the elements and fields that they were printed from', () => {
  const type = { kind: 'array', element: sqlScalar('text') } as const;
  fc.assert(
    fc.property(fc.array(item, { minLength: 1 }), (items) => {
      const array = { lengths: [items.length], bounds: [1], items };
      const text = printArray(array, ',', String);
      expect(readArray(text, type)).toEqual(array);
      expect(arrayItems(text, type)).toEqual(items);
      const types = items.map(() => sqlScalar('text'));
      expect(recordFields(recordPrinter(types)(items), types)).toEqual(items);
    }),
  );
});
