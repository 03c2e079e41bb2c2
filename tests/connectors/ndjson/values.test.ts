import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copyIsoTime, isoTimeBytesMax } from '../../../connectors/ndjson/iso-time.ts';
import { columnTypeNames, parseColumnType } from '../../../model/column-type.ts';
import { columnInput } from '../../../service/ndjson-plan.ts';
import { present } from '../../../base/assert.ts';
import { Bench, table } from './harness.ts';

/** Takes one line per value into a table of one column; gives the texts that the log has, or what was wrong with the last. */
async function taken(type: string, values: readonly string[]): Promise<(string | null | undefined)[]> {
  const bench = await Bench.open();
  const text = values.map((value) => `{"v":${value}}\n`).join('');
  await bench.write(text);
  bench.start([table('t', { v: type })]);
  await bench.reaches(Buffer.byteLength(text));
  return (await bench.rows()).map(([value]) => value);
}

async function refused(type: string, value: string): Promise<string> {
  const bench = await Bench.open();
  await bench.write(`{"v":${value}}\n`);
  bench.start([table('t', { v: type })]);
  return (await bench.failure()).message.replace(`${bench.path}:1: `, '');
}

describe('a value of a line', () => {
  it.each([
    ['smallint', ['1', '-32768', '"7"', '-0'], ['1', '-32768', '7', '0']],
    ['int', ['123456789', '2147483647', '" 5 "'], ['123456789', '2147483647', '5']],
    ['bigint', ['9007199254740993', '-9223372036854775808'], ['9007199254740993', '-9223372036854775808']],
    [
      'numeric',
      ['1.50', '-0.0', '1e3', '12345678901234567890.123456789', '"NaN"'],
      ['1.50', '0.0', '1000', '12345678901234567890.123456789', 'NaN'],
    ],
    ['numeric(8,2)', ['1.005', '3'], ['1.01', '3.00']],
    ['double precision', ['1', '0.1', '1e300', '"-Infinity"'], ['1', '0.1', '1e+300', '-Infinity']],
    ['real', ['0.1', '16777217'], ['0.1', '1.6777216e+07']],
    ['boolean', ['true', 'false', '"yes"'], ['t', 'f', 't']],
    [
      'text',
      ['"é\\n\\"x"', '12.0', 'true', '{"a": 1}', '[1, 2]', '""', 'null'],
      ['é\n"x', '12.0', 'true', '{"a": 1}', '[1, 2]', '', null],
    ],
    ['varchar(3)', ['"abc"', '"abc  "'], ['abc', 'abc']],
    ['char(3)', ['"a"'], ['a  ']],
    ['bytea', ['"\\\\x00FF"', '"a"'], ['\\x00ff', '\\x61']],
    ['uuid', ['"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"'], ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']],
    ['date', ['"2024-02-29"', '"20240301"'], ['2024-02-29', '2024-03-01']],
    ['time', ['"12:30"'], ['12:30:00']],
    ['timestamp', ['"2024-01-01T10:00:00.120"'], ['2024-01-01 10:00:00.12']],
    [
      'timestamptz',
      [
        '"2024-01-01T10:00:00Z"',
        '"2024-01-01T10:00:00.5+02:00"',
        '"2024-12-31 23:59:59.123456Z"',
        '"1999-01-08T04:05:06.100Z"',
        '"infinity"',
      ],
      [
        '2024-01-01 10:00:00+00',
        '2024-01-01 08:00:00.5+00',
        '2024-12-31 23:59:59.123456+00',
        '1999-01-08 04:05:06.1+00',
        'infinity',
      ],
    ],
    ['interval', ['"1 day 2 hours"', '"PT36H"'], ['1 day 02:00:00', '36:00:00']],
    ['json', ['{"b":1,  "a":2}', '"x\\u0041"', '1.0', 'true'], ['{"b":1,  "a":2}', '"x\\u0041"', '1.0', 'true']],
    ['jsonb', ['{"b":1,  "a":2}', '"x\\u0041"', '1.0'], ['{"a": 2, "b": 1}', '"xA"', '1.0']],
    ['int[]', ['[1, 2,null]', '[]', '[[1],[2]]', '"{3,4}"'], ['{1,2,NULL}', '{}', '{{1},{2}}', '{3,4}']],
    ['text[]', ['["a","b c","d\\"\\\\","", "NULL", true]'], ['{a,"b c","d\\"\\\\","","NULL",true}']],
    ['json[]', ['[{"a":[1]},[2, "x"],"y",null]'], ['{"{\\"a\\":[1]}","[2, \\"x\\"]","\\"y\\"",NULL}']],
  ] as const)('is read into %s as PostgreSQL reads it', async (type, given, wanted) => {
    expect(await taken(type, given)).toEqual(wanted);
  });

  it.each([
    ['smallint', '1e2', /is no smallint: invalid input syntax for type smallint: "1e2"/],
    ['int', '1.0', /is no integer: invalid input syntax for type integer: "1\.0"/],
    ['varchar(3)', '"abcd"', /value too long for type character varying\(3\)/],
    ['timestamptz', '"2024-02-30T00:00:00Z"', /is no timestamp with time zone: date\/time field value out of range/],
    ['timestamptz', '"2024-13-01T00:00:00Z"', /date\/time field value out of range/],
    ['timestamptz', '"2024-01-01T25:00:00Z"', /date\/time field value out of range/],
    ['boolean', '1.5', /invalid input syntax for type boolean/],
    ['int[]', '{"a":1}', /is no integer\[\]: /],
    ['jsonb', '"\\u0000"', /unsupported Unicode escape sequence|NUL/],
  ])('is refused by %s: %s', async (type, value, why) => {
    expect(await refused(type, value)).toMatch(why);
  });
});

describe('the type of a column', () => {
  it('is understood under every name that values can be read by', () => {
    for (const name of columnTypeNames) {
      const type = present(parseColumnType(name.toUpperCase()), name);
      expect(typeof columnInput(type), name).toBe('function');
      expect(parseColumnType(type.declared), name).toEqual(type);
      const array = present(parseColumnType(`${name}[]`), name);
      expect(columnInput(array)('{}'), name).toBe('{}');
    }
  });

  it.each([
    ['int8', 'bigint'],
    ['NUMERIC( 12 , 2 )', 'numeric(12,2)'],
    ['varchar(20)[]', 'character varying(20)[]'],
    ['timestamp(3) with time zone', 'timestamp(3) with time zone'],
    ['timestamptz(3)', 'timestamp(3) with time zone'],
    ['char', 'character(1)'],
    ['text[3][]', 'text[]'],
  ])('%s is %s', (text, declared) => {
    expect(parseColumnType(text)?.declared).toBe(declared);
  });

  it.each([
    '',
    'serial',
    'bigint(3)',
    'varchar(0)',
    'numeric(1001)',
    'numeric(5,2,1)',
    'timestamptz(7)',
    'text with time zone',
    'int; drop',
  ])('%s is none', (text) => {
    expect(parseColumnType(text)).toBeNull();
  });
});

/** A number of so many digits, from 0 on. */
function digits(most: number, width: number): fc.Arbitrary<string> {
  return fc.nat(most).map((value) => String(value).padStart(width, '0'));
}

describe('a time in the usual form', () => {
  it.each(['timestamptz', 'timestamp'])('is what the input function of %s makes of it', (type) => {
    const hasZone = type === 'timestamptz';
    const { input } = present(table('t', { at: type }).columns[0], 'a column');
    const parts = fc.tuple(
      digits(9999, 4),
      digits(13, 2),
      digits(32, 2),
      fc.constantFrom('T', ' ', 't'),
      digits(25, 2),
      digits(61, 2),
      digits(61, 2),
      fc.constantFrom('', '.', '.0', '.10', '.000000', '.123456', '.9999999', '.5x'),
      fc.constantFrom('Z', '', '+00'),
    );
    let copied = 0;
    fc.assert(
      fc.property(parts, ([year, month, day, t, hour, minute, second, fraction, zone]) => {
        const text = `${year}-${month}-${day}${t}${hour}:${minute}:${second}${fraction}${zone}`;
        const into = Buffer.alloc(isoTimeBytesMax);
        const bytes = Buffer.from(`"${text}"`);
        const end = copyIsoTime(bytes, 1, bytes.length - 1, hasZone, into, 0);
        if (end < 0) return;
        copied++;
        expect(into.toString('latin1', 0, end)).toBe(input(text));
      }),
      { numRuns: 3000 },
    );
    expect(copied).toBeGreaterThan(50);
  });
});
