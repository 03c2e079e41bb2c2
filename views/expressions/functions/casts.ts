import { characterCount, sliceCharacters, withoutTrailingBlanks } from '../characters.ts';
import { RowError } from '../expression.ts';
import { formatNumeric, isSpecial, Numeric, numericOfInteger, roundNumeric } from '../numeric.ts';
import { inputNumeric, singleOfDecimal } from '../inputs.ts';
import { defineCast } from './definition.ts';
import type { CastDefinition, TypmodDefinition } from './definition.ts';
import { overflow, roundHalfEven, underflow } from './floats.ts';
import { toInt2, toInt4, toInt8 } from './integers.ts';

const mayFail = { mayFail: true };

type Whole = number | bigint;

export const scalarCasts: readonly CastDefinition[] = [
  defineCast('int2', 'int4', 'implicit', null),
  defineCast('int2', 'int8', 'implicit', null),
  defineCast('int4', 'int8', 'implicit', null),
  defineCast('int4', 'int2', 'assignment', toInt2, mayFail),
  defineCast('int8', 'int2', 'assignment', (value: Whole) => toInt2(Number(value)), mayFail),
  defineCast('int8', 'int4', 'assignment', (value: Whole) => toInt4(Number(value)), mayFail),
  ...(['int2', 'int4', 'int8'] as const).flatMap((name) => [
    defineCast(name, 'numeric', 'implicit', numericOfInteger),
    defineCast(name, 'float4', 'implicit', name === 'int8' ? float4OfInt8 : Math.fround),
    defineCast(name, 'float8', 'implicit', name === 'int8' ? Number : null),
  ]),
  defineCast('numeric', 'int2', 'assignment', (value: Numeric) => toInt2(Number(whole(value, 'smallint'))), mayFail),
  defineCast('numeric', 'int4', 'assignment', (value: Numeric) => toInt4(Number(whole(value, 'integer'))), mayFail),
  defineCast('numeric', 'int8', 'assignment', (value: Numeric) => toInt8(BigInt(whole(value, 'bigint'))), mayFail),
  defineCast('numeric', 'float4', 'implicit', float4OfNumeric, mayFail),
  defineCast('numeric', 'float8', 'implicit', float8OfNumeric, mayFail),
  defineCast('float4', 'float8', 'implicit', null),
  defineCast('float8', 'float4', 'assignment', narrow, mayFail),
  ...(['float4', 'float8'] as const).flatMap((name) => [
    defineCast(name, 'int2', 'assignment', (value: number) => toInt2(roundedFloat(value, 'smallint')), mayFail),
    defineCast(name, 'int4', 'assignment', (value: number) => toInt4(roundedFloat(value, 'integer')), mayFail),
    defineCast(name, 'int8', 'assignment', (value: number) => toInt8(BigInt(roundedFloat(value, 'bigint'))), mayFail),
  ]),
  defineCast('float4', 'numeric', 'assignment', (value: number) => numericOfFloat(value, 6)),
  defineCast('float8', 'numeric', 'assignment', (value: number) => numericOfFloat(value, 15)),
  defineCast('bool', 'int4', 'explicit', (value: boolean) => (value ? 1 : 0)),
  defineCast('int4', 'bool', 'explicit', (value: number) => value !== 0),
  ...(['text', 'varchar', 'bpchar'] as const).map((name) =>
    defineCast('bool', name, 'assignment', (value: boolean) => (value ? 'true' : 'false')),
  ),
  defineCast('text', 'varchar', 'implicit', null),
  defineCast('text', 'bpchar', 'implicit', null),
  defineCast('varchar', 'text', 'implicit', null),
  defineCast('varchar', 'bpchar', 'implicit', null),
  defineCast('bpchar', 'text', 'implicit', withoutTrailingBlanks),
  defineCast('bpchar', 'varchar', 'implicit', withoutTrailingBlanks),
];

export const textTypmods: readonly TypmodDefinition[] = [
  { type: 'varchar', mayFail: true, apply: fitVarying },
  { type: 'bpchar', mayFail: true, apply: fitPadded },
];

/** To int2, int4, int8: half away from zero. */
function whole(value: Numeric, type: string): Whole {
  if (isSpecial(value)) {
    throw new RowError('0A000', `cannot convert ${Number.isNaN(value.unscaled) ? 'NaN' : 'infinity'} to ${type}`);
  }
  return roundNumeric(value, 0).unscaled;
}

