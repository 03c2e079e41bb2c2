import { integer } from '../value.ts';
import { RowError } from './expression.ts';

/**
 * An exact decimal: `unscaled` × 10^−`scale`, `scale` being the number of digits printed after the point (PostgreSQL's display
 * scale). The unscaled value is a number where it is safe and a bigint where it is not, so that small values never touch bigint.
 * NaN and the infinities have a scale of 0 and the number NaN or ±Infinity.
 *
 * Results have the value and the scale that PostgreSQL's numeric.c gives them.
 */
export class Numeric {
  readonly unscaled: number | bigint;
  readonly scale: number;

  constructor(unscaled: number | bigint, scale: number) {
    this.unscaled = unscaled;
    this.scale = scale;
  }
}

/** Digits before and after the point that PostgreSQL can store. */
const maxWeightDigits = 131072;
const maxScale = 16383;

const maxSafe = Number.MAX_SAFE_INTEGER;
/** 10^0 … 10^15, which are safe. */
const smallPowers: readonly number[] = Array.from({ length: 16 }, (_, power) => 10 ** power);
const bigPowers: bigint[] = [1n];
/** Larger ones are rare, and made when they are asked for. */
const rememberedPowers = 1100;

export const numericNaN = new Numeric(NaN, 0);
export const numericInfinity = new Numeric(Infinity, 0);
export const numericMinusInfinity = new Numeric(-Infinity, 0);

export function powerOfTen(power: number): bigint {
  if (power > rememberedPowers) return 10n ** BigInt(power);
  for (let known = bigPowers.length; known <= power; known++) {
    bigPowers.push((bigPowers[known - 1] as bigint) * 10n);
  }
  return bigPowers[power] as bigint;
}

/** Of a text that PostgreSQL has printed. */
export function readNumeric(text: string): Numeric {
  const { length } = text;
  if (length > 16) return readLong(text);
  let unscaled = 0;
  let scale = 0;
  let at = text.charCodeAt(0) === 45 ? 1 : 0;
  for (; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code === 46) scale = length - at - 1;
    else unscaled = unscaled * 10 + (code - 48);
    // A letter: NaN, Infinity, -Infinity.
    if (code > 57) return new Numeric(Number(text), 0);
  }
  if (unscaled > maxSafe) return readLong(text);
  return new Numeric(text.charCodeAt(0) === 45 ? -unscaled : unscaled, scale);
}

function readLong(text: string): Numeric {
  const point = text.indexOf('.');
  if (point < 0) return new Numeric(integer(BigInt(text)), 0);
  return new Numeric(integer(BigInt(text.slice(0, point) + text.slice(point + 1))), text.length - point - 1);
}

export function formatNumeric(value: Numeric): string {
  const { unscaled, scale } = value;
  if (scale === 0) return String(unscaled);
  if (unscaled < 0) return `-${withPoint(String(-unscaled), scale)}`;
  return withPoint(String(unscaled), scale);
}

/** Digits without a sign, `scale` of which (1 or more) stand after the point. */
export function withPoint(digits: string, scale: number): string {
  const whole = digits.length - scale;
  if (whole > 0) return `${digits.slice(0, whole)}.${digits.slice(whole)}`;
  return `0.${'0'.repeat(-whole)}${digits}`;
}

/** Of an integer in its canonical form. */
export function numericOfInteger(value: number | bigint): Numeric {
  return new Numeric(value, 0);
}

/** A finite value in canonical form, or the error of one that is too large. */
export function numeric(unscaled: bigint, scale: number): Numeric {
  if (unscaled > largeValue || unscaled < smallValue) {
    const digits = String(unscaled).length - (unscaled < 0n ? 1 : 0);
    if (digits - scale > maxWeightDigits) throw overflow();
  }
  return new Numeric(integer(unscaled), scale);
}

/** From here on a value may overflow: 10^20000, which keeps the exact test off the usual path. */
const largeValue = 10n ** 20000n;
/** Not negated where it is compared with: that would be 8 KB each time. */
const smallValue = -largeValue;

export function overflow(): RowError {
  return new RowError('22003', 'value overflows numeric format');
}

export function isSpecial(value: Numeric): boolean {
  const { unscaled } = value;
  return typeof unscaled === 'number' && !Number.isFinite(unscaled);
}

/** `value`'s unscaled integer at a scale that is not smaller than its own. */
export function unscaledAt(value: Numeric, scale: number): bigint {
  const unscaled = BigInt(value.unscaled);
  return scale === value.scale ? unscaled : unscaled * powerOfTen(scale - value.scale);
}

/** −1, 0, 1. NaN equals itself and is greater than everything else. */
export function compareNumeric(a: Numeric, b: Numeric): number {
  let x = a.unscaled;
  let y = b.unscaled;
  if (a.scale !== b.scale) {
    if (typeof x === 'number' && typeof y === 'number') {
      // A product beyond 2^53 is rounded, yet stays beyond it, where the other side, which is not scaled, never is.
      if (a.scale < b.scale && b.scale - a.scale < 16) x *= smallPowers[b.scale - a.scale] as number;
      else if (a.scale > b.scale && a.scale - b.scale < 16) y *= smallPowers[a.scale - b.scale] as number;
      else return compareScaled(a, b);
    } else return compareScaled(a, b);
  }
  if (x < y) return -1;
  if (x > y) return 1;
  if (x === y || (Number.isNaN(x) && Number.isNaN(y))) return 0;
  return Number.isNaN(x) ? 1 : -1;
}

