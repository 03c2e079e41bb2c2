import { integer } from '../value.ts';
import { RowError } from './expression.ts';
import { isSpecial, Numeric, numeric, numericNaN, overflow, powerOfTen, signOf, unscaledAt } from './numeric.ts';

/** Limits of numeric.c: significant digits of a result that has endless many, and digits after the point of any such result. */
const minSignificantDigits = 16;
const maxDisplayScale = 1000;
/** Digits of a power that are worked out exactly: beyond what a result can have. */
const longestPower = 400_000;

export function divideNumeric(a: Numeric, b: Numeric): Numeric {
  if (isSpecial(a) || isSpecial(b)) return divideSpecial(a, b);
  if (b.unscaled === 0) throw divisionByZero();
  const scale = quotientScale(a, b);
  return numeric(roundedQuotient(BigInt(a.unscaled), BigInt(b.unscaled), scale + b.scale - a.scale), scale);
}

/** The remainder of the truncated quotient; it has the sign of `a`. */
export function remainderNumeric(a: Numeric, b: Numeric): Numeric {
  if (isSpecial(a) || isSpecial(b)) {
    if (Number.isNaN(a.unscaled) || Number.isNaN(b.unscaled)) return numericNaN;
    if (b.unscaled === 0) throw divisionByZero();
    return isSpecial(a) ? numericNaN : a;
  }
  if (b.unscaled === 0) throw divisionByZero();
  const { unscaled: x } = a;
  const { unscaled: y } = b;
  if (a.scale === b.scale && typeof x === 'number' && typeof y === 'number') return new Numeric((x % y) + 0, a.scale);
  const scale = Math.max(a.scale, b.scale);
  return numeric(unscaledAt(a, scale) % unscaledAt(b, scale), scale);
}

/** The quotient cut off to an integer: div(). */
export function wholeQuotient(a: Numeric, b: Numeric): Numeric {
  if (isSpecial(a) || isSpecial(b)) return divideSpecial(a, b);
  if (b.unscaled === 0) throw divisionByZero();
  const scale = Math.max(a.scale, b.scale);
  return new Numeric(integer(unscaledAt(a, scale) / unscaledAt(b, scale)), 0);
}

function divideSpecial(a: Numeric, b: Numeric): Numeric {
  if (Number.isNaN(a.unscaled) || Number.isNaN(b.unscaled)) return numericNaN;
  if (b.unscaled === 0) throw divisionByZero();
  if (isSpecial(b)) return isSpecial(a) ? numericNaN : new Numeric(0, 0);
  return new Numeric(signOf(a) * signOf(b) * Infinity, 0);
}

/** select_div_scale of numeric.c, which reckons in groups of four digits. */
function quotientScale(a: Numeric, b: Numeric): number {
  const [weightA, firstA] = leadingGroup(a);
  const [weightB, firstB] = leadingGroup(b);
  const weight = weightA - weightB - (firstA <= firstB ? 1 : 0);
  return Math.min(Math.max(minSignificantDigits - weight * 4, a.scale, b.scale, 0), maxDisplayScale);
}

/** The power of 10000 of the first group of four digits that is not zero, and that group. */
function leadingGroup(value: Numeric): readonly [number, number] {
  if (value.unscaled === 0) return [0, 0];
  const digits = digitsOf(value);
  const exponent = digits.length - 1 - value.scale;
  const weight = Math.floor(exponent / 4);
  return [weight, Number(digits.slice(0, exponent - weight * 4 + 1).padEnd(exponent - weight * 4 + 1, '0'))];
}

function digitsOf(value: Numeric): string {
  const text = String(value.unscaled);
  return value.unscaled < 0 ? text.slice(1) : text;
}

/** x × 10^shift ÷ y, half away from zero. */
function roundedQuotient(x: bigint, y: bigint, shift: number): bigint {
  const numerator = shift >= 0 ? x * powerOfTen(shift) : x;
  const denominator = shift >= 0 ? y : y * powerOfTen(-shift);
  const quotient = numerator / denominator;
  const rest = numerator - quotient * denominator;
  if (magnitude(rest) * 2n < magnitude(denominator)) return quotient;
  return numerator < 0n === denominator < 0n ? quotient + 1n : quotient - 1n;
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value;
}

export function sqrtNumeric(value: Numeric): Numeric {
  if (value.unscaled < 0) throw new RowError('2201F', 'cannot take square root of a negative number');
  if (isSpecial(value)) return value;
  const [weight] = leadingGroup(value);
  const scale = Math.min(Math.max(minSignificantDigits - (weight * 2 + 1), value.scale, 0), maxDisplayScale);
  if (value.unscaled === 0) return new Numeric(0, scale);
  const shift = 2 * scale - value.scale;
  const square = shift >= 0 ? BigInt(value.unscaled) * powerOfTen(shift) : BigInt(value.unscaled) / powerOfTen(-shift);
  const root = integerRoot(square);
  // The root ends in .5 or more where its square is beyond root × (root + 1).
  return numeric(square > root * (root + 1n) ? root + 1n : root, scale);
}

