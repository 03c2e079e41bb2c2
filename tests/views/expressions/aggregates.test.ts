import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { present } from '../../../base/assert.ts';
import { fixedOf } from '../../../views/expressions/aggregates/exact-float.ts';
import { compileRow } from '../../../views/expressions/compile.ts';
import { RowError } from '../../../views/expressions/expression.ts';
import type { AggregateFunction, Expression } from '../../../views/expressions/expression.ts';
import { callAggregate } from '../../../views/expressions/resolve.ts';
import { textOf, valueOf } from '../../../views/expressions/text.ts';
import { sqlScalar } from '../../../views/type.ts';
import type { SqlName, SqlType } from '../../../views/type.ts';
import type { Value } from '../../../views/value.ts';
import { describePostgres } from '../../servers/suite.ts';
import { postgresAnswers } from './select-list.ts';

interface Group {
  readonly name: string;
  readonly types: readonly SqlType[];
  /** Texts as PostgreSQL prints them; null for NULL. In the order in which they are aggregated. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** Rows that are added and taken out again. */
  readonly gone: readonly (readonly (string | null)[])[];
}

function bind({ name, types }: Group): AggregateFunction {
  const args = types.map((type, id): Expression => ({ kind: 'column', id, type }));
  return callAggregate(name, args, { id: 99, distinct: false, order: [], filter: null }, 0).fn;
}

/** As the aggregate operator does: NULLs left out where the function says so, rows that go after others have come. */
function here(group: Group): string {
  const fn = bind(group);
  const values = (rows: Group['rows']): Value[][] =>
    rows
      .map((row) =>
        row.map((text, index) => (text === null ? null : valueOf(text, present(group.types[index], 'type')))),
      )
      .filter((args) => !fn.skipsNull || args[0] !== null);
  try {
    const result =
      fn.linear === null ? collected(fn, values(group.rows)) : accumulated(fn, values(group.rows), values(group.gone));
    if (typeof result === 'boolean') return String(result);
    return result === null ? 'NULL' : textOf(result, fn.result);
  } catch (error) {
    if (error instanceof RowError) return `!${error.sqlState} ${error.message}`;
    throw error;
  }
}

function accumulated(fn: AggregateFunction, rows: readonly Value[][], gone: readonly Value[][]): Value {
  const linear = present(fn.linear, 'accumulator');
  const state: Value[] = ['before'];
  linear.init(state, 1);
  for (const [index, args] of rows.entries()) {
    const extra = gone[index];
    if (extra !== undefined) linear.add(state, 1, extra, 1);
    linear.add(state, 1, args, 1);
  }
  for (const args of gone.slice(rows.length)) linear.add(state, 1, args, 1);
  for (const args of gone) linear.add(state, 1, args, -1);
  expect(state[0]).toBe('before');
  expect(state.length).toBe(1 + linear.slots);
  return linear.result(state, 1);
}

function collected(fn: AggregateFunction, rows: readonly Value[][]): Value {
  return present(fn.collect, 'collect')(rows.map((args) => ({ args, weight: 1 })));
}

const collation = new Set(['text', 'bpchar', 'varchar']);

function literal(text: string | null): string {
  return text === null ? 'NULL' : `'${text.replaceAll("'", "''")}'`;
}

function asSql({ name, types, rows }: Group): string {
  const columns = types.map((type, index) => {
    const spelled = sqlName(type);
    const collate = type.kind === 'scalar' && collation.has(type.name) ? ' COLLATE "C"' : '';
    return `c${index}::${spelled}${collate}`;
  });
  const nothing = types.map(() => ', NULL').join('');
  const values =
    rows.length === 0
      ? `SELECT 1${nothing} WHERE false`
      : `VALUES ${rows.map((row, at) => `(${at}${row.map((text) => `, ${literal(text)}::text`).join('')})`).join(', ')}`;
  const args = columns.length === 0 ? '*' : `${columns.join(', ')} ORDER BY n`;
  return `SELECT ${name}(${args}) FROM (${values}) AS t(n${types.map((_, index) => `, c${index}`).join('')})`;
}

function sqlName(type: SqlType): string {
  return type.kind === 'array' ? `${sqlName(type.element)}[]` : type.kind === 'scalar' ? type.name : 'record';
}

const samples: Partial<Record<SqlName, readonly string[]>> = {
  bool: ['t', 'f'],
  int2: ['0', '1', '-1', '7', '32767', '-32768'],
  int4: ['0', '1', '-1', '42', '2147483647', '-2147483648'],
  int8: ['0', '1', '-1', '9007199254740993', '9223372036854775807', '-9223372036854775808'],
  numeric: [
    '0',
    '0.00',
    '1.50',
    '-2.75',
    '100',
    '99999999999999.99',
    '0.000000000000000001',
    '-12345678901234567890.123',
    '3.333',
    'NaN',
    'Infinity',
    '-Infinity',
  ],
  text: ['', 'a', 'b"c\\', "o'x", 'é😀', 'NULL', 'x y', '{1}'],
  bytea: ['\\x', '\\x00ff', '\\xdead'],
  date: ['2026-01-31', '0044-03-15 BC', 'infinity', '12345-01-01'],
  timestamp: ['2026-01-31 12:00:00', '1999-12-31 23:59:59.999999', '-infinity', '0044-03-15 00:00:00 BC'],
  timestamptz: ['2026-01-31 12:00:00+00', '1999-12-31 23:59:59.5+00'],
  interval: ['1 mon', '1 day', '-1 days +02:00:00', '100:00:00.5', '1 year 2 mons', '00:00:00'],
  json: ['{"a": 1}', '[1, 2]', 'null', '"x"', '1.50'],
  jsonb: ['{"a": 1}', '[1, 2]', 'null', '"x"', '1.50'],
  uuid: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
};

