import { assert } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { Row, Value } from '../value.ts';

/**
 * Values as bytes. Each begins with a tag and tells its own length, so that no value's bytes are the beginning of another's, and rows
 * are their values one after the other:
 *
 *   0x00              NULL
 *   0x01, 0x02        false, true
 *   0x03              a double: 8 bytes, little-endian
 *   0x04              a bigint: a string value with its decimal digits follows
 *   0x05, 0x06, 0x07  a string of ASCII, UTF-8, UTF-16 (only for text that is not well-formed): u32 bytes, then the bytes
 *   0x08 … 0x0e       an integer >= 0 of 1 … 7 bytes, little-endian
 *   0x10 … 0x16       an integer < 0: likewise, of −1 − value
 *   0x20 … 0x5f       an integer from 0 to 63
 *   0x60 … 0xff       a string of ASCII of 0 to 159 characters, then these
 *
 * One value has one form (-0 is a double, 0 an integer), so that equal bytes are equal values.
 */
const tagNull = 0x00;
const tagFalse = 0x01;
const tagTrue = 0x02;
const tagDouble = 0x03;
const tagBigint = 0x04;
const tagAscii = 0x05;
const tagUtf8 = 0x06;
const tagUtf16 = 0x07;
const tagPositive = 0x08;
const tagNegative = 0x10;
const tagSmall = 0x20;
const smallMax = 63;
const tagShort = 0x60;
const shortMax = 159;
/** Strings up to this length are written character by character, which is faster than a call. */
const loopMax = 40;

/** Writes values into a buffer that grows. */
export class ValueWriter {
  buffer: Buffer;
  /** Where the next byte goes. */
  at = 0;

  constructor(sizeBytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(sizeBytes);
  }

  row(row: Row): void {
    for (let index = 0; index < row.length; index++) this.value(row[index] as Value);
  }

  value(value: Value): void {
    if (typeof value === 'string') {
      this.#string(value);
      return;
    }
    this.reserve(16);
    if (typeof value === 'number') this.#number(value);
    else if (value === null) this.buffer[this.at++] = tagNull;
    else if (typeof value === 'boolean') this.buffer[this.at++] = value ? tagTrue : tagFalse;
    else {
      this.buffer[this.at++] = tagBigint;
      this.#string(value.toString());
    }
  }

  /** A count >= 0 up to 2^53, seven bits a byte. */
  count(value: number): void {
    assert(value >= 0, `a count of ${value}`);
    this.reserve(8);
    let rest = value;
    while (rest > 0x7f) {
      this.buffer[this.at++] = (rest & 0x7f) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.buffer[this.at++] = rest;
  }

  byte(value: number): void {
    this.reserve(1);
    this.buffer[this.at++] = value;
  }

  bytes(value: Buffer): void {
    this.reserve(value.length);
    this.at += value.copy(this.buffer, this.at);
  }

  /** Makes room for `bytes` more at `at`. Invalidates references to `buffer`. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }

  #number(value: number): void {
    const { buffer } = this;
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      buffer[this.at++] = tagDouble;
      this.at = buffer.writeDoubleLE(value, this.at);
      return;
    }
    if (value >= 0 && value <= smallMax) {
      buffer[this.at++] = tagSmall + value;
      return;
    }
    const start = this.at++;
    let rest = value < 0 ? -1 - value : value;
    do {
      buffer[this.at++] = rest & 0xff;
      rest = Math.floor(rest / 0x100);
    } while (rest > 0);
    buffer[start] = (value < 0 ? tagNegative : tagPositive) + this.at - start - 2;
  }

  #string(value: string): void {
    const { length } = value;
    // A character is at most three bytes of UTF-8, two of UTF-16.
    this.reserve(5 + length * 3);
    const { buffer } = this;
    const start = this.at;
    if (length <= loopMax) {
      let at = start + 1;
      let seen = 0;
      for (let index = 0; index < length; index++) {
        const code = value.charCodeAt(index);
        seen |= code;
        buffer[at++] = code;
      }
      if (seen < 0x80) {
        buffer[start] = tagShort + length;
        this.at = at;
        return;
      }
    }
    const head = length <= shortMax ? 1 : 5;
    let written = buffer.write(value, start + head, 'utf8');
    if (written === length) {
      // As many bytes as characters: all are ASCII.
      buffer[start] = head === 1 ? tagShort + length : tagAscii;
      if (head === 5) buffer.writeUInt32LE(length, start + 1);
      this.at = start + head + length;
      return;
    }
    const isWell = value.isWellFormed();
    written = isWell ? buffer.write(value, start + 5, 'utf8') : buffer.write(value, start + 5, 'utf16le');
    buffer[start] = isWell ? tagUtf8 : tagUtf16;
    buffer.writeUInt32LE(written, start + 1);
    this.at = start + 5 + written;
  }
}

/** Reads what a ValueWriter wrote. */
export class ValueReader {
  buffer: Buffer = Buffer.alloc(0);
  /** Where the next byte is read. */
  at = 0;

  reset(buffer: Buffer, at: number): this {
    this.buffer = buffer;
    this.at = at;
    return this;
  }

  /** Arrays are made as long as they are: one that grows by `push` has room for sixteen more. */
  row(columns: number): Value[] {
    if (columns === 1) return [this.value()];
    if (columns === 2) return [this.value(), this.value()];
    if (columns === 3) return [this.value(), this.value(), this.value()];
    if (columns === 4) return [this.value(), this.value(), this.value(), this.value()];
    if (columns === 5) return [this.value(), this.value(), this.value(), this.value(), this.value()];
    const row: Value[] = [];
    for (let index = 0; index < columns; index++) row.push(this.value());
    return row.slice();
  }

  value(): Value {
    const { buffer } = this;
    const tag = buffer[this.at++] as number;
    if (tag >= tagShort) {
      const start = this.at;
      this.at += tag - tagShort;
      return buffer.toString('latin1', start, this.at);
    }
    if (tag >= tagSmall) return tag - tagSmall;
    if (tag >= tagNegative) return -1 - this.#integer(tag - tagNegative + 1);
    if (tag >= tagPositive) return this.#integer(tag - tagPositive + 1);
    switch (tag) {
      case tagNull:
        return null;
      case tagFalse:
        return false;
      case tagTrue:
        return true;
      case tagDouble:
        this.at += 8;
        return buffer.readDoubleLE(this.at - 8);
      case tagBigint:
        return BigInt(this.value() as string);
      default:
        return this.#string(tag);
    }
  }

  count(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.buffer[this.at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte <= 0x7f) return value;
    }
  }

  byte(): number {
    return this.buffer[this.at++] as number;
  }

  #integer(bytes: number): number {
    const { buffer, at } = this;
    this.at = at + bytes;
    if (bytes === 1) return buffer[at] as number;
    if (bytes === 2) return (buffer[at] as number) | ((buffer[at + 1] as number) << 8);
    let value = 0;
    for (let index = at + bytes - 1; index >= at; index--) value = value * 0x100 + (buffer[index] as number);
    return value;
  }

  #string(tag: number): string {
    const length = this.buffer.readUInt32LE(this.at);
    const start = this.at + 4;
    this.at = start + length;
    if (this.at > this.buffer.length) throw new TidemarkError('INTERNAL', `a value of view state is cut at ${start}`);
    if (tag === tagAscii) return this.buffer.toString('latin1', start, this.at);
    if (tag === tagUtf8) return this.buffer.toString('utf8', start, this.at);
    return this.buffer.toString('utf16le', start, this.at);
  }
}
