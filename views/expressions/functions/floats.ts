import { RowError } from '../expression.ts';
import { define, defineInline } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';
import { divisionByZero } from './integers.ts';
import { powerFloat } from './floats-power.ts';

type FloatName = 'float4' | 'float8';

export const floatOperators: readonly FunctionDefinition[] = [
  ...arithmetic('float8', 'float8', 'float8', (value) => value),
  ...arithmetic('float4', 'float8', 'float8', (value) => value),
  ...arithmetic('float8', 'float4', 'float8', (value) => value),
  ...arithmetic('float4', 'float4', 'float4', Math.fround),
  ...(['float4', 'float8'] as const).flatMap((name) => [
    defineInline('-', [name], name, (value) => `-${value}`),
    defineInline('+', [name], name, (value) => value),
    define('@', [name], name, Math.abs),
  ]),
  define('^', ['float8', 'float8'], 'float8', powerFloat, { mayFail: true }),
  define('|/', ['float8'], 'float8', squareRoot, { mayFail: true }),
];

export const floatFunctions: readonly FunctionDefinition[] = [
  define('abs', ['float4'], 'float4', Math.abs),
  define('abs', ['float8'], 'float8', Math.abs),
  define('round', ['float8'], 'float8', roundHalfEven),
  define('trunc', ['float8'], 'float8', Math.trunc),
  define('floor', ['float8'], 'float8', Math.floor),
  define('ceil', ['float8'], 'float8', Math.ceil),
  define('ceiling', ['float8'], 'float8', Math.ceil),
  define('sign', ['float8'], 'float8', (value: number) => Math.sign(value) || 0),
  define('sqrt', ['float8'], 'float8', squareRoot, { mayFail: true }),
  define('power', ['float8', 'float8'], 'float8', powerFloat, { mayFail: true }),
  define('pow', ['float8', 'float8'], 'float8', powerFloat, { mayFail: true }),
  define('pi', [], 'float8', () => Math.PI),
  define('radians', ['float8'], 'float8', (degrees: number) => degrees * radiansPerDegree),
  define('degrees', ['float8'], 'float8', degreesOf, { mayFail: true }),
];

const radiansPerDegree = 0.017453292519943295;

function degreesOf(radians: number): number {
  const degrees = radians / radiansPerDegree;
  if (isInfinite(degrees) && !isInfinite(radians)) throw overflow();
  return degrees;
}

function arithmetic(
  left: FloatName,
  right: FloatName,
  result: FloatName,
  fit: (value: number) => number,
): FunctionDefinition[] {
  const options = { mayFail: true };
  return [
    define('+', [left, right], result, (a: number, b: number) => checkOverflow(fit(a + b), a, b), options),
    define('-', [left, right], result, (a: number, b: number) => checkOverflow(fit(a - b), a, b), options),
    define(
      '*',
      [left, right],
      result,
      (a: number, b: number) => {
        const product = checkOverflow(fit(a * b), a, b);
        if (product === 0 && a !== 0 && b !== 0) throw underflow();
        return product;
      },
      options,
    ),
    define(
      '/',
      [left, right],
      result,
      (a: number, b: number) => {
        if (b === 0 && !Number.isNaN(a)) throw divisionByZero();
        const quotient = fit(a / b);
        if (isInfinite(quotient) && !isInfinite(a)) throw overflow();
        if (quotient === 0 && a !== 0 && !isInfinite(b)) throw underflow();
        return quotient;
      },
      options,
    ),
  ];
}

/** To the even neighbour of a half, as rint does. Keeps the sign of a result of 0. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest === 0 || !Number.isFinite(value)) return value;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  const rounded = up ? floor + 1 : floor;
  return rounded === 0 && value < 0 ? -0 : rounded;
}

function squareRoot(value: number): number {
  if (value < 0) throw new RowError('2201F', 'cannot take square root of a negative number');
  return Math.sqrt(value);
}

function checkOverflow(result: number, a: number, b: number): number {
  if (isInfinite(result) && !isInfinite(a) && !isInfinite(b)) throw overflow();
  return result;
}

function isInfinite(value: number): boolean {
  return value === Infinity || value === -Infinity;
}

export function overflow(): RowError {
  return new RowError('22003', 'value out of range: overflow');
}

export function underflow(): RowError {
  return new RowError('22003', 'value out of range: underflow');
}
