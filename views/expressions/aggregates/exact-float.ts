/** Doubles as exact fractions, and back with one rounding. */

const view = new DataView(new ArrayBuffer(8));

/** The smallest double is 2^-1074: every finite double is a multiple of it. */
export const fractionBits = 1074n;

/** A finite double in units of 2^-1074. */
export function fixedOf(value: number): bigint {
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = (bits >> 52n) & 0x7ffn;
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const size = exponent === 0n ? fraction : (fraction | 0x10_0000_0000_0000n) << (exponent - 1n);
  return bits >> 63n === 1n ? -size : size;
}

/** The double nearest to numerator ÷ (denominator × 2^scale), half to even; ±Infinity beyond the largest. The denominator is > 0. */
export function roundFraction(numerator: bigint, denominator: bigint, scale: bigint): number {
  if (numerator === 0n) return 0;
  const size = numerator < 0n ? -numerator : numerator;
  // Bits of the quotient, give or take one, before it is shifted.
  const magnitude = BigInt(bitLength(size) - bitLength(denominator)) - scale;
  // At least 65 bits, so that the rest is only a sticky bit; but never below the smallest double.
  const wanted = 65n - magnitude;
  const shift = wanted < fractionBits ? wanted : fractionBits;
  const up = shift - scale;
  const top = up >= 0n ? size << up : size;
  const bottom = up >= 0n ? denominator : denominator << -up;
  let quotient = top / bottom;
  const rest = top % bottom;
  if (shift === fractionBits && bitLength(quotient) <= 53) {
    // Units of the smallest double: round here, since the conversion below is exact.
    if (rest * 2n > bottom || (rest * 2n === bottom && (quotient & 1n) === 1n)) quotient += 1n;
  } else if (rest !== 0n) {
    quotient = (quotient << 1n) | 1n;
    return signed(numerator, scaled(quotient, -Number(shift) - 1));
  }
  return signed(numerator, scaled(quotient, -Number(shift)));
}

function signed(of: bigint, value: number): number {
  return of < 0n ? -value : value;
}

/** Number(bigint) rounds half to even; powers of two are then exact, taken in steps that are themselves doubles. */
function scaled(value: bigint, exponent: number): number {
  let result = Number(value);
  let left = exponent;
  while (left < -1000) {
    // Only values that are exact, or far from the smallest doubles, come here.
    result *= 2 ** -1000;
    left += 1000;
  }
  while (left > 1000) {
    result *= 2 ** 1000;
    left -= 1000;
  }
  return result * 2 ** left;
}

function bitLength(value: bigint): number {
  const hex = value.toString(16);
  return hex.length * 4 - Math.clz32(Number.parseInt(hex.charAt(0), 16)) + 28;
}
