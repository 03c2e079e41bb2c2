import { RowError } from '../expression.ts';

/** Beyond this exponent a double's power is 0, infinite, or so near 1 that its exact value has too many digits to be worth it. */
const exactExponents = 1100;

/**
 * power() of doubles, rounded correctly for whole exponents. No two C libraries agree on every last digit: PostgreSQL's may be
 * another one, rarely for whole exponents.
 */
export function powerFloat(base: number, exponent: number): number {
  if (base === 1 || exponent === 0) return 1;
  if (base === 0 && exponent < 0) throw new RowError('2201F', 'zero raised to a negative power is undefined');
  if (base < 0 && Number.isFinite(exponent) && !Number.isInteger(exponent)) {
    throw new RowError('2201F', 'a negative number raised to a non-integer power yields a complex result');
  }
  if (base === -1 && !Number.isFinite(exponent) && !Number.isNaN(exponent)) return 1;
  const result = raise(base, exponent);
  if (Number.isFinite(base) && Number.isFinite(exponent)) {
    if (!Number.isFinite(result) && !Number.isNaN(result)) throw new RowError('22003', 'value out of range: overflow');
    if (result === 0 && base !== 0) throw new RowError('22003', 'value out of range: underflow');
  }
  return result;
}

function raise(base: number, exponent: number): number {
  if (exponent === 0.5 && base >= 0) return Math.sqrt(base);
  const near = base ** exponent;
  if (!Number.isInteger(exponent) || Math.abs(exponent) > exactExponents || near === 0 || !Number.isFinite(near)) {
    return near;
  }
  if (exponent > 0 && Number.isSafeInteger(base) && Number.isSafeInteger(near)) return near;
  const [mantissa, power] = binary(base);
  const size = mantissa ** BigInt(Math.abs(exponent));
  const shift = power * Math.abs(exponent);
  return exponent > 0 ? nearest(size, 1n, shift) : nearest(1n, size, -shift);
}

/** A finite double as a whole number times a power of two. */
function binary(value: number): readonly [bigint, number] {
  let power = 0;
  let mantissa = value;
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2;
    power--;
  }
  return [BigInt(mantissa), power];
}

/** numerator ÷ denominator × 2^shift, rounded once to the nearest double. */
function nearest(numerator: bigint, denominator: bigint, shift: number): number {
  const negative = numerator < 0n !== denominator < 0n;
  let top = numerator < 0n ? -numerator : numerator;
  let bottom = denominator < 0n ? -denominator : denominator;
  // Enough bits to round from, and one more that says whether anything was left.
  const bits = bottom.toString(2).length - top.toString(2).length + 66;
  if (bits > 0) top <<= BigInt(bits);
  else bottom <<= BigInt(-bits);
  const quotient = (top / bottom) * 2n + (top % bottom === 0n ? 0n : 1n);
  const power = shift - bits - 1;
  // Subnormal results lose bits: round at their place, not at the 53rd.
  const spare = -1074 - power;
  const size = quotient.toString(2).length;
  const rounded =
    spare > size - 53 && spare > 0 ? halfEven(quotient, spare) * 2 ** -1074 : scale(Number(quotient), power);
  return negative ? -rounded : rounded;
}

function halfEven(value: bigint, drop: number): number {
  const unit = 1n << BigInt(drop);
  const whole = value / unit;
  const rest = (value - whole * unit) * 2n;
  return Number(rest > unit || (rest === unit && whole % 2n === 1n) ? whole + 1n : whole);
}

/** value × 2^power without overflow on the way. */
function scale(value: number, power: number): number {
  const half = Math.trunc(power / 2);
  return value * 2 ** half * 2 ** (power - half);
}
