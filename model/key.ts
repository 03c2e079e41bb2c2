import type { DataType } from './data-type.ts';

/**
 * A key is bytes whose unsigned order is the order of the key's columns, each compared by its type ("C" order for text), so that
 * keys can be compared, sorted and merged without knowing the table. Each column begins with a tag:
 *
 *   0x10 / 0x11          false / true
 *   0x30 text 0x00       text and every type not listed; a 0x00 within becomes 0x00 0xff (so no tag may be 0xff)
 *   0x78..0x88           an integer: 0x80 + n, then the n bytes of its value, big-endian; negative: 0x80 − n, then the n
 *                        bytes of its complement; zero is 0x80 alone. int2, int4 and int8 of one value are the same bytes.
 *   0xfe                 NULL (after everything else, as PostgreSQL sorts it)
 *
 * What is no integer in a column of integers is written as text, so that it stays a key of its own.
 */
const tagFalse = 0x10;
const tagTrue = 0x11;
const tagText = 0x30;
const tagZero = 0x80;
const tagNull = 0xfe;

export type KeyEncoding = 'int' | 'bool' | 'text';

export function keyEncodingOf(type: DataType): KeyEncoding {
  if (type.kind !== 'scalar') return 'text';
  switch (type.name) {
    case 'int2':
    case 'int4':
    case 'int8':
      return 'int';
    case 'bool':
      return 'bool';
    default:
      return 'text';
  }
}

/** Bytes that a column of `length` text bytes can need at most. */
export function keySizeMax(length: number): number {
  return 2 * length + 2;
}

export function writeKeyNull(into: Buffer, at: number): number {
  into[at] = tagNull;
  return at + 1;
}

/**
 * Writes one key column, given as the text of its value in `from[start..end)`, at `into[at..]`; returns the offset after it.
 * `into` must have room for `keySizeMax(end - start)`.
 */
export function writeKeyPart(
  encoding: KeyEncoding,
  from: Buffer,
  start: number,
  end: number,
  into: Buffer,
  at: number,
): number {
  if (encoding === 'int') return writeInteger(from, start, end, into, at);
  if (encoding === 'bool') {
    into[at] = from[start] === 0x74 /* t */ ? tagTrue : tagFalse;
    return at + 1;
  }
  return writeText(from, start, end, into, at);
}

function writeText(from: Buffer, start: number, end: number, into: Buffer, at: number): number {
  into[at++] = tagText;
  for (let index = start; index < end; index++) {
    const byte = from[index] as number;
    into[at++] = byte;
    if (byte === 0) into[at++] = 0xff;
  }
  into[at++] = 0;
  return at;
}

function writeInteger(from: Buffer, start: number, end: number, into: Buffer, at: number): number {
  const negative = from[start] === 0x2d; /* - */
  const first = negative ? start + 1 : start;
  if (first === end || end - first > 19) return writeText(from, start, end, into, at);
  let value = 0;
  for (let index = first; index < end; index++) {
    const digit = (from[index] as number) - 0x30;
    if (digit >>> 0 > 9) return writeText(from, start, end, into, at);
    value = value * 10 + digit;
  }
  // 15 digits always fit a double exactly; longer ones are rare and take the slow way.
  if (end - first > 15) return writeBigInteger(BigInt(from.toString('latin1', first, end)), negative, into, at);
  if (value === 0) {
    into[at] = tagZero;
    return at + 1;
  }
  let low = value >>> 0;
  let high = (value - low) / 0x1_0000_0000;
  const size = high === 0 ? byteSize(low) : 4 + byteSize(high);
  into[at] = negative ? tagZero - size : tagZero + size;
  const flip = negative ? 0xff : 0;
  for (let index = at + size; index > at; index--) {
    into[index] = (low & 0xff) ^ flip;
    low = (low >>> 8) | ((high & 0xff) << 24);
    high >>>= 8;
  }
  return at + 1 + size;
}

function byteSize(value: number): number {
  return value > 0xff_ffff ? 4 : value > 0xffff ? 3 : value > 0xff ? 2 : 1;
}

function writeBigInteger(value: bigint, negative: boolean, into: Buffer, at: number): number {
  if (value === 0n) {
    into[at] = tagZero;
    return at + 1;
  }
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, 'hex');
  into[at] = negative ? tagZero - bytes.length : tagZero + bytes.length;
  for (let index = 0; index < bytes.length; index++) {
    into[at + 1 + index] = (bytes[index] as number) ^ (negative ? 0xff : 0);
  }
  return at + 1 + bytes.length;
}
