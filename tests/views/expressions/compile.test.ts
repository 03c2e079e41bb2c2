import { describe, expect, it } from 'vitest';
import { branch } from '../../../views/expressions/branch.ts';
import {
  compileJoinPredicate,
  compilePredicate,
  compileRow,
  compileScalar,
} from '../../../views/expressions/compile.ts';
import { RowError } from '../../../views/expressions/expression.ts';
import type { Expression } from '../../../views/expressions/expression.ts';
import { callFunction, callOperator, castTo, equality, typeFromName } from '../../../views/expressions/resolve.ts';
import { SqlError } from '../../../views/sql/sql-error.ts';
import { sqlScalar } from '../../../views/type.ts';
import type { SqlName, SqlType } from '../../../views/type.ts';
import type { Value } from '../../../views/value.ts';

const layout = new Map([
  [1, 0],
  [2, 1],
]);

function column(id: number, type: SqlName): Expression {
  return { kind: 'column', id, type: sqlScalar(type) };
}

function literal(value: Value, type: SqlName): Expression {
  return { kind: 'literal', value, type: sqlScalar(type) };
}

function logic(kind: 'and' | 'or', ...args: Expression[]): Expression {
  return { kind, args, type: sqlScalar('bool') };
}

const quotient = callOperator('/', [literal(1, 'int4'), column(1, 'int4')], 0);

describe('a compiled expression', () => {
  it('does not evaluate what CASE, COALESCE, AND and OR leave out', () => {
    const isZero = callOperator('=', [column(1, 'int4'), literal(0, 'int4')], 0);
    const positive = callOperator('>', [quotient, literal(0, 'int4')], 0);
    const guarded: Expression = {
      kind: 'case',
      branches: [branch(isZero, literal(-1, 'int4'))],
      otherwise: quotient,
      type: sqlScalar('int4'),
    };
    expect(compileScalar(guarded, layout)([0])).toBe(-1);
    expect(compileScalar(logic('or', isZero, positive), layout)([0])).toBe(true);
    expect(compilePredicate(logic('or', isZero, positive), layout)([0])).toBe(true);
    expect(
      compileScalar(logic('and', { kind: 'not', arg: isZero, type: sqlScalar('bool') }, positive), layout)([0]),
    ).toBe(false);
    expect(compileScalar(callFunction('coalesce', [column(1, 'int4'), quotient], 0), layout)([0])).toBe(0);
    expect(() => compileScalar(quotient, layout)([0])).toThrow(new RowError('22012', 'division by zero'));
  });

  it('takes a value that was computed in a branch for computed nowhere else', () => {
    const when = callOperator('=', [column(2, 'int4'), literal(1, 'int4')], 0);
    const choice: Expression = {
      kind: 'case',
      branches: [branch(when, quotient)],
      otherwise: literal(7, 'int4'),
      type: sqlScalar('int4'),
    };
    const row = compileRow([choice, callFunction('coalesce', [column(2, 'int4'), quotient], 0), quotient], layout);
    expect(row([1, 0])).toEqual([7, 0, 1]);
    expect(() => row([0, 0])).toThrow('division by zero');
  });

  it('counts a condition that is NULL as not met', () => {
    const less = callOperator('<', [column(1, 'int4'), column(2, 'int4')], 0);
    const not: Expression = { kind: 'not', arg: less, type: sqlScalar('bool') };
    for (const condition of [less, not, logic('and', less, literal(true, 'bool'))]) {
      expect(compilePredicate(condition, layout)([null, 1])).toBe(false);
    }
    expect(compilePredicate(logic('or', less, literal(true, 'bool')), layout)([null, 1])).toBe(true);
  });

  it('joins rows of two layouts', () => {
    const match = compileJoinPredicate(
      equality(column(1, 'numeric'), column(2, 'int8'), 0),
      new Map([[1, 0]]),
      new Map([[2, 1]]),
    );
    expect(match(['9007199254740993.00'], [null, 9007199254740993n])).toBe(true);
    expect(match(['1.5'], [null, 1])).toBe(false);
    expect(match([null], [null, 1])).toBe(false);
  });

  it('compares whole rows by the types of their fields', () => {
    const type: SqlType = {
      kind: 'record',
      fields: [
        { name: 'a', type: sqlScalar('numeric') },
        { name: 'b', type: sqlScalar('text') },
      ],
    };
    const equal = callOperator(
      '=',
      [
        { kind: 'column', id: 1, type },
        { kind: 'column', id: 2, type },
      ],
      0,
    );
    expect(compileScalar(equal, layout)(['(1.0,x)', '(1.00,x)'])).toBe(true);
    expect(compileScalar(equal, layout)(['(1.0,)', '(1.0,)'])).toBe(true);
    expect(compileScalar(equal, layout)(['(1.0,x)', '(1.0,y)'])).toBe(false);
  });
});

describe('a call that cannot be resolved', () => {
  const cases: readonly (readonly [string, () => unknown, string])[] = [
    ['function lower(integer) does not exist', () => callFunction('lower', [column(1, 'int4')], 3), 'lower(text)'],
    ['function lowerr(text) does not exist', () => callFunction('lowerr', [column(1, 'text')], 3), 'lower()'],
    [
      'operator does not exist: integer + text',
      () => callOperator('+', [column(1, 'int4'), column(2, 'text')], 3),
      'int4 + int4',
    ],
    [
      'operator is not unique: unknown + unknown',
      () => callOperator('+', [literal('1', 'unknown'), literal('2', 'unknown')], 3),
      'casts',
    ],
    [
      'invalid input syntax for type integer: "x"',
      () => callOperator('=', [column(1, 'int4'), literal('x', 'unknown')], 3),
      '',
    ],
    [
      'cannot cast type boolean to numeric',
      () => castTo(column(1, 'bool'), sqlScalar('numeric'), 'explicit', 3),
      'text',
    ],
    ['cannot cast type text to integer', () => castTo(column(1, 'text'), sqlScalar('int4'), 'assignment', 3), 'CAST'],
    ['type "itneger" does not exist', () => typeFromName(['itneger'], [], 0, 3), 'docs/sql.md'],
    [
      'COALESCE types integer and text cannot be matched',
      () => callFunction('coalesce', [column(1, 'int4'), column(2, 'text')], 3),
      'CAST',
    ],
    [
      'now() is not supported in views: its result is not a function of the rows',
      () => callFunction('now', [], 3),
      'column',
    ],
    [
      'random() is not supported in views: its result is not a function of the rows',
      () => callFunction('random', [], 3),
      'column',
    ],
    [
      'function substring(text, text) is not supported in views',
      () => callFunction('substring', [column(1, 'text'), literal('a.*', 'unknown')], 3),
      'position',
    ],
  ];

  for (const [message, call, hint] of cases) {
    it(`says where and why: ${message}`, () => {
      let caught: unknown;
      try {
        call();
      } catch (error) {
        caught = error;
      }
      expect(caught).toBeInstanceOf(SqlError);
      const { message: said, location, hint: advice = '' } = caught as SqlError;
      expect({ said, location }).toEqual({ said: message, location: 3 });
      expect(advice).toContain(hint);
    });
  }
});
