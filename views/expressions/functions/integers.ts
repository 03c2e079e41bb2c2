import { integer } from '../../value.ts';
import { RowError } from '../expression.ts';
import { define, defineInline } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';

type Whole = number | bigint;
type SmallName = 'int2' | 'int4';

/** Arithmetic gives the wider of its operands' types, and an error beyond its range. */
export const integerOperators: readonly FunctionDefinition[] = [
  ...smallOperators('int2', 'int2', 'int2', toInt2),
  ...smallOperators('int2', 'int4', 'int4', toInt4),
  ...smallOperators('int4', 'int2', 'int4', toInt4),
  ...smallOperators('int4', 'int4', 'int4', toInt4),
  ...largeOperators('int8', 'int8'),
  ...largeOperators('int4', 'int8'),
  ...largeOperators('int8', 'int4'),
  ...largeOperators('int2', 'int8'),
  ...largeOperators('int8', 'int2'),
  define('-', ['int2'], 'int2', (value: number) => toInt2(0 - value), { mayFail: true }),
  define('-', ['int4'], 'int4', (value: number) => toInt4(0 - value), { mayFail: true }),
  define('-', ['int8'], 'int8', negateInt8, { mayFail: true }),
  ...(['int2', 'int4', 'int8'] as const).map((name) => defineInline('+', [name], name, (value) => value)),
  ...absolutes('@'),
  ...bitOperators('int2'),
  ...bitOperators('int4'),
  define('&', ['int8', 'int8'], 'int8', (a: Whole, b: Whole) => integer(BigInt(a) & BigInt(b))),
  define('|', ['int8', 'int8'], 'int8', (a: Whole, b: Whole) => integer(BigInt(a) | BigInt(b))),
  define('#', ['int8', 'int8'], 'int8', (a: Whole, b: Whole) => integer(BigInt(a) ^ BigInt(b))),
  define('~', ['int8'], 'int8', (value: Whole) => integer(~BigInt(value))),
  define('<<', ['int8', 'int4'], 'int8', (a: Whole, by: number) =>
    integer(BigInt.asIntN(64, BigInt(a) << BigInt(by & 63))),
  ),
  define('>>', ['int8', 'int4'], 'int8', (a: Whole, by: number) => integer(BigInt(a) >> BigInt(by & 63))),
];

export const integerFunctions: readonly FunctionDefinition[] = [
  ...absolutes('abs'),
  define('mod', ['int2', 'int2'], 'int2', remainder, { mayFail: true }),
  define('mod', ['int4', 'int4'], 'int4', remainder, { mayFail: true }),
  define('mod', ['int8', 'int8'], 'int8', remainderInt8, { mayFail: true }),
  define('gcd', ['int4', 'int4'], 'int4', (a: number, b: number) => toInt4(Number(gcd(BigInt(a), BigInt(b)))), {
    mayFail: true,
  }),
  define('gcd', ['int8', 'int8'], 'int8', (a: Whole, b: Whole) => toInt8(gcd(BigInt(a), BigInt(b))), { mayFail: true }),
  define('lcm', ['int4', 'int4'], 'int4', (a: number, b: number) => toInt4(Number(lcm(BigInt(a), BigInt(b)))), {
    mayFail: true,
  }),
  define('lcm', ['int8', 'int8'], 'int8', (a: Whole, b: Whole) => toInt8(lcm(BigInt(a), BigInt(b))), { mayFail: true }),
];

function smallOperators(
  left: SmallName,
  right: SmallName,
  result: SmallName,
  fit: (value: number) => number,
): FunctionDefinition[] {
  const options = { mayFail: true };
  return [
    define('+', [left, right], result, (a: number, b: number) => fit(a + b), options),
    define('-', [left, right], result, (a: number, b: number) => fit(a - b), options),
    // A product beyond 2^53 is rounded, and out of range all the same. Adding 0 makes 0 of −0.
    define('*', [left, right], result, (a: number, b: number) => fit(a * b + 0), options),
    define('/', [left, right], result, (a: number, b: number) => fit(quotient(a, b)), options),
    define('%', [left, right], result, remainder, options),
  ];
}

