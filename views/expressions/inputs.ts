import { integer } from '../value.ts';
import { RowError } from './expression.ts';
import { Numeric, numeric, numericInfinity, numericMinusInfinity, numericNaN } from './numeric.ts';

/** Input functions of the types that are not dates, json or composite: what PostgreSQL accepts as text of the type. */

export function inputBool(text: string): boolean {
  const word = text.trim().toLowerCase();
  if (word !== '' && ['true', 'yes'].some((full) => full.startsWith(word))) return true;
  if (word !== '' && ['false', 'no'].some((full) => full.startsWith(word))) return false;
  if (word === 'on' || word === '1') return true;
  if (word === 'off' || word === 'of' || word === '0') return false;
  throw invalid('boolean', text);
}

export function inputInt2(text: string): number {
  return Number(inputInteger(text, 'smallint', 16));
}

export function inputInt4(text: string): number {
  return Number(inputInteger(text, 'integer', 32));
}

export function inputInt8(text: string): number | bigint {
  return integer(inputInteger(text, 'bigint', 64));
}

function inputInteger(text: string, type: string, bits: number): bigint {
  const body = trimSpaces(text);
  const parts = /^([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|\d+(?:_\d+)*)$/.exec(body);
  if (parts === null) throw isTooLong(body, bits) ? outOfRange(text, type) : invalid(type, text);
  const size = BigInt((parts[2] ?? '').replaceAll('_', '').toLowerCase());
  const value = parts[1] === '-' ? -size : size;
  if (BigInt.asIntN(bits, value) !== value) throw outOfRange(text, type);
  return value;
}

/** Whether the digits in front are too many before anything else is found wrong. */
function isTooLong(body: string, bits: number): boolean {
  const digits = /^[+-]?\d+/.exec(body);
  return (
    digits !== null && BigInt.asIntN(bits, BigInt(digits[0].replace('+', ''))) !== BigInt(digits[0].replace('+', ''))
  );
}

export function inputNumeric(text: string): Numeric {
  const body = trimSpaces(text);
  const parts = /^([+-]?)(\d+(?:_\d+)*)?(?:\.(\d+(?:_\d+)*)?)?(?:[eE]([+-]?\d+(?:_\d+)*))?$/.exec(body);
  if (parts === null || (parts[2] === undefined && parts[3] === undefined)) return specialNumeric(body, text);
  const whole = (parts[2] ?? '').replaceAll('_', '');
  const fraction = (parts[3] ?? '').replaceAll('_', '');
  const exponent = Number((parts[4] ?? '0').replaceAll('_', ''));
  if (Math.abs(exponent) > 1073741823) throw new RowError('22003', 'value overflows numeric format');
  const digits = whole + fraction;
  const sign = parts[1] === '-' ? '-' : '';
  const scale = fraction.length - exponent;
  if (digits.length - scale > 131073 + digits.length || scale > 16383) return beyondLimits(digits, scale);
  const unscaled = BigInt(`${sign === '-' ? '-' : ''}${digits}${scale < 0 ? '0'.repeat(-scale) : ''}`);
  return numeric(unscaled, Math.max(0, scale));
}

function beyondLimits(digits: string, scale: number): Numeric {
  if (scale <= 16383 && !/^0*$/.test(digits)) throw new RowError('22003', 'value overflows numeric format');
  if (scale <= 16383) return new Numeric(0, 0);
  // PostgreSQL keeps no more digits than that.
  return new Numeric(0, 16383);
}

function specialNumeric(body: string, text: string): Numeric {
  const word = body.toLowerCase();
  if (word === 'nan') return numericNaN;
  if (/^\+?inf(inity)?$/.test(word)) return numericInfinity;
  if (/^-inf(inity)?$/.test(word)) return numericMinusInfinity;
  if (/^[+-]?0[xob]/.test(word)) return new Numeric(integer(inputInteger(body, 'numeric', 4096)), 0);
  throw invalid('numeric', text);
}

export function inputFloat8(text: string): number {
  return inputFloat(text, 'double precision', Number);
}

export function inputFloat4(text: string): number {
  return inputFloat(text, 'real', singleOfDecimal);
}

function inputFloat(text: string, type: string, round: (decimal: string) => number): number {
  const body = trimSpaces(text);
  const word = body.toLowerCase();
  if (/^[+-]?nan$/.test(word)) return NaN;
  if (/^\+?inf(inity)?$/.test(word)) return Infinity;
  if (/^-inf(inity)?$/.test(word)) return -Infinity;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(word)) throw invalid(type, text);
  const value = round(body);
  if (!Number.isFinite(value) || (value === 0 && /[1-9]/.test(word.replace(/e.*/, '')))) {
    throw new RowError('22003', `"${body}" is out of range for type ${type}`);
  }
  return value;
}

