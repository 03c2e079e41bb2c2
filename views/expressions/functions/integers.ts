import { RowError } from '../expression.ts';
import { define, defineInline } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';

export const integerOperators: readonly FunctionDefinition[] = [
  define('+', ['int4', 'int4'], 'int4', addInt4, { mayFail: true }),
  defineInline('<', ['int4', 'int4'], 'bool', (a, b) => `${a} < ${b}`),
  defineInline('=', ['int4', 'int4'], 'bool', (a, b) => `${a} === ${b}`, { isEquality: true }),
];

export const integerFunctions: readonly FunctionDefinition[] = [
  define('abs', ['int4'], 'int4', (value: number) => int4(Math.abs(value)), { mayFail: true }),
];

function addInt4(a: number, b: number): number {
  return int4(a + b);
}

function int4(value: number): number {
  if (value > 2147483647 || value < -2147483648) throw new RowError('22003', 'integer out of range');
  return value;
}
