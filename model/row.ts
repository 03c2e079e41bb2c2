import { TidemarkError } from '../base/errors.ts';

/**
 * A packed row: its columns one after the other, in the order of Table.columns, without a count.
 *
 *   length 0..249   one byte of length, then that many bytes of text
 *   250             SQL NULL
 *   251             unchanged: an out-of-line value that the source did not send (inside connectors only, never in the log)
 *   252             two bytes of length (little-endian), then the text
 *   253             four bytes of length (little-endian), then the text
 *
 * The text is UTF-8 exactly as the source prints it (see data-type.ts); a value that is not valid UTF-8 keeps its bytes.
 * Rows are never decoded as a whole: `readFields` finds where the columns are, and a reader asks for those it needs.
 */
/** Values up to this many bytes have one byte of length in front. */
export const shortValueMax = 249;
const nullMark = 250;
const unchangedMark = 251;
const mediumMark = 252;
const longMark = 253;

/** In `FieldPositions.end`, for a column that is NULL. */
export const fieldNull = -1;
/** In `FieldPositions.end`, for a column whose value the source did not send. */
export const fieldUnchanged = -2;

/** Where the columns of one row are in a buffer; reused from row to row, so that reading allocates nothing. */
export interface FieldPositions {
  start: Int32Array;
  /** First byte after the value, or `fieldNull`, or `fieldUnchanged`. */
  end: Int32Array;
}

export function fieldPositions(columns: number): FieldPositions {
  return { start: new Int32Array(columns), end: new Int32Array(columns) };
}

/**
 * Finds the columns of the row at `offset`; returns the offset after its last column. `into` must have room for `columns`.
 * INTERNAL for bytes that are no row, as far as that can be seen from where the buffer ends.
 */
export function readFields(buffer: Buffer, offset: number, columns: number, into: FieldPositions): number {
  const { start, end } = into;
  let at = offset;
  for (let column = 0; column < columns; column++) {
    const mark = buffer[at++] as number;
    let length = mark;
    if (mark > shortValueMax) {
      if (mark === nullMark || mark === unchangedMark) {
        start[column] = at;
        end[column] = mark === nullMark ? fieldNull : fieldUnchanged;
        continue;
      }
      if (mark === mediumMark) {
        length = (buffer[at] as number) | ((buffer[at + 1] as number) << 8);
        at += 2;
      } else {
        if (mark !== longMark || at + 4 > buffer.length) cutRow(buffer, offset);
        length = buffer.readUInt32LE(at);
        at += 4;
      }
    }
    start[column] = at;
    at += length;
    end[column] = at;
  }
  // Written so that it also catches a mark that was not there, which makes `at` NaN.
  if (!(at <= buffer.length)) cutRow(buffer, offset);
  return at;
}

function cutRow(buffer: Buffer, offset: number): never {
  throw new TidemarkError(
    'INTERNAL',
    `packed row at ${offset} is damaged or runs past its buffer of ${buffer.length} bytes`,
  );
}

/** Bytes that a value of `length` bytes takes in a packed row. */
export function packedSize(length: number): number {
  return length <= shortValueMax ? 1 + length : length <= 0xffff ? 3 + length : 5 + length;
}

/** Writes the length mark of a value; returns the offset at which its bytes go. The buffer must have room. */
export function writeLength(into: Buffer, offset: number, length: number): number {
  if (length <= shortValueMax) {
    into[offset] = length;
    return offset + 1;
  }
  if (length <= 0xffff) {
    into[offset] = mediumMark;
    into[offset + 1] = length;
    into[offset + 2] = length >>> 8;
    return offset + 3;
  }
  into[offset] = longMark;
  into.writeUInt32LE(length, offset + 1);
  return offset + 5;
}

export function writeNull(into: Buffer, offset: number): number {
  into[offset] = nullMark;
  return offset + 1;
}

export function writeUnchanged(into: Buffer, offset: number): number {
  into[offset] = unchangedMark;
  return offset + 1;
}

/** Packs values given as text (null for SQL NULL). For tests and for rare rows; hot paths write in place. */
export function packRow(values: readonly (string | Buffer | null)[]): Buffer {
  const parts = values.map((value) => (typeof value === 'string' ? Buffer.from(value) : value));
  const size = parts.reduce((sum, part) => sum + (part === null ? 1 : packedSize(part.length)), 0);
  const row = Buffer.allocUnsafe(size);
  let at = 0;
  for (const part of parts) {
    if (part === null) {
      at = writeNull(row, at);
    } else {
      at = writeLength(row, at, part.length);
      at += part.copy(row, at);
    }
  }
  return row;
}

/** The values of a packed row as text (null for SQL NULL). For tests and for rare rows. */
export function unpackRow(buffer: Buffer, offset: number, columns: number): (string | null)[] {
  const fields = fieldPositions(columns);
  readFields(buffer, offset, columns, fields);
  return Array.from(fields.end, (end, column) => (end < 0 ? null : buffer.toString('utf8', fields.start[column], end)));
}
