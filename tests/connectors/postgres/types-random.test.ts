import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { present } from '../../../base/assert.ts';
import type { DataType } from '../../../model/data-type.ts';
import { describePostgres } from '../../servers/suite.ts';
import { arrayOf, rowOf, typesSetup } from './types-cases.ts';
import { compareWithToJson, sessionSettings, typesByName } from './types-oracle.ts';

const text = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ unit: fc.constantFrom(...Array.from('"\\{}(),;\'\t\n\r\u0001\u007f NULnul=[]')), maxLength: 12 }),
  )
  .map((value) => value.replaceAll('\0', ''));

const digits = (max: number): Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...Array.from('0123456789')), minLength: 1, maxLength: max });
const numeric = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(fc.constantFrom('', '-'), digits(60), digits(40)).map(([sign, a, b]) => `${sign}${a}.${b}`),
  },
  { weight: 2, arbitrary: fc.tuple(digits(20), fc.integer({ min: -300, max: 300 })).map(([a, e]) => `${a}e${e}`) },
  { weight: 1, arbitrary: fc.constant('NaN') },
);

const double = fc.double().map((value) => (Object.is(value, -0) ? '-0' : String(value)));
const float = fc.float().map((value) => (Object.is(value, -0) ? '-0' : String(value)));

const two = (value: number): string => String(value).padStart(2, '0');
const date = fc
  .tuple(fc.integer({ min: 1, max: 290000 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }))
  .map(([year, month, day]) => `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`);
const dateBc = fc.integer({ min: 1, max: 4700 }).map((year) => `${String(year).padStart(4, '0')}-02-03`);
const time = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 59_999_999 }))
  .map(
    ([hour, minute, us]) =>
      `${two(hour)}:${two(minute)}:${two(Math.floor(us / 1e6))}.${String(us % 1e6).padStart(6, '0')}`,
  );
const offset = fc
  .tuple(
    fc.constantFrom('+', '-'),
    fc.integer({ min: 0, max: 15 }),
    fc.integer({ min: 0, max: 59 }),
    fc.integer({ min: 0, max: 59 }),
  )
  .map(
    ([sign, hour, minute, second]) => `${sign}${two(hour)}:${two(minute)}${second % 3 === 0 ? '' : `:${two(second)}`}`,
  );
const timestamp = fc.oneof(
  fc.tuple(date, time).map((parts) => parts.join(' ')),
  fc.tuple(dateBc, time).map((parts) => `${parts.join(' ')} BC`),
);
const timestamptz = fc.oneof(
  fc.tuple(date, time, offset).map(([day, clock, zone]) => `${day} ${clock}${zone}`),
  fc.tuple(dateBc, time, offset).map(([day, clock, zone]) => `${day} ${clock}${zone} BC`),
);
const interval = fc
  .tuple(fc.integer({ min: -4000, max: 4000 }), fc.integer({ min: -4000, max: 4000 }), fc.maxSafeInteger())
  .map(([months, days, us]) => `${months} months ${days} days ${us} microseconds`);

const json = fc
  .tuple(fc.jsonValue({ stringUnit: 'grapheme' }), fc.integer({ min: 0, max: 3 }))
  .map(([value, indent]) => JSON.stringify(value, null, indent).replaceAll('\\u0000', ''));

const orNull = <T>(value: Arbitrary<T>): Arbitrary<T | null> => fc.option(value, { freq: 5 });

/** Arrays of one to three dimensions, every part of one dimension as long as the next, at times with other lower bounds. */
function arrays(element: Arbitrary<string>, delimiter = ','): Arbitrary<string> {
  const sizes = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 });
  const shaped = fc.tuple(sizes, fc.option(fc.integer({ min: -5, max: 5 }))).chain(([dimensions, low]) => {
    const count = dimensions.reduce((product, size) => product * size, 1);
    const bounds = low === null ? '' : `${dimensions.map((size) => `[${low}:${low + size - 1}]`).join('')}=`;
    return fc
      .array(orNull(element), { minLength: count, maxLength: count })
      .map((values) => `${bounds}${nest(values, dimensions, delimiter)}`);
  });
  return fc.oneof({ weight: 9, arbitrary: shaped }, { weight: 1, arbitrary: fc.constant('{}') });
}

function nest(values: readonly (string | null)[], [size = 1, ...inner]: readonly number[], delimiter: string): string {
  if (inner.length === 0) return arrayOf(values, delimiter);
  const length = values.length / size;
  const parts = Array.from({ length: size }, (_, part) =>
    nest(values.slice(part * length, (part + 1) * length), inner, delimiter),
  );
  return `{${parts.join(delimiter)}}`;
}

function rows(...fields: Arbitrary<string>[]): Arbitrary<string> {
  return fc.tuple(...fields.map(orNull)).map((values) => rowOf(values));
}

const box = fc
  .tuple(fc.integer(), fc.integer(), fc.integer(), fc.integer())
  .map(([a, b, c, d]) => `(${a},${b}),(${c},${d})`);
const address = rows(
  text,
  text.map((value) => Array.from(value).slice(0, 10).join('')),
  arrays(text),
  timestamptz,
);
const bool = fc.boolean().map(String);

const arbitraries: Readonly<Record<string, Arbitrary<string>>> = {
  smallint: fc.integer({ min: -32768, max: 32767 }).map(String),
  integer: fc.integer().map(String),
  bigint: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  numeric,
  'double precision': double,
  real: float,
  text,
  'character(20)': text.map((value) => Array.from(value).slice(0, 20).join('')),
  bytea: fc.uint8Array().map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  uuid: fc.uuid(),
  date: fc.oneof(
    date,
    dateBc.map((day) => `${day} BC`),
  ),
  time,
  'time with time zone': fc.tuple(time, offset).map((parts) => parts.join('')),
  timestamp,
  timestamptz,
  interval,
  json,
  jsonb: json,
  'integer[]': arrays(fc.integer().map(String)),
  'double precision[]': arrays(double),
  'text[]': arrays(text),
  'timestamptz[]': arrays(timestamptz),
  'json[]': arrays(json),
  'bytea[]': arrays(fc.uint8Array().map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`)),
  'box[]': arrays(box, ';'),
  address,
  'address[]': arrays(address),
  person: rows(fc.integer().map(String), text, address, arrays(address), double, json, bool),
  'person[]': arrays(rows(fc.integer().map(String), text, address, arrays(address), double, json, bool)),
  int4range: fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: 10, max: 99 })).map(([a, b]) => `[${a},${b}]`),
  'bit varying': fc.string({ unit: fc.constantFrom('0', '1') }),
};

describePostgres('random values of PostgreSQL', (database) => {
  let types: Map<string, DataType>;
  const query = async (sql: string, values?: readonly unknown[]) => database.query(sql, values);

  beforeAll(async () => {
    await database.query(sessionSettings);
    await database.query(typesSetup);
    types = await typesByName(query, Object.keys(arbitraries));
  });

  it.each(Object.entries(arbitraries))('of type %s have the JSON that to_json prints', async (declared, arbitrary) => {
    const type = present(types.get(declared), declared);
    await fc.assert(
      fc.asyncProperty(fc.array(arbitrary, { minLength: 100, maxLength: 200 }), async (literals) => {
        expect(await compareWithToJson(query, type, declared, literals)).toEqual([]);
      }),
      { numRuns: 3 },
    );
  });
});
