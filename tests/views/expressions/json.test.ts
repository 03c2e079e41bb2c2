import * as fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { parseJsonb } from '../../../views/expressions/jsonb-text.ts';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { describePostgres } from '../../servers/suite.ts';
import { expectSameAnswers } from './select-list.ts';
import { quoted } from './templates.ts';

const documents = [
  '{}',
  '[]',
  'null',
  '1',
  '"a"',
  'true',
  '{"a":1}',
  '{"a": {"b": [1, 2, {"c": "x\\ny"}]}, "bb": null, "c": 1.50, "a": 7}',
  '[1,"a",null,true,{"k":"v"},[2,3]]',
  '{"b":1,"a":2,"aa":3,"":4,"é":5,"zz":6}',
  '[1e2, -0, -0.0, 1.5e-3, 100000000000000000000, 1.0, 1E+2, 0.1e1]',
  '"\\u00e9\\"\\\\\\/\\b\\t"',
  '{"a\\u0062":"\\ud83d\\ude00"}',
  '  [ 1 , 2 ]  ',
  '{"a":[]}',
  '[{"a":1},{"a":2}]',
  '{"x":"","y":[[],{}]}',
].map(quoted);

const values = [
  '1',
  '1::int2',
  '9007199254740993',
  '1.50::numeric',
  "'NaN'::numeric",
  "'Infinity'::float8",
  '1.5::float8',
  '1e20::float8',
  '1e-7::float8',
  '0.1::float4',
  '-0.0::float8',
  'true',
  `'a"b'::text`,
  "'x'::varchar(3)",
  "'x'::char(3)",
  "date '2026-01-31'",
  "timestamp '2026-01-31 12:00:00.5'",
  "timestamptz '2026-01-31 12:00+02'",
  "timestamp 'infinity'",
  "timestamp '0044-03-15 BC'",
  "timestamptz '0044-03-15 BC'",
  "timestamptz '12345-01-01'",
  "time '12:00'",
  "interval '1 day'",
  'null::int',
  `'{"a":1}'::json`,
  `'{"b":1,"a":2}'::jsonb`,
  "'é😀'::text",
  'array[1,2,null]',
  "array['a','b c']",
  'array[[1,2],[3,4]]',
  "'{}'::int[]",
  "array[row(1,'a')]",
  "''::text",
  "row(1,'a',null)",
  "row(1,row(2,'x y'))",
  'row(array[1,2], row(null))',
  "array[1.5,'NaN']::numeric[]",
  "'\\xdead'::bytea",
  "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
  `repeat('x"', 30)`,
  "E'\\x01\\x1f\\x7f'::text",
  "array[timestamp '2026-01-31 12:00']",
  `array['{"a": 1}'::jsonb]`,
  "json_build_object('z', 1, 'a', row(1, 2))",
];

const pools: Record<string, readonly string[]> = {
  document: documents,
  either: ['{{document}}::json', '{{document}}::jsonb'],
  type: ['json', 'jsonb'],
  name: ["'a'", "'bb'", "'zz'", "''", "'ab'", "'k'", "'é'"],
  index: ['0', '1', '-1', '5', '99'],
  step: ['{{name}}', '{{index}}'],
  path: [
    '{a,b}',
    '{a,b,2,c}',
    '{4,k}',
    '{}',
    '{a,-1}',
    '{-1,-1}',
    '{0}',
    '{a,NULL}',
    '{a,b,x}',
    '{9}',
    '{new}',
    '{5,1}',
  ].map(quoted),
  operator: ['@>', '<@', '||', '=', '<>', '<', '<=', '>', '>='],
  truth: ['true', 'false'],
  number: ['bool', 'numeric', 'int4', 'int2', 'int8', 'float8', 'float4'],
  value: values,
  bad: [
    '',
    '{',
    '[1,]',
    '{a:1}',
    "'",
    '01',
    '1.',
    '"\\u0000"',
    'nul',
    '[1 2]',
    '"\t"',
    '{"a":1,}',
    '"\\ud800"',
    '1 2',
  ].map(quoted),
};

const templates = [
  '{{either}} -> {{step}}',
  '{{either}} ->> {{step}}',
  '{{either}} #> {{path}}',
  '{{either}} #>> {{path}}',
  ...['typeof', 'array_length', 'strip_nulls'].flatMap((name) => [
    `json_${name}({{document}}::json)`,
    `jsonb_${name}({{document}}::jsonb)`,
  ]),
  "json_extract_path({{document}}::json, 'a', 'b')",
  "jsonb_extract_path_text({{document}}::jsonb, 'a', 'b', '2', 'c')",
  '{{document}}::jsonb {{operator}} {{document}}::jsonb',
  '{{document}}::jsonb ? {{name}}',
  "{{document}}::jsonb ?| array['a', {{name}}]",
  "{{document}}::jsonb ?& array['a', {{name}}]",
  '{{document}}::jsonb - {{name}}::text',
  '{{document}}::jsonb - {{index}}',
  "{{document}}::jsonb - array['a', {{name}}]",
  '{{document}}::jsonb #- {{path}}',
  `jsonb_set({{document}}::jsonb, {{path}}, '{"n":1}', {{truth}})`,
  "jsonb_insert({{document}}::jsonb, {{path}}, '99', {{truth}})",
  'jsonb_pretty({{document}}::jsonb)',
  '({{document}}::jsonb)::{{number}}',
  "({{document}}::jsonb -> 'c')::{{number}}",
  '{{bad}}::text::{{type}}',
  '{{either}}::text',
  '{{document}}::json::jsonb',
  'to_{{type}}({{value}})',
  "{{type}}_build_object('k', {{value}}, 'a', {{value}}, 'k', 1)",
  '{{type}}_build_object({{value}}, {{value}})',
  '{{type}}_build_array({{value}}, {{value}})',
  'row_to_json(row({{value}}, {{value}}))',
  'row_to_json(row({{value}}, {{value}}), true)',
  'array_to_json(array[[1,2],[3,4]], {{truth}})',
  "to_{{type}}(row({{value}}, row({{value}}, 'z')))",
  'to_{{type}}(array[{{value}}])',
  "{{type}}_object('{b,1,a,NULL}')",
  "{{type}}_object('{a,b}', '{1,NULL}')",
];

beforeAll(loadSqlParser);

describePostgres('json', (database) => {
  it('is taken apart and put together byte for byte as PostgreSQL does', async () => {
    await expectSameAnswers(database, templates, pools);
  });

  it('of any document is printed as jsonb prints it', async () => {
    const text = fc.json({ maxDepth: 3 }).filter((json) => !json.includes('\\u0000') && json.isWellFormed());
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 100, maxLength: 100 }), async (texts) => {
        const rows = await database.query(
          'SELECT j::jsonb::text AS j FROM unnest($1::text[]) WITH ORDINALITY AS t(j, n) ORDER BY n',
          [texts],
        );
        expect(texts.map(parseJsonb)).toEqual(rows.map(({ j }) => j));
      }),
      { numRuns: 3, endOnFailure: true },
    );
  });
});
