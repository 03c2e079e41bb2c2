import { integer } from '../value.ts';
import type { Value } from '../value.ts';
import type { SqlType } from '../type.ts';

/** The Value of the text that PostgreSQL's output function (or the log) gives for a value of the type. */
export function valueOf(text: string, type: SqlType): Value {
  if (type.kind !== 'scalar') return text;
  switch (type.name) {
    case 'bool':
      return text === 't' || text === 'true';
    case 'int2':
    case 'int4':
      return Number(text);
    case 'int8':
      return text.length < 16 ? Number(text) : integer(BigInt(text));
    case 'float4':
      return Math.fround(floatOf(text));
    case 'float8':
      return floatOf(text);
    default:
      return text;
  }
}

/** The text that PostgreSQL's output function prints for a value that is not NULL. */
export function textOf(value: Value, type: SqlType): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') {
    if (type.kind === 'scalar' && (type.name === 'float8' || type.name === 'float4')) {
      return type.name === 'float8' ? float8Text(value) : float4Text(value);
    }
    return String(value);
  }
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return String(value);
}

function floatOf(text: string): number {
  if (text === '-0') return -0;
  const value = Number(text);
  if (!Number.isNaN(value)) return value;
  return text === 'Infinity' ? Infinity : text === '-Infinity' ? -Infinity : NaN;
}

/**
 * The shortest digits that are nearer to the value than to any other, half way not counting (JavaScript takes half way too); an
 * exponent from 1e+15 on and below 1e-4, of two digits at least.
 */
export function float8Text(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const text = value.toExponential();
  return layOut(Math.abs(value) > largestExact && isHalfWay(text, value) ? nearerDigits(value) : text, 15);
}

/** Between doubles that are not all integers half way has more digits than either side, and is never the shortest. */
const largestExact = Number.MAX_SAFE_INTEGER;

function isHalfWay(exponential: string, value: number): boolean {
  const decimal = exactOf(exponential);
  const exact = BigInt(value);
  if (decimal === exact) return false;
  // The other double that is as near is found by going twice as far.
  return (
    BigInt(Number(2n * decimal - exact)) === 2n * decimal - exact && isNeighbour(Number(2n * decimal - exact), value)
  );
}

function isNeighbour(a: number, b: number): boolean {
  const middle = a / 2 + b / 2;
  return middle === a || middle === b;
}

function nearerDigits(value: number): string {
  for (let digits = 1; digits < 17; digits++) {
    const text = value.toExponential(digits - 1);
    if (Number(text) === value && !isHalfWay(text, value)) return text;
  }
  return value.toExponential(16);
}

/** Of `d.ddde+x` that is an integer. */
function exactOf(exponential: string): bigint {
  const at = exponential.indexOf('e');
  const digits = exponential.slice(0, at).replace('.', '');
  const fraction = digits.length - (digits.startsWith('-') ? 2 : 1);
  return BigInt(digits) * 10n ** BigInt(Number(exponential.slice(at + 1)) - fraction);
}

const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** As float8Text, with the digits that single precision needs, and an exponent from 1e+06 on. */
export function float4Text(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const size = Math.abs(value);
  single[0] = size;
  const bits = singleBits[0] as number;
  // Half way to the neighbours on both sides, which a double holds exactly.
  singleBits[0] = bits - 1;
  const low = (size + single[0]) / 2;
  singleBits[0] = bits + 1;
  const above = single[0];
  const high = Number.isFinite(above) ? (size + above) / 2 : size + (size - low);
  for (let digits = 1; digits < 9; digits++) {
    const text = nearestEven(value, digits);
    const decimal = Math.abs(Number(text));
    if (decimal > low && decimal < high) return layOut(text, 6);
  }
  return layOut(value.toExponential(8), 6);
}

/** toExponential, with the even one of two digits that are as near; JavaScript takes the larger. */
function nearestEven(value: number, digits: number): string {
  const text = value.toExponential(digits - 1);
  const exact = value.toExponential(40);
  const point = exact.indexOf('.');
  const kept = exact.slice(0, digits === 1 ? point : point + digits);
  const rest = exact.slice(point + digits, exact.indexOf('e'));
  if (!/^50*$/.test(rest) || !/[02468]$/.test(kept)) return text;
  return kept + exact.slice(exact.indexOf('e'));
}

/** From `d.ddde±x` to PostgreSQL's form. */
function layOut(exponential: string, precision: number): string {
  const negative = exponential.startsWith('-') ? '-' : '';
  const at = exponential.indexOf('e');
  const digits = exponential.slice(negative.length, at).replace('.', '');
  const exponent = Number(exponential.slice(at + 1));
  if (exponent < -4 || exponent >= precision) {
    const mantissa = digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits;
    const size = Math.abs(exponent);
    return `${negative}${mantissa}e${exponent < 0 ? '-' : '+'}${size < 10 ? '0' : ''}${size}`;
  }
  if (exponent < 0) return `${negative}0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return negative + digits.padEnd(exponent + 1, '0');
  return `${negative}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}