const numbers = ['int2', 'int4', 'int8', 'numeric'] as const;
const array: SqlType = { kind: 'array', element: sqlScalar('int4') };

function scalarTypes(...names: readonly SqlName[]): SqlType[] {
  return names.map(sqlScalar);
}

const signatures: readonly (readonly [name: string, ...types: (readonly SqlType[])[]])[] = [
  ['count', scalarTypes(), scalarTypes('text'), scalarTypes('int4')],
  ...['sum', 'avg', 'variance', 'var_pop', 'stddev', 'stddev_pop', 'stddev_samp', 'var_samp'].map(
    (name) => [name, ...numbers.map((type) => scalarTypes(type))] as const,
  ),
  ['sum', scalarTypes('interval')],
  ['avg', scalarTypes('interval')],
  ...['bool_and', 'bool_or', 'every'].map((name) => [name, scalarTypes('bool')] as const),
  ...['bit_and', 'bit_or', 'bit_xor'].map((name) => [name, scalarTypes('int4'), scalarTypes('int8')] as const),
  ['string_agg', scalarTypes('text', 'text'), scalarTypes('bytea', 'bytea')],
  ['array_agg', ...Object.keys(samples).map((type) => scalarTypes(type as SqlName)), [array]],
  ...['json_agg', 'jsonb_agg', 'json_agg_strict', 'jsonb_agg_strict'].map(
    (name) => [name, ...Object.keys(samples).map((type) => scalarTypes(type as SqlName)), [array]] as const,
  ),
  ...['json_object_agg', 'jsonb_object_agg', 'json_object_agg_strict'].map(
    (name) =>
      [
        name,
        scalarTypes('text', 'int4'),
        scalarTypes('int4', 'numeric'),
        scalarTypes('bool', 'json'),
        scalarTypes('timestamp', 'jsonb'),
        scalarTypes('numeric', 'date'),
        scalarTypes('json', 'date'),
      ] as const,
  ),
];

const group: fc.Arbitrary<Group> = fc
  .constantFrom(...signatures.flatMap(([name, ...all]) => all.map((types) => ({ name, types }))))
  .chain(({ name, types }) => {
    const row = fc.tuple(...types.map((type) => fc.option(textOfType(type), { nil: null, freq: 6 })));
    return fc.record({
      name: fc.constant(name),
      types: fc.constant(types),
      rows: fc.array(row, { maxLength: 6 }),
      gone: fc.array(row, { maxLength: 4 }),
    });
  });

function textOfType(type: SqlType): fc.Arbitrary<string> {
  if (type.kind === 'array') return fc.constantFrom('{1,2}', '{3,NULL}', '{}', '{{1,2}}', '[0:1]={5,6}');
  const name = type.kind === 'scalar' ? type.name : 'text';
  return fc.constantFrom(...(samples[name] ?? []));
}

describePostgres('aggregates', (database) => {
  it('give the results of PostgreSQL, to the digit, when rows have come and gone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(group, { minLength: 400, maxLength: 400 }), async (groups) => {
        const answers = await postgresAnswers(database, groups.map(asSql));
        const wrong = groups
          .map((one, index) => ({ sql: asSql(one), gone: one.gone, postgres: answers[index], here: here(one) }))
          .filter((one) => one.postgres !== one.here);
        expect(wrong).toEqual([]);
      }),
      { numRuns: 5, endOnFailure: true },
    );
  });
});

const float = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value / 8),
  fc.constantFrom(0.1, -0.1, 1e16, -1e16, 1, 5e-324, -5e-324, 2 ** -1022, 1e300, -1e300, 0, -0, 0.3),
);

function floatSum(rows: readonly number[], gone: readonly number[]): string {
  const types = scalarTypes('float8');
  return here({
    name: 'sum',
    types,
    rows: rows.map((value) => [textOf(value, sqlScalar('float8'))]),
    gone: gone.map((value) => [textOf(value, sqlScalar('float8'))]),
  });
}

