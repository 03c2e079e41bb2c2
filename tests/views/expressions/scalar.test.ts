import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { call } from './generate.ts';
import { present } from '../../../base/assert.ts';
import { answerOf, bothRefuse, installOracle, oracleAnswers, sqlOf } from './oracle.ts';
import type { Sql } from './oracle.ts';

describePostgres('scalar expressions', (database) => {
  beforeAll(async () => installOracle(database));

  it('have the values, types and errors that PostgreSQL gives', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(call(2), { minLength: 300, maxLength: 300 }), async (expressions) => {
        const wanted = await oracleAnswers(database, expressions);
        for (const [index, sql] of expressions.entries()) {
          const answer = present(wanted[index], 'answer');
          const got = answerOf(sql);
          if (!bothRefuse(answer, got)) expect({ sql: sqlOf(sql), ...got }).toEqual({ sql: sqlOf(sql), ...answer });
        }
      }),
      // What failed is one expression, told by the assertion; shrinking the others around it would ask the server thousands of times.
      { numRuns: 20, endOnFailure: true },
    );
  });

  it('cast arrays element by element as PostgreSQL does', async () => {
    const arrays = [
      '{}',
      '{1}',
      '{1,NULL,3}',
      '{{1,2},{3,4}}',
      '[0:1]={5,6}',
      '{ 7 , "8" }',
      '{1.50}',
      '{a b,"c\\"d"}',
      '{',
      '{1,{2}}',
      '{"NULL"}',
      '{99999}',
      '{abcdef}',
      '{,}',
    ];
    const element = fc.constantFrom(
      'int2[]',
      'int8[]',
      'numeric[]',
      'float8[]',
      'text[]',
      'varchar[]',
      'bpchar[]',
      'bool[]',
    );
    const cast = fc
      .tuple(
        fc.constantFrom(...arrays),
        element,
        fc.constantFrom('', 'text', 'int4[]', 'numeric[]', 'text[]', 'fitted'),
        fc.boolean(),
      )
      .map(([text, type, to, typed]): Sql => {
        const literal: Sql = { kind: 'literal', text };
        const arg: Sql = typed
          ? { kind: 'cast', arg: { kind: 'cast', arg: literal, type: 'text' }, type }
          : { kind: 'cast', arg: literal, type };
        if (to === 'fitted') return { kind: 'cast', arg, type: 'varchar[]', typmods: [2] };
        return to === '' ? arg : { kind: 'cast', arg, type: to };
      });
    await fc.assert(
      fc.asyncProperty(fc.array(cast, { minLength: 300, maxLength: 300 }), async (expressions) => {
        const wanted = await oracleAnswers(database, expressions);
        for (const [index, sql] of expressions.entries()) {
          const answer = present(wanted[index], 'answer');
          const got = answerOf(sql);
          if (!bothRefuse(answer, got)) expect({ sql: sqlOf(sql), ...got }).toEqual({ sql: sqlOf(sql), ...answer });
        }
      }),
      { numRuns: 3, endOnFailure: true },
    );
  });

  it('raise numbers to whole powers as PostgreSQL does', async () => {
    const numbers = fc.constantFrom(
      '0',
      '1',
      '-1',
      '2',
      '10',
      '0.5',
      '-2.5',
      '1.01',
      '0.001',
      '12345.678',
      'NaN',
      'Infinity',
      '-Infinity',
    );
    const power = fc
      .tuple(
        fc.constantFrom('numeric', 'float8'),
        numbers,
        fc.integer({ min: -40, max: 60 }),
        fc.constantFrom('power', '^'),
      )
      .map(([type, base, exponent, name]): Sql => {
        const args: Sql[] = [
          { kind: 'column', type, text: base },
          { kind: 'column', type, text: String(exponent) },
        ];
        return name === '^' ? { kind: 'operator', name, args } : { kind: 'function', name, args };
      });
    await fc.assert(
      fc.asyncProperty(fc.array(power, { minLength: 300, maxLength: 300 }), async (expressions) => {
        const wanted = await oracleAnswers(database, expressions);
        for (const [index, sql] of expressions.entries()) {
          const got = answerOf(sql);
          const answer = present(wanted[index], 'answer');
          // Which double is printed depends on the C library that PostgreSQL was built with, in the last digit.
          const near = got.type === 'double precision' && isNear(Number(got.value), Number(answer.value));
          if (!near) expect({ sql: sqlOf(sql), ...got }).toEqual({ sql: sqlOf(sql), ...answer });
        }
      }),
      { numRuns: 4 },
    );
  });

  it('print numbers by to_char templates as PostgreSQL does', async () => {
    const digits = fc.array(fc.constantFrom('9', '9', '9', '0', ',', 'G', ' '), { maxLength: 8 });
    const template = fc
      .tuple(
        fc.constantFrom('', '', 'FM', 'fm'),
        fc.constantFrom('', '', 'S', 'MI', 'SG', 'PL', 'L', '$'),
        digits,
        fc.constantFrom('', '.', 'D', '.9', '.00', 'D990'),
        fc.constantFrom('', '', 'S', 'MI', 'PR', 'th', 'TH', '%', '"text"', ' kg', '€'),
      )
      .map(([fill, before, middle, after, end]) => [fill, before, ...middle, after, end].join(''));
    const value = fc.oneof(
      fc.tuple(
        fc.constant('numeric'),
        fc.constantFrom('0', '0.1', '-0.1', '12', '-12.5', '123.456', '-0.05', '1234567.891', '999.995', '0.004'),
      ),
      fc.tuple(fc.constantFrom('int4', 'int8'), fc.constantFrom('0', '1', '-1', '11', '21', '102', '1000', '-1234567')),
    );
    const calls = fc.tuple(value, template).map(([[type, text], format]): Sql => ({
      kind: 'function',
      name: 'to_char',
      args: [
        { kind: 'column', type, text },
        { kind: 'literal', text: format },
      ],
    }));
    await fc.assert(
      fc.asyncProperty(fc.array(calls, { minLength: 400, maxLength: 400 }), async (expressions) => {
        const wanted = await oracleAnswers(database, expressions);
        for (const [index, sql] of expressions.entries()) {
          expect({ sql: sqlOf(sql), ...answerOf(sql) }).toEqual({ sql: sqlOf(sql), ...wanted[index] });
        }
      }),
      { numRuns: 3 },
    );
  });
});

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= Math.abs(a) * 3e-16;
}