/** The largest integer whose square is not larger; Newton's method from above. */
function integerRoot(square: bigint): bigint {
  let guess = 1n << BigInt((square.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (guess + square / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}

/** For whole exponents (power_var_int of numeric.c). Others would need logarithms to PostgreSQL's digits, and are refused. */
export function powerNumeric(base: Numeric, exponent: Numeric): Numeric {
  if (isSpecial(base) || isSpecial(exponent)) return powerSpecial(base, exponent);
  const power = wholeExponent(exponent);
  if (power === null) {
    if (base.unscaled < 0) {
      throw new RowError('2201F', 'a negative number raised to a non-integer power yields a complex result');
    }
    if (base.unscaled === 0) return zeroPower(exponent);
    throw new RowError('0A000', 'power() of numeric values with a fractional exponent is not supported in views');
  }
  const scale = powerScale(base, power, exponent.scale);
  if (scale === null) return new Numeric(0, maxDisplayScale);
  if (base.unscaled === 0) {
    if (power < 0) throw zeroNegativePower();
    return power === 0 ? numeric(powerOfTen(scale), scale) : new Numeric(0, scale);
  }
  if (digitsOf(base).length * Math.abs(power) > longestPower) {
    throw new RowError('0A000', `power() with an exponent of ${power} is not supported in views`);
  }
  const size = BigInt(base.unscaled) ** BigInt(Math.abs(power));
  const sizeScale = base.scale * Math.abs(power);
  if (power < 0) return numeric(roundedQuotient(1n, size, scale + sizeScale), scale);
  return numeric(roundedQuotient(size, 1n, scale - sizeScale), scale);
}

function wholeExponent(exponent: Numeric): number | null {
  const unit = powerOfTen(exponent.scale);
  const unscaled = BigInt(exponent.unscaled);
  if (unscaled % unit !== 0n) return null;
  const power = Number(unscaled / unit);
  return power >= -2147483648 && power <= 2147483647 ? power : null;
}

/** null: the result is zero to the last digit that could be shown. */
function powerScale(base: Numeric, power: number, exponentScale: number): number | null {
  let decimals = 0;
  if (base.unscaled !== 0) {
    const digits = digitsOf(base);
    const shown = digits.slice(0, 16);
    decimals = power * (Math.log10(Number(shown)) + digits.length - shown.length - base.scale);
    if (decimals > 131072) throw overflow();
    if (decimals + 1 < -maxDisplayScale) return null;
  }
  return Math.min(Math.max(minSignificantDigits - Math.trunc(decimals), base.scale, exponentScale, 0), maxDisplayScale);
}

function zeroPower(exponent: Numeric): Numeric {
  if (exponent.unscaled < 0) throw zeroNegativePower();
  return new Numeric(0, minSignificantDigits);
}

function zeroNegativePower(): RowError {
  return new RowError('2201F', 'zero raised to a negative power is undefined');
}

function powerSpecial(base: Numeric, exponent: Numeric): Numeric {
  const x = Number(base.unscaled) / Number(powerOfTen(base.scale));
  const y = Number(exponent.unscaled) / Number(powerOfTen(exponent.scale));
  // Unlike in IEEE as JavaScript has it, 1 to the power of anything is 1.
  if (x === 1 || y === 0) return new Numeric(1, 0);
  if (x === 0 && y === -Infinity) throw zeroNegativePower();
  if (x < 0 && Number.isFinite(x) && !Number.isFinite(y) && x === -1) return new Numeric(1, 0);
  return new Numeric(x ** y, 0);
}

function divisionByZero(): RowError {
  return new RowError('22012', 'division by zero');
}

export function gcdNumeric(a: Numeric, b: Numeric): Numeric {
  if (isSpecial(a) || isSpecial(b)) return numericNaN;
  const scale = Math.max(a.scale, b.scale);
  return numeric(gcdOf(unscaledAt(a, scale), unscaledAt(b, scale)), scale);
}

export function lcmNumeric(a: Numeric, b: Numeric): Numeric {
  if (isSpecial(a) || isSpecial(b)) return numericNaN;
  const scale = Math.max(a.scale, b.scale);
  const x = unscaledAt(a, scale);
  const y = unscaledAt(b, scale);
  return numeric(x === 0n || y === 0n ? 0n : magnitude((x / gcdOf(x, y)) * y), scale);
}

function gcdOf(a: bigint, b: bigint): bigint {
  let x = magnitude(a);
  let y = magnitude(b);
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}
