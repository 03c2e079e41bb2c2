/**
 * Values of every type, with their extremes, each as a SQL expression. The server itself says what their JSON is; docs/types.md
 * takes its examples from the first value of each group.
 */
export interface TypeCases {
  /** The column's type as SQL spells it. */
  readonly type: string;
  /** Literals of the type (their text, as its input function takes it). */
  readonly values: readonly string[];
}

/** Types that the cases need besides the built-in ones. */
export const typesSetup = `
  CREATE TYPE mood AS ENUM ('happy', 'so "so"', 'sad', '');
  CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
  CREATE DOMAIN positives AS positive[];
  CREATE DOMAIN amount AS numeric(20, 4);
  CREATE TYPE address AS (street text, "zip ""code""" varchar(10), tags text[], since timestamptz);
  CREATE TYPE person AS (id bigint, name text, home address, others address[], score float8, extra json, ok bool);
  CREATE DOMAIN home AS address;
  CREATE TYPE nothing AS ();
  CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
  CREATE DOMAIN corner AS box;
  CREATE TABLE shelf (id int, dropped text, boxes box[]);
  ALTER TABLE shelf DROP COLUMN dropped;
`;

const nines = '9'.repeat(1000);
const everyByte = Array.from({ length: 127 }, (_, index) => String.fromCharCode(index + 1)).join('');
const odd = [
  'plain',
  '',
  ' ',
  '"',
  '\\',
  '\\"\\',
  "'",
  '{',
  '}',
  ',',
  '(a,b)',
  'NULL',
  'null',
  'NuLL',
  ' pad ',
  'a\tb\nc\rd\be\ff',
];
const unicode = ['é', '日本語', '😀 👩‍👩‍👧', '\u2028\u2029', '\u{10ffff}', '\ufffd', '\u0085', '\u007f', '</script>'];

/** An array literal of one dimension, every element quoted. */
export function arrayOf(values: readonly (string | null)[], delimiter = ','): string {
  const elements = values.map((value) => (value === null ? 'NULL' : `"${value.replaceAll(/["\\]/g, '\\$&')}"`));
  return `{${elements.join(delimiter)}}`;
}

/** A composite literal, every field quoted. */
export function rowOf(values: readonly (string | null)[]): string {
  const fields = values.map((value) => (value === null ? '' : `"${value.replaceAll(/["\\]/g, '$&$&')}"`));
  return `(${fields.join(',')})`;
}

const homePlain = rowOf(['1 Main "St"', null, '{a,NULL}', '2026-01-31 12:00:00+02']);
const homeText = rowOf(['1 "Main" St\\', 'x,(y)', arrayOf(odd), '2026-01-31 12:00:00+02']);
const homeNulls = rowOf([null, null, null, null]);
const homeEmpty = rowOf(['', '', '{}', 'infinity']);