it('sum floats exactly, whatever has come and gone, and round once', () => {
  fc.assert(
    fc.property(fc.array(float, { minLength: 1, maxLength: 12 }), fc.array(float, { maxLength: 6 }), (rows, gone) => {
      // A multiple of 2^-1074 is the same multiple of 5^1074 over 10^1074, which the engine's own reading of decimals rounds.
      const exact = rows.reduce((sum, value) => sum + fixedOf(value), 0n);
      const rounded = Number(`${exact * 5n ** 1074n}e-1074`);
      const zero = rows.every((value) => Object.is(value, -0)) ? -0 : 0;
      const expected = Number.isFinite(rounded)
        ? textOf(rounded === 0 ? zero : rounded, sqlScalar('float8'))
        : '!22003 value out of range: overflow';
      expect(floatSum(rows, gone)).toBe(expected);
    }),
    { numRuns: 2000 },
  );
});

it('give a row that is there several times its weight', () => {
  const state: Value[] = [];
  for (const [name, type, text, expected] of [
    ['sum', 'int4', '7', '21'],
    ['sum', 'int8', '9007199254740993', '27021597764222979'],
    ['sum', 'numeric', '1.10', '3.30'],
    ['sum', 'numeric', '12345678901234567890.5', '37037036703703703671.5'],
    ['sum', 'float8', '0.1', '0.30000000000000004'],
    ['avg', 'numeric', '1.10', '1.10000000000000000000'],
    ['sum', 'interval', '1 day 01:00:00', '3 days 03:00:00'],
    ['variance', 'int4', '7', '0'],
    ['var_pop', 'float8', '0.1', '0'],
  ] as const) {
    const fn = bind({ name, types: scalarTypes(type), rows: [], gone: [] });
    const linear = present(fn.linear, name);
    linear.init(state, 0);
    linear.add(state, 0, [valueOf(text, sqlScalar(type))], 5);
    linear.add(state, 0, [valueOf(text, sqlScalar(type))], -2);
    expect(textOf(linear.result(state, 0), fn.result), `${name}(${type})`).toBe(expected);
    linear.add(state, 0, [valueOf(text, sqlScalar(type))], -3);
    const fresh: Value[] = [];
    linear.init(fresh, 0);
    expect(state.slice(0, linear.slots), `${name}(${type}) is as new`).toEqual(fresh);
  }
});

it('repeat a row in what is put together as often as it is there', () => {
  for (const [name, type, expected] of [
    ['string_agg', 'text', 'a-a-b'],
    ['array_agg', 'text', '{a,a,b}'],
    ['json_agg', 'text', '["a", "a", "b"]'],
  ] as const) {
    const types = name === 'string_agg' ? scalarTypes(type, type) : scalarTypes(type);
    const { collect } = bind({ name, types, rows: [], gone: [] });
    const rows = [
      { args: ['a', '-'], weight: 2 },
      { args: ['b', '-'], weight: 1 },
    ];
    expect(present(collect, name)(rows)).toBe(expected);
  }
});

describePostgres('aggregates over floats and rows', (database) => {
  it('have the variance of PostgreSQL but for its rounding', async () => {
    const samplesOfFloats = ['1', '2.5', '-3.25', '1e10', '0.1', '1e-7', '12345.678'];
    for (const name of ['variance', 'var_pop', 'stddev', 'stddev_pop', 'avg', 'sum']) {
      for (const count of [1, 2, 5, 7]) {
        const rows = samplesOfFloats.slice(0, count).map((text) => [text]);
        const one: Group = { name, types: scalarTypes('float8'), rows, gone: [['7e5'], ['-0.3']] };
        const [postgres = ''] = await postgresAnswers(database, [asSql(one)]);
        const own = here(one);
        if (postgres === 'NULL') expect(own).toBe('NULL');
        else expect(Math.abs(Number(own) - Number(postgres))).toBeLessThanOrEqual(Math.abs(Number(postgres)) * 1e-12);
      }
    }
  });

  it('put rows into JSON as PostgreSQL lays them out', async () => {
    const types = scalarTypes('int4', 'text', 'timestamptz');
    const rows = [
      ['1', 'a "b"', '2026-01-31 12:00:00+00'],
      ['2', null, null],
    ];
    const fields = types.map((type, id): Expression => ({ kind: 'column', id, type }));
    const names = ['id', 'name', 'at'];
    const record: SqlType = {
      kind: 'record',
      fields: types.map((type, index) => ({ name: names[index] ?? '', type })),
    };
    const layout = new Map(types.map((_, index) => [index, index]));
    for (const name of ['json_agg', 'jsonb_agg', 'array_agg']) {
      const row: Expression = { kind: 'row', fields, type: record };
      const call = callAggregate(name, [row], { id: 99, distinct: false, order: [], filter: null }, 0);
      const argument = compileRow(call.args, layout);
      const values = rows.map((texts) =>
        texts.map((text, index) => (text === null ? null : valueOf(text, present(types[index], 'type')))),
      );
      const result = present(call.fn.collect, name)(values.map((value) => ({ args: argument(value), weight: 1 })));
      const [postgres] = await postgresAnswers(database, [
        `SELECT ${name}(t) FROM (VALUES (1, 'a "b"', timestamptz '2026-01-31 12:00Z'), (2, NULL, NULL)) AS t(id, name, at)`,
      ]);
      expect(result).toBe(postgres);
    }
  });
});