function largeOperators(left: SmallName | 'int8', right: SmallName | 'int8'): FunctionDefinition[] {
  const options = { mayFail: true };
  return [
    define('+', [left, right], 'int8', addInt8, options),
    define('-', [left, right], 'int8', subtractInt8, options),
    define('*', [left, right], 'int8', multiplyInt8, options),
    define('/', [left, right], 'int8', divideInt8, options),
    define('%', [left, right], 'int8', remainderInt8, options),
  ];
}

function absolutes(name: string): FunctionDefinition[] {
  return [
    define(name, ['int2'], 'int2', (value: number) => toInt2(Math.abs(value)), { mayFail: true }),
    define(name, ['int4'], 'int4', (value: number) => toInt4(Math.abs(value)), { mayFail: true }),
    define(name, ['int8'], 'int8', (value: Whole) => (value < 0 ? negateInt8(value) : value), { mayFail: true }),
  ];
}

function bitOperators(name: SmallName): FunctionDefinition[] {
  const short = name === 'int2';
  return [
    defineInline('&', [name, name], name, (a, b) => `${a} & ${b}`),
    defineInline('|', [name, name], name, (a, b) => `${a} | ${b}`),
    defineInline('#', [name, name], name, (a, b) => `${a} ^ ${b}`),
    defineInline('~', [name], name, (a) => `~${a}`),
    defineInline('<<', [name, 'int4'], name, (a, b) => (short ? `(${a} << ${b}) << 16 >> 16` : `${a} << ${b}`)),
    defineInline('>>', [name, 'int4'], name, (a, b) => `${a} >> ${b}`),
  ];
}

function quotient(a: number, b: number): number {
  if (b === 0) throw divisionByZero();
  return (a - (a % b)) / b + 0;
}

function remainder(a: number, b: number): number {
  if (b === 0) throw divisionByZero();
  return (a % b) + 0;
}

export function addInt8(a: Whole, b: Whole): Whole {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return toInt8(BigInt(a) + BigInt(b));
}

function subtractInt8(a: Whole, b: Whole): Whole {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return toInt8(BigInt(a) - BigInt(b));
}

function multiplyInt8(a: Whole, b: Whole): Whole {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b;
    if (Number.isSafeInteger(product)) return product + 0;
  }
  return toInt8(BigInt(a) * BigInt(b));
}

function divideInt8(a: Whole, b: Whole): Whole {
  if (typeof a === 'number' && typeof b === 'number') return quotient(a, b);
  if (b === 0) throw divisionByZero();
  return toInt8(BigInt(a) / BigInt(b));
}

function remainderInt8(a: Whole, b: Whole): Whole {
  if (typeof a === 'number' && typeof b === 'number') return remainder(a, b);
  if (b === 0) throw divisionByZero();
  return integer(BigInt(a) % BigInt(b));
}

function negateInt8(value: Whole): Whole {
  return typeof value === 'number' ? 0 - value : toInt8(-value);
}

function gcd(a: bigint, b: bigint): bigint {
  let x = a < 0n ? -a : a;
  let y = b < 0n ? -b : b;
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

function lcm(a: bigint, b: bigint): bigint {
  if (a === 0n || b === 0n) return 0n;
  const product = (a / gcd(a, b)) * b;
  return product < 0n ? -product : product;
}

export function toInt2(value: number): number {
  if (value > 32767 || value < -32768) throw new RowError('22003', 'smallint out of range');
  return value;
}

export function toInt4(value: number): number {
  if (value > 2147483647 || value < -2147483648) throw new RowError('22003', 'integer out of range');
  return value;
}

export function toInt8(value: bigint): Whole {
  if (BigInt.asIntN(64, value) !== value) throw new RowError('22003', 'bigint out of range');
  return integer(value);
}

export function divisionByZero(): RowError {
  return new RowError('22012', 'division by zero');
}
