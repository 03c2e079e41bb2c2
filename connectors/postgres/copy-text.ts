import { TidemarkError } from '../../base/errors.ts';
import { fieldNull } from '../../model/row.ts';
import type { FieldPositions } from '../../model/row.ts';

/**
 * COPY's text format (https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS): columns parted by tabs, a
 * line feed at the end, NULL as `\N`, and a backslash before what would be mistaken. The server sends one row a message.
 */
const tab = 0x09;
const lineFeed = 0x0a;
const backslash = 0x5c;
const letterN = 0x4e;

/** The letters after a backslash that stand for control characters; any other stands for itself. */
const escapes = new Uint8Array(256).map((_, byte) => byte);
for (const [letter, byte] of [
  ['b', 8],
  ['f', 12],
  ['n', 10],
  ['r', 13],
  ['t', 9],
  ['v', 11],
] as const) {
  escapes[letter.charCodeAt(0)] = byte;
}

/** Finds the columns of a row. Those with escapes are unescaped into a buffer of the reader's, so the row's bytes are in `bytes` afterwards. */
export class CopyTextReader {
  readonly fields: FieldPositions;
  readonly columns: number;
  #scratch: Buffer = Buffer.allocUnsafeSlow(8 * 1024);
  /** What `fields` refers to after `read`: the message itself, or a copy without escapes. */
  bytes: Buffer = this.#scratch;
  /** The row had neither NULLs nor escapes: its values stand in `bytes` one after the other, with one byte between. */
  isPlain = false;

  constructor(columns: number, fields: FieldPositions) {
    this.columns = columns;
    this.fields = fields;
  }

  read(buffer: Buffer, start: number, end: number): void {
    const { start: starts, end: ends } = this.fields;
    const last = end > start && buffer[end - 1] === lineFeed ? end - 1 : end;
    this.isPlain = this.columns > 0;
    this.bytes = buffer;
    let column = 0;
    let from = start;
    for (let at = start; at < last; at++) {
      const byte = buffer[at];
      if (byte === tab) {
        starts[column] = from;
        ends[column++] = at;
        from = at + 1;
      } else if (byte === backslash) {
        this.isPlain = false;
        const after = at + 2;
        const isNull = at === from && buffer[at + 1] === letterN && (after === last || buffer[after] === tab);
        if (!isNull) {
          this.#readEscaped(buffer, start, last);
          return;
        }
        starts[column] = at;
        ends[column++] = fieldNull;
        at = after;
        from = after + 1;
      }
    }
    // After a NULL at the very end there is no field left.
    if (from <= last) {
      starts[column] = from;
      ends[column++] = last;
    }
    // A table without columns is one empty field to us.
    if (column !== this.columns && this.columns > 0) throw malformed(column, this.columns);
  }

  #readEscaped(buffer: Buffer, start: number, last: number): void {
    if (this.#scratch.length < last - start) this.#scratch = Buffer.allocUnsafeSlow(2 * (last - start));
    const scratch = this.#scratch;
    const { start: starts, end: ends } = this.fields;
    let column = 0;
    let to = 0;
    let at = start;
    for (;;) {
      const from = to;
      let isNull = false;
      while (at < last && buffer[at] !== tab) {
        const byte = buffer[at++] as number;
        if (byte !== backslash) {
          scratch[to++] = byte;
          continue;
        }
        if (at >= last) throw new TidemarkError('SOURCE_PROTOCOL', 'a row of COPY ends in the middle of an escape');
        const letter = buffer[at++] as number;
        // Only a field that is \N as a whole is NULL; an N never needs a backslash otherwise.
        if (letter === letterN) isNull = true;
        else scratch[to++] = escapes[letter] as number;
      }
      starts[column] = from;
      ends[column++] = isNull ? fieldNull : to;
      if (at >= last) break;
      at++;
      if (at === last) {
        starts[column] = to;
        ends[column++] = to;
        break;
      }
    }
    this.bytes = scratch;
    if (column !== this.columns) throw malformed(column, this.columns);
  }
}

function malformed(found: number, wanted: number): TidemarkError {
  return new TidemarkError('SOURCE_PROTOCOL', `a row of COPY has ${found} columns where ${wanted} were asked for`);
}