export const typeCases: readonly TypeCases[] = [
  { type: 'boolean', values: ['true', 'false'] },
  { type: 'smallint', values: ['42', '-32768', '32767', '0'] },
  { type: 'integer', values: ['42', '-2147483648', '2147483647', '0'] },
  {
    type: 'bigint',
    values: [
      '9007199254740993',
      '-9223372036854775808',
      '9223372036854775807',
      '0',
      '-1',
      '999999999999999',
      '1000000000000000',
    ],
  },
  {
    type: 'numeric',
    values: [
      '12.50',
      nines,
      `-0.${nines}`,
      `1${'0'.repeat(1000)}.${'0'.repeat(900)}1`,
      '0',
      '0.000',
      '-0.00',
      '1e-20',
      '1e20',
      'NaN',
    ],
  },
  { type: 'numeric(12,2)', values: ['12.5', '-9999999999.99', 'NaN'] },
  {
    type: 'real',
    values: [
      '1.1',
      'NaN',
      'Infinity',
      '-Infinity',
      '-0',
      '3.4028235e38',
      '1e-45',
      '1.17549435e-38',
      '1e20',
      '1e-5',
      '16777216',
    ],
  },
  {
    type: 'double precision',
    values: [
      '0.1',
      'NaN',
      'Infinity',
      '-Infinity',
      '-0',
      '1.7976931348623157e308',
      '5e-324',
      '2.2250738585072014e-308',
      '1e15',
      '1e16',
      '123456789012345680',
      '1e-4',
      '1e-5',
      '9007199254740993',
      '0.30000000000000004',
    ],
  },
  { type: 'text', values: ['Zoë "Z" \\', ...odd, ...unicode, everyByte, `${'x'.repeat(9000)}"${'é'.repeat(9000)}\n`] },
  { type: 'character varying(60)', values: ["O'Neil", ...odd, ...unicode] },
  { type: 'character(5)', values: ['ab', '', '  a', 'é'] },
  { type: '"char"', values: ['x', '', '"', '\\'] },
  { type: 'name', values: ['orders', 'a "b"', ''] },
  { type: 'bytea', values: ['\\xdeadbeef', '', '\\x00', '\\xff', `\\x${'00ff'.repeat(3000)}`] },
  { type: 'uuid', values: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '00000000-0000-0000-0000-000000000000'] },
  {
    type: 'date',
    values: ['2026-01-31', 'infinity', '-infinity', '0044-03-15 BC', '4713-01-01 BC', '5874897-12-31', '0001-01-01'],
  },
  { type: 'time', values: ['12:34:56.789', '00:00:00', '24:00:00', '23:59:59.999999'] },
  {
    type: 'time with time zone',
    values: ['12:34:56+02', '24:00:00-15:59:59', '00:00:00+15:59:59', '12:00:00.5+05:30', '12:00+00:00:01'],
  },
  {
    type: 'timestamp',
    values: [
      '2026-01-31 12:34:56.789',
      'infinity',
      '-infinity',
      '0044-03-15 12:00:00.5 BC',
      '4713-01-01 00:00:00 BC',
      '294276-12-31 23:59:59.999999',
      '0001-01-01',
      '1999-12-31 23:59:59.9999999',
      '2026-01-31 12:34:56.000001',
    ],
  },
  {
    type: 'timestamptz',
    values: [
      '2026-01-31 12:34:56.789+02',
      'infinity',
      '-infinity',
      '0044-03-15 12:00:00.5+00 BC',
      '4713-01-01 00:00:00+00 BC',
      '294276-12-31 23:59:59.999999+00',
      '0001-01-01 00:00:00+00',
      '2026-06-30 00:00:00-11:30',
      '10000-01-01 00:00:00+00',
    ],
  },
  {
    type: 'interval',
    values: [
      '1 year 2 mons 3 days 04:05:06.789',
      '0',
      '-1 year -2 mons -3 days -04:05:06.789',
      '1 mon -1 day',
      '-1 mon +1 day -00:00:01',
      '178000000 years',
      '-178000000 years',
      '1 day -00:00:00.000001',
      '-00:00:00.5',
      '2562047788:00:54.775807',
      '1 year -1 hour',
    ],
  },
  {
    type: 'json',
    values: [
      '{"b":  [1.0, "x"], "a": 1, "a": 2}',
      '{"a": 1,\n "b" : [ 1.0, "x\\u00e9\\n" ],\t"a":2}',
      'null',
      '"x"',
      ' 1.50 ',
      '[]',
      '"\\ud83d\\ude00 é"',
    ],
  },
  {
    type: 'jsonb',
    values: [
      '{"b":  [1.0, "x"], "a": 1, "a": 2}',
      '{"b": [1.0, "x\\n"], "a": 1e3}',
      'null',
      '"x\\u001f"',
      '1.50',
      '{}',
      `${'['.repeat(50)}${']'.repeat(50)}`,
      nines,
    ],
  },
  { type: 'mood', values: ['so "so"', 'happy', ''] },
  { type: 'mood[]', values: ['{happy,NULL,"so \\"so\\"",""}', '{}'] },
  { type: 'positive', values: ['7'] },
  { type: 'positives', values: ['{1,NULL,3}', '{}', '[5:6]={1,2}'] },
  { type: 'positive[]', values: ['{1,2}'] },
  { type: 'amount', values: ['1.5'] },
  {
    type: 'integer[]',
    values: [
      '{1,NULL,3}',
      '{}',
      '{{1,2},{3,NULL}}',
      '[0:1]={1,2}',
      '[-1:0][2:3]={{1,2},{3,4}}',
      '{{{{{{1}}}}}}',
      '{NULL,NULL}',
    ],
  },
  { type: 'boolean[]', values: ['{t,f,NULL}'] },
  { type: 'numeric[]', values: ['{1.50,NaN,NULL}'] },
  { type: 'double precision[]', values: ['{NaN,Infinity,-0,1e300}'] },
  {
    type: 'text[]',
    values: [
      '{a,"b c",NULL}',
      arrayOf(odd),
      arrayOf(unicode),
      '{}',
      '{NULL,"NULL",null}',
      '{{a,b},{"c d",NULL}}',
      `[3:3]=${arrayOf(['='])}`,
    ],
  },
  { type: 'character(3)[]', values: ['{a,NULL}'] },
  { type: 'bytea[]', values: ['{"\\\\xdead",NULL,""}'] },
  { type: 'date[]', values: ['{2026-01-31,infinity,"0044-03-15 BC"}'] },
  { type: 'timestamp[]', values: ['{"2026-01-31 12:34:56",infinity,NULL}'] },
  { type: 'timestamptz[]', values: ['{"2026-01-31 12:34:56+02","0044-03-15 12:00:00+00 BC",-infinity}'] },
  { type: 'interval[]', values: ['{1 day,-00:00:01}'] },
  { type: 'json[]', values: [arrayOf(['{"a":  [1]}', 'null', '"x"'])] },
  { type: 'jsonb[]', values: [arrayOf(['{"a":  [1]}', 'null'])] },
  { type: 'address', values: [homePlain, homeText, homeNulls, homeEmpty] },
  { type: 'home', values: [homePlain, homeText, homeNulls] },
  {
    type: 'address[]',
    values: [
      arrayOf([homePlain, null]),
      arrayOf([homeText, homeNulls, homeEmpty]),
      '{NULL}',
      '{}',
      `[0:0]=${arrayOf([homeText])}`,
    ],
  },
  {
    type: 'person',
    values: [
      rowOf(['1', 'Zoë', homePlain, '{NULL}', '0.5', '{"a": 1}', 't']),
      rowOf(['1', 'Zoë "Z" \\', homeText, arrayOf([homeText, homeNulls]), 'NaN', '{"a":\n "\\n"}', 't']),
      rowOf(['-1', '', null, '{}', '-0', 'null', 'f']),
      rowOf([null, null, homeNulls, '{NULL}', null, null, null]),
    ],
  },
  {
    type: 'person[]',
    values: [
      arrayOf([rowOf(['1', null, homePlain, '{}', null, null, 'f'])]),
      arrayOf([rowOf(['1', '\\"\\', homeText, arrayOf([homeText, homeText]), '1', '"\\\\"', 't'])]),
    ],
  },
  { type: 'nothing', values: ['()'] },
  { type: 'shelf', values: [rowOf(['1', '{(1,2),(3,4);(5,6),(7,8)}']), '(,)'] },
  { type: 'int4range', values: ['[1,5)', 'empty', '(,)'] },
  { type: 'tstzrange', values: ['["2026-01-31 12:00:00+02",)'] },
  { type: 'floatrange', values: ['[1.5,2.5)'] },
  { type: 'int4range[]', values: ['{"[1,5)",empty,NULL}'] },
  { type: 'int4multirange', values: ['{[1,3),[5,8)}', '{}'] },
  { type: 'inet', values: ['192.168.0.1/24', '::1', '10.0.0.1'] },
  { type: 'cidr', values: ['192.168.0.0/24', '2001:db8::/32'] },
  { type: 'macaddr', values: ['08:00:2b:01:02:03'] },
  { type: 'macaddr8', values: ['08:00:2b:01:02:03:04:05'] },
  { type: 'money', values: ['1234.50', '-92233720368547758.08'] },
  { type: 'bit(3)', values: ['101'] },
  { type: 'bit varying', values: ['10110', ''] },
  { type: 'tsvector', values: ["'cat':1A 'it''s':2 'a \\\\b'", ''] },
  { type: 'tsquery', values: ["'cat' & !'dog'"] },
  { type: 'xml', values: ['<a b="c">d\n</a>', ''] },
  { type: 'point', values: ['(1,2)', '(NaN,-Infinity)'] },
  { type: 'point[]', values: ['{"(1,2)","(3,4)"}'] },
  { type: 'line', values: ['{1,2,3}'] },
  { type: 'lseg', values: ['[(1,2),(3,4)]'] },
  { type: 'box', values: ['(3,4),(1,2)'] },
  { type: 'box[]', values: ['{(3,4),(1,2);(7,8),(5,6)}', '{}', '{NULL;(1,2),(1,2)}'] },
  { type: 'corner[]', values: ['{(3,4),(1,2);(7,8),(5,6)}'] },
  { type: 'path', values: ['[(1,2),(3,4)]', '((1,2),(3,4))'] },
  { type: 'polygon', values: ['((1,2),(3,4),(5,6))'] },
  { type: 'circle', values: ['<(1,2),3>'] },
  { type: 'oid', values: ['4294967295'] },
  { type: 'xid', values: ['4294967295'] },
  { type: 'xid8', values: ['18446744073709551615'] },
  { type: 'pg_lsn', values: ['16/B374D848'] },
  { type: 'tid', values: ['(0,1)'] },
  { type: 'regclass', values: ['pg_class'] },
  { type: 'int2vector', values: ['1 2 3', ''] },
  { type: 'oidvector', values: ['1 2', ''] },
  { type: 'txid_snapshot', values: ['10:20:10,14,15'] },
  { type: 'jsonpath', values: ['$."a"[*] ? (@ > 1)'] },
];

/** Values that only newer servers have, by the first major version that does. */
export const newerCases: readonly (TypeCases & { readonly since: number })[] = [
  { since: 14, type: 'numeric', values: ['Infinity', '-Infinity'] },
  { since: 17, type: 'interval', values: ['infinity', '-infinity'] },
];