/** A decimal rounded once to single precision. */
export function singleOfDecimal(text: string): number {
  const near = Number(text);
  const single = Math.fround(near);
  if (single === near || !Number.isFinite(near) || !Number.isFinite(single)) return single;
  // Only a double in the middle between two singles may have been rounded to there.
  const other = Math.fround(near + (near - single));
  if ((single + other) / 2 !== near) return single;
  const exact = inputNumeric(text);
  const middle = inputNumeric(exactDecimal(near));
  const scale = Math.max(exact.scale, middle.scale);
  const x = BigInt(exact.unscaled) * 10n ** BigInt(scale - exact.scale);
  const y = BigInt(middle.unscaled) * 10n ** BigInt(scale - middle.scale);
  if (x === y) return single;
  return x > y ? Math.max(single, other) : Math.min(single, other);
}

function exactDecimal(value: number): string {
  return Math.abs(value) >= 1e21 ? String(BigInt(value)) : value.toFixed(100);
}

export function inputUuid(text: string): string {
  const hex = /^\{?((?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4})\}?$/.exec(text);
  if (hex === null || text.startsWith('{') !== text.endsWith('}')) throw invalid('uuid', text);
  const digits = (hex[1] ?? '').replaceAll('-', '').toLowerCase();
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
    '-',
  );
}

/** Hexadecimal after `\x`, or the older form with octal escapes. */
export function inputBytea(text: string): string {
  if (text.startsWith('\\x')) {
    const digits = text.slice(2).replaceAll(/[ \t\n\r]/g, '');
    const wrong = /[^0-9a-fA-F]/u.exec(digits);
    if (wrong !== null) throw new RowError('22023', `invalid hexadecimal digit: "${wrong[0]}"`);
    if (digits.length % 2 === 1) throw new RowError('22023', 'invalid hexadecimal data: odd number of digits');
    return `\\x${digits.toLowerCase()}`;
  }
  if (!/^(?:[^\\]|\\\\|\\[0-3][0-7][0-7])*$/.test(text)) throw invalid('bytea', null);
  const bytes = text.split(/(\\\\|\\[0-3][0-7][0-7])/).map((part) => {
    if (part === '\\\\') return Buffer.from('\\');
    return /^\\[0-3]/.test(part) ? Buffer.from([Number.parseInt(part.slice(1), 8)]) : Buffer.from(part);
  });
  return `\\x${Buffer.concat(bytes).toString('hex')}`;
}

/** What isspace() takes for space. */
function trimSpaces(text: string): string {
  return text.replace(/^[ \t\n\r\v\f]+/, '').replace(/[ \t\n\r\v\f]+$/, '');
}

function invalid(type: string, text: string | null): RowError {
  return new RowError('22P02', `invalid input syntax for type ${type}${text === null ? '' : `: "${text}"`}`);
}

function outOfRange(text: string, type: string): RowError {
  return new RowError('22003', `value "${text}" is out of range for type ${type}`);
}