function roundedFloat(value: number, type: string): number {
  if (!Number.isFinite(value)) throw new RowError('22003', `${type} out of range`);
  return roundHalfEven(value) + 0;
}

/** Once rounded, not by way of a double. */
function float4OfInt8(value: Whole): number {
  if (typeof value === 'number') return Math.fround(value);
  const near = Number(value);
  const single = Math.fround(near);
  // The double is on the border between two singles: the digits that it lost decide.
  if (BigInt(near) === value || single === near) return single;
  const up = BigInt(near) < value;
  const half = Math.abs(near - single);
  const other = Math.fround(near + (single < near ? half * 2 : -half * 2));
  const border = (single + other) / 2 === near;
  if (!border) return single;
  return up ? Math.max(single, other) : Math.min(single, other);
}

function float8OfNumeric(value: Numeric): number {
  const { unscaled, scale } = value;
  // Two exact numbers, and one division that rounds once.
  if (typeof unscaled === 'number' && scale < 16) return unscaled / 10 ** scale;
  const near = Number(formatNumeric(value));
  if (!Number.isFinite(near) && !isSpecial(value)) {
    throw new RowError('22003', `"${formatNumeric(value)}" is out of range for type double precision`);
  }
  if (near === 0 && unscaled !== 0) {
    throw new RowError('22003', `"${formatNumeric(value)}" is out of range for type double precision`);
  }
  return near;
}

function float4OfNumeric(value: Numeric): number {
  if (isSpecial(value)) return Number(value.unscaled);
  const single = singleOfDecimal(formatNumeric(value));
  if (!Number.isFinite(single) || (single === 0 && value.unscaled !== 0)) {
    throw new RowError('22003', `"${formatNumeric(value)}" is out of range for type real`);
  }
  return single;
}

function narrow(value: number): number {
  const single = Math.fround(value);
  if (!Number.isFinite(single) && Number.isFinite(value)) throw overflow();
  if (single === 0 && value !== 0) throw underflow();
  return single;
}

/** As printf's %.15g prints it, half to even. */
function numericOfFloat(value: number, digits: number): Numeric {
  if (!Number.isFinite(value)) return new Numeric(value, 0);
  let text = value.toPrecision(digits);
  // JavaScript rounds a tie up.
  const longer = value.toExponential(digits + 40);
  if (/^-?\d\.\d+?50{39,}\d?e/.test(longer)) text = halfEvenDigits(longer, digits) ?? text;
  return inputNumeric(text.includes('e') || !text.includes('.') ? trimmedExponent(text) : text.replace(/\.?0+$/, ''));
}

function trimmedExponent(text: string): string {
  return text.includes('.') ? text.replace(/\.?0*e/, 'e') : text;
}

/** Of `d.ddd…50…0e±x` with the 5 right after the wanted digits: the even one of the two neighbours. */
function halfEvenDigits(exponential: string, digits: number): string | null {
  const negative = exponential.startsWith('-') ? '-' : '';
  const [mantissa = '', exponent = '0'] = exponential.slice(negative.length).split('e');
  const all = mantissa.replace('.', '');
  if (!/^50*$/.test(all.slice(digits))) return null;
  const kept = BigInt(all.slice(0, digits));
  const rounded = kept % 2n === 0n ? kept : kept + 1n;
  return `${negative}${rounded}e${Number(exponent) - digits + 1}`;
}

function fitVarying(text: string, typmod: number, explicit: boolean): string {
  const limit = typmod - 4;
  if (text.length <= limit || characterCount(text) <= limit) return text;
  const cut = sliceCharacters(text, 0, limit);
  if (!explicit && withoutTrailingBlanks(text.slice(cut.length)) !== '') throw tooLong('character varying', limit);
  return cut;
}

function fitPadded(text: string, typmod: number, explicit: boolean): string {
  const length = typmod - 4;
  const own = characterCount(text);
  if (own <= length) return text + ' '.repeat(length - own);
  const cut = sliceCharacters(text, 0, length);
  if (!explicit && withoutTrailingBlanks(text.slice(cut.length)) !== '') throw tooLong('character', length);
  return cut;
}

function tooLong(type: string, length: number): RowError {
  return new RowError('22001', `value too long for type ${type}(${length})`);
}