function compareScaled(a: Numeric, b: Numeric): number {
  if (isSpecial(a) || isSpecial(b)) {
    if (Number.isNaN(a.unscaled)) return Number.isNaN(b.unscaled) ? 0 : 1;
    if (Number.isNaN(b.unscaled)) return -1;
    return a.unscaled < b.unscaled ? -1 : a.unscaled > b.unscaled ? 1 : 0;
  }
  const scale = Math.max(a.scale, b.scale);
  const x = unscaledAt(a, scale);
  const y = unscaledAt(b, scale);
  return x < y ? -1 : x > y ? 1 : 0;
}

export function addNumeric(a: Numeric, b: Numeric): Numeric {
  const x = a.unscaled;
  const y = b.unscaled;
  if (typeof x === 'number' && typeof y === 'number') {
    const more = a.scale - b.scale;
    if (more === 0) {
      const sum = x + y;
      if (sum <= maxSafe && sum >= -maxSafe) return new Numeric(sum, a.scale);
    } else if (more > 0 ? more < 16 : more > -16) {
      const scaledX = more < 0 ? x * (smallPowers[-more] as number) : x;
      const scaledY = more > 0 ? y * (smallPowers[more] as number) : y;
      const sum = scaledX + scaledY;
      if (isSafe(scaledX) && isSafe(scaledY) && isSafe(sum)) return new Numeric(sum, more > 0 ? a.scale : b.scale);
    }
    // NaN and the infinities follow IEEE, and have no scale.
    if (!Number.isFinite(x) || !Number.isFinite(y)) return new Numeric(x + y, 0);
  } else if (isSpecial(a)) return a;
  else if (isSpecial(b)) return b;
  const scale = Math.max(a.scale, b.scale);
  return numeric(unscaledAt(a, scale) + unscaledAt(b, scale), scale);
}

export function subtractNumeric(a: Numeric, b: Numeric): Numeric {
  return addNumeric(a, negateNumeric(b));
}

export function multiplyNumeric(a: Numeric, b: Numeric): Numeric {
  const x = a.unscaled;
  const y = b.unscaled;
  const scale = a.scale + b.scale;
  if (typeof x === 'number' && typeof y === 'number') {
    const product = x * y;
    if (product <= maxSafe && product >= -maxSafe && scale <= maxScale) return new Numeric(product + 0, scale);
    if (!Number.isFinite(x) || !Number.isFinite(y)) return new Numeric(product, 0);
  } else if (isSpecial(a) || isSpecial(b)) {
    return new Numeric(signOf(a) * signOf(b) * Infinity, 0);
  }
  const product = numeric(BigInt(x) * BigInt(y), scale);
  return scale > maxScale ? roundNumeric(product, maxScale) : product;
}

export function negateNumeric(value: Numeric): Numeric {
  const { unscaled } = value;
  return new Numeric(typeof unscaled === 'number' ? 0 - unscaled : -unscaled, value.scale);
}

export function absNumeric(value: Numeric): Numeric {
  return value.unscaled < 0 ? negateNumeric(value) : value;
}

/** −1, 0, 1, NaN. */
export function signOf(value: Numeric): number {
  const { unscaled } = value;
  return typeof unscaled === 'number' ? Math.sign(unscaled) : unscaled < 0n ? -1 : 1;
}

/** Half away from zero. A negative `scale` rounds before the point. */
export function roundNumeric(value: Numeric, scale: number): Numeric {
  return shorten(value, scale, true);
}

export function truncateNumeric(value: Numeric, scale: number): Numeric {
  return shorten(value, scale, false);
}

function shorten(value: Numeric, scale: number, round: boolean): Numeric {
  const { unscaled } = value;
  const resultScale = scale < 0 ? 0 : scale;
  const drop = value.scale - scale;
  if (typeof unscaled === 'number') {
    if (!Number.isFinite(unscaled)) return value;
    if (drop > 0 && drop < 16 && scale >= 0) {
      const unit = smallPowers[drop] as number;
      const rest = unscaled % unit;
      let whole = (unscaled - rest) / unit;
      if (round && Math.abs(rest) * 2 >= unit) whole += unscaled < 0 ? -1 : 1;
      return new Numeric(whole, scale);
    }
  }
  if (drop <= 0) {
    if (drop === 0) return value;
    return numeric(unscaledAt(value, scale), scale);
  }
  // Nothing is left of a value that has fewer digits than are dropped.
  if (drop > 16 && String(unscaled).length < drop) return new Numeric(0, resultScale);
  const unit = powerOfTen(drop);
  const big = BigInt(unscaled);
  let whole = big / unit;
  const rest = big - whole * unit;
  if (round && (rest < 0n ? -rest : rest) * 2n >= unit) whole += big < 0n ? -1n : 1n;
  return numeric(scale < 0 ? whole * powerOfTen(-scale) : whole, resultScale);
}

export function floorNumeric(value: Numeric): Numeric {
  const whole = shorten(value, 0, false);
  return value.unscaled < 0 && compareNumeric(whole, value) !== 0 ? addNumeric(whole, minusOne) : whole;
}

export function ceilNumeric(value: Numeric): Numeric {
  const whole = shorten(value, 0, false);
  return value.unscaled > 0 && compareNumeric(whole, value) !== 0 ? addNumeric(whole, one) : whole;
}

const one = new Numeric(1, 0);
const minusOne = new Numeric(-1, 0);

function isSafe(value: number): boolean {
  return value <= maxSafe && value >= -maxSafe;
}
