import { RowError } from '../expression.ts';
import {
  absNumeric,
  addNumeric,
  ceilNumeric,
  floorNumeric,
  isSpecial,
  multiplyNumeric,
  negateNumeric,
  numericOfInteger,
  roundNumeric,
  signOf,
  subtractNumeric,
  truncateNumeric,
} from '../numeric.ts';
import type { Numeric } from '../numeric.ts';
import {
  divideNumeric,
  gcdNumeric,
  lcmNumeric,
  powerNumeric,
  remainderNumeric,
  sqrtNumeric,
  wholeQuotient,
} from '../numeric-division.ts';
import { define, defineInline } from './definition.ts';
import type { FunctionDefinition, TypmodDefinition } from './definition.ts';

const mayFail = { mayFail: true };

export const numericOperators: readonly FunctionDefinition[] = [
  define('+', ['numeric', 'numeric'], 'numeric', addNumeric, mayFail),
  define('-', ['numeric', 'numeric'], 'numeric', subtractNumeric, mayFail),
  define('*', ['numeric', 'numeric'], 'numeric', multiplyNumeric, mayFail),
  define('/', ['numeric', 'numeric'], 'numeric', divideNumeric, mayFail),
  define('%', ['numeric', 'numeric'], 'numeric', remainderNumeric, mayFail),
  define('^', ['numeric', 'numeric'], 'numeric', powerNumeric, mayFail),
  define('-', ['numeric'], 'numeric', negateNumeric),
  defineInline('+', ['numeric'], 'numeric', (value) => value),
  define('@', ['numeric'], 'numeric', absNumeric),
];

export const numericFunctions: readonly FunctionDefinition[] = [
  define('abs', ['numeric'], 'numeric', absNumeric),
  define('round', ['numeric'], 'numeric', (value: Numeric) => roundNumeric(value, 0)),
  define(
    'round',
    ['numeric', 'int4'],
    'numeric',
    (value: Numeric, digits: number) => roundNumeric(value, shown(digits)),
    mayFail,
  ),
  define('trunc', ['numeric'], 'numeric', (value: Numeric) => truncateNumeric(value, 0)),
  define(
    'trunc',
    ['numeric', 'int4'],
    'numeric',
    (value: Numeric, digits: number) => truncateNumeric(value, shown(digits)),
    mayFail,
  ),
  define('ceil', ['numeric'], 'numeric', ceilNumeric, mayFail),
  define('ceiling', ['numeric'], 'numeric', ceilNumeric, mayFail),
  define('floor', ['numeric'], 'numeric', floorNumeric, mayFail),
  define('sign', ['numeric'], 'numeric', (value: Numeric) => numericOfInteger(signOf(value))),
  define('sqrt', ['numeric'], 'numeric', sqrtNumeric, mayFail),
  define('power', ['numeric', 'numeric'], 'numeric', powerNumeric, mayFail),
  define('pow', ['numeric', 'numeric'], 'numeric', powerNumeric, mayFail),
  define('mod', ['numeric', 'numeric'], 'numeric', remainderNumeric, mayFail),
  define('div', ['numeric', 'numeric'], 'numeric', wholeQuotient, mayFail),
  define('gcd', ['numeric', 'numeric'], 'numeric', gcdNumeric),
  define('lcm', ['numeric', 'numeric'], 'numeric', lcmNumeric, mayFail),
  define('scale', ['numeric'], 'int4', (value: Numeric) => (isSpecial(value) ? null : value.scale)),
  define('min_scale', ['numeric'], 'int4', (value: Numeric) => (isSpecial(value) ? null : leastScale(value))),
  define('trim_scale', ['numeric'], 'numeric', (value: Numeric) => roundNumeric(value, leastScale(value))),
];

/** Digits that round() and trunc() are asked for, within what numeric.c takes. */
function shown(digits: number): number {
  return Math.max(Math.min(digits, 16383), -131072);
}

/** The smallest scale that loses nothing. */
function leastScale(value: Numeric): number {
  if (value.scale === 0 || value.unscaled === 0) return 0;
  const digits = String(value.unscaled);
  let zeros = 0;
  while (zeros < value.scale && digits.charCodeAt(digits.length - 1 - zeros) === 48) zeros++;
  return value.scale - zeros;
}

export const numericTypmods: readonly TypmodDefinition[] = [
  { type: 'numeric', mayFail: true, apply: (value: Numeric, typmod: number) => fitNumeric(value, typmod) },
];

/** numeric(p, s): rounds to s digits after the point, and allows p − s before it. */
function fitNumeric(value: Numeric, typmod: number): Numeric {
  const precision = ((typmod - 4) >> 16) & 0xffff;
  const scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
  if (isSpecial(value)) {
    if (!Number.isNaN(value.unscaled)) throw fieldOverflow();
    return value;
  }
  const rounded = roundNumeric(value, scale);
  if (rounded.unscaled === 0) return rounded;
  const text = String(rounded.unscaled);
  const digits = text.length - (rounded.unscaled < 0 ? 1 : 0) - rounded.scale;
  if (digits > precision - scale) throw fieldOverflow();
  return rounded;
}

function fieldOverflow(): RowError {
  return new RowError('22003', 'numeric field overflow');
}
