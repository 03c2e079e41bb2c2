import fc from 'fast-check';
import { expect, it } from 'vitest';
import { present } from '../../../base/assert.ts';
import { describePostgres } from '../../servers/suite.ts';
import { compileKey } from '../../../views/expressions/key.ts';
import { compareBy, compareRows } from '../../../views/expressions/order.ts';
import { typeFromName } from '../../../views/expressions/resolve.ts';
import { valueOf } from '../../../views/expressions/text.ts';
import type { Row, StateKey } from '../../../views/value.ts';
import { sameRow } from '../../../views/value.ts';
import { samples } from './values.ts';

/** Texts in the form in which PostgreSQL prints them. */
const ordered: Readonly<Record<string, readonly string[]>> = {
  ...samples,
  numeric: [
    '0',
    '0.00',
    '1',
    '1.0',
    '1.00',
    '-1',
    '0.1',
    '100',
    '1000',
    '9007199254740993',
    '9007199254740993.0',
    '99999999999999999999.5',
    'NaN',
    'Infinity',
    '-Infinity',
  ],
  float4: ['0', '-0', '1', '-1.5', '0.1', 'NaN', 'Infinity', '-Infinity', '1e+10'],
  date: [
    '2024-02-29',
    '2024-03-01',
    '0001-01-01',
    '0044-03-15 BC',
    '12024-01-01',
    'infinity',
    '-infinity',
    '1999-12-31',
  ],
  timestamp: [
    '2024-02-29 00:00:00',
    '2024-02-29 00:00:00.5',
    '2024-02-29 00:00:00.45',
    '0044-03-15 12:00:00 BC',
    '12024-01-01 00:00:00',
    'infinity',
    '-infinity',
  ],
  timestamptz: [
    '2024-02-29 00:00:00+00',
    '2024-02-29 00:00:00.000001+00',
    '1969-12-31 23:59:59+00',
    '0044-03-15 12:00:00+00 BC',
    'infinity',
  ],
  time: ['00:00:00', '23:59:59.999999', '24:00:00', '12:30:00', '12:30:00.5'],
  interval: ['1 day', '24:00:00', '1 mon', '30 days', '-00:00:01', '1 year 2 mons', '1 year 2 mons 1 day', '00:00:00'],
  jsonb: [
    '1',
    '1.0',
    '1.00',
    '"a"',
    'null',
    'true',
    '{}',
    '[]',
    '{"a": 1}',
    '{"a": 1.0}',
    '{"a": 1, "b": 2}',
    '[1, 2]',
    '[1, 2.0]',
    '"1.0"',
  ],
  'int4[]': ['{}', '{1}', '{1,2}', '{2}', '{NULL}', '{1,NULL}', '{{1,2},{3,4}}', '{1,2,3,4}'],
  'text[]': ['{}', '{a}', '{"a b",c}', '{NULL}', '{"NULL"}', '{""}', '{a,b}'],
  'numeric[]': ['{1.0}', '{1}', '{1,2}', '{1.00,2.0}', '{NaN}'],
};

interface Pair {
  readonly type: string;
  readonly a: string;
  readonly b: string;
}

const pair: fc.Arbitrary<Pair> = fc
  .constantFrom(...Object.entries(ordered))
  .chain(([type, texts]) =>
    fc.record({ type: fc.constant(type), a: fc.constantFrom(...texts), b: fc.constantFrom(...texts) }),
  );

function typeNamed(name: string): ReturnType<typeof typeFromName>['type'] {
  return typeFromName([name.replace('[]', '')], [], name.endsWith('[]') ? 1 : 0, 0).type;
}

/** As Map has it. */
function sameKey(a: StateKey | undefined, b: StateKey | undefined): boolean {
  return new Map([[a, true]]).has(b);
}

describePostgres('order and keys of values', (database) => {
  it('follow the comparisons of PostgreSQL for every type', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(pair, { minLength: 300, maxLength: 300 }), async (pairs) => {
        const rows = await database.query(
          `SELECT ${pairs.map(({ type }, n) => `CASE WHEN $${2 * n + 1}::text::${type} < $${2 * n + 2}::text::${type} THEN -1 WHEN $${2 * n + 1}::text::${type} = $${2 * n + 2}::text::${type} THEN 0 ELSE 1 END AS c${n}`).join(', ')}`,
          pairs.flatMap(({ a, b }) => [a, b]),
        );
        const wanted = present(rows[0], 'row');
        for (const [n, { type: name, a, b }] of pairs.entries()) {
          const type = typeNamed(name);
          const [left, right]: [Row, Row] = [[valueOf(a, type)], [valueOf(b, type)]];
          const order = Number(wanted[`c${n}`]);
          const up = compareBy([{ position: 0, type, descending: false, nullsFirst: false }]);
          const down = compareBy([{ position: 0, type, descending: true, nullsFirst: false }]);
          const key = compileKey([type], [0], 'skip');
          const pairKey = compileKey([type, type], [0, 0], 'keep');
          const got = {
            up: Math.sign(up(left, right)) + 0,
            down: Math.sign(down(left, right)) + 0,
            key: sameKey(key(left), key(right)),
            pairKey: sameKey(pairKey(left), pairKey(right)),
            same: compareRows([type])(left, right) === 0,
          };
          expect({ name, a, b, ...got }).toEqual({
            name,
            a,
            b,
            up: order,
            down: 0 - order,
            key: order === 0,
            pairKey: order === 0,
            same: sameRow(left, right),
          });
        }
      }),
      { numRuns: 6 },
    );
  });

  it('keep NULLs apart from values, and out of joins', () => {
    const text = typeNamed('text');
    const rows: Row[] = [
      [null, 'a'],
      ['a', null],
      ['n', 'n'],
      [null, null],
      ['', '1:a'],
      ['1:a', ''],
      ['a', 'a'],
    ];
    const keep = compileKey([text, text], [0, 1], 'keep');
    const skip = compileKey([text, text], [0, 1], 'skip');
    expect(new Set(rows.map(keep)).size).toBe(rows.length);
    expect(rows.filter((row) => skip(row) === undefined)).toEqual([
      [null, 'a'],
      ['a', null],
      [null, null],
    ]);
    expect([compileKey([text], [0], 'skip')([null]), compileKey([text], [0], 'keep')([null])]).toEqual([
      undefined,
      null,
    ]);
  });

  it('put NULLs where ORDER BY says', () => {
    const type = typeNamed('int4');
    const sorted = (descending: boolean, nullsFirst: boolean): unknown[] =>
      [[2], [null], [1]].toSorted(compareBy([{ position: 0, type, descending, nullsFirst }])).flat();
    expect(sorted(false, false)).toEqual([1, 2, null]);
    expect(sorted(false, true)).toEqual([null, 1, 2]);
    expect(sorted(true, true)).toEqual([null, 2, 1]);
    expect(sorted(true, false)).toEqual([2, 1, null]);
  });
});
