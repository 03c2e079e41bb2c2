import { integer } from '../value.ts';

/**
 * An exact decimal: `unscaled` × 10^−`scale`, `scale` being the number of digits printed after the point (PostgreSQL's display scale). The unscaled
 * value is a number where it is safe and a bigint where it is not, so that small values never touch bigint. NaN and the
 * infinities have a scale of 0 and the number NaN or ±Infinity.
 */
export class Numeric {
  readonly unscaled: number | bigint;
  readonly scale: number;

  constructor(unscaled: number | bigint, scale: number) {
    this.unscaled = unscaled;
    this.scale = scale;
  }
}

/** Of a text that PostgreSQL has printed. */
export function readNumeric(text: string): Numeric {
  const point = text.indexOf('.');
  if (text.length < 16)
    return new Numeric(
      Number(point < 0 ? text : text.slice(0, point) + text.slice(point + 1)),
      point < 0 ? 0 : text.length - point - 1,
    );
  if (point < 0) return new Numeric(integer(BigInt(text)), 0);
  return new Numeric(integer(BigInt(text.slice(0, point) + text.slice(point + 1))), text.length - point - 1);
}

export function formatNumeric(value: Numeric): string {
  const { unscaled, scale } = value;
  if (scale === 0) return String(unscaled);
  const negative = unscaled < 0;
  const digits = String(negative ? -unscaled : unscaled).padStart(scale + 1, '0');
  return `${negative ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
