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

/** Bytes four times over, for looking at four bytes of a row at a time. */
const fourTabs = 0x0909_0909;
const fourBackslashes = 0x5c5c_5c5c;
const fourOnes = 0x0101_0101;
const fourTops = 0x8080_8080 | 0;
const noTops = 0x7f7f_7f7f;

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
  /** Of a plain row: the bytes of its longest value. */
  longest = 0;
  /** The chunk that rows were read from last, and the same as words. */
  #buffer: Buffer | null = null;
  #words: Int32Array | null = null;

  constructor(columns: number, fields: FieldPositions) {
    this.columns = columns;
    this.fields = fields;
  }

  read(buffer: Buffer, start: number, end: number): void {
    const last = end > start && buffer[end - 1] === lineFeed ? end - 1 : end;
    this.bytes = buffer;
    const words = buffer === this.#buffer ? this.#words : this.#wordsOf(buffer);
    if (words === null) this.#readEscaped(buffer, start, last);
    else this.#readWords(buffer, words, start, last);
  }

  /** Where the columns are, four bytes at a time, as long as the only backslashes are those of NULLs. */
  #readWords(buffer: Buffer, words: Int32Array, start: number, last: number): void {
    const { start: starts, end: ends } = this.fields;
    let column = 0;
    let from = start;
    let longest = 0;
    let isPlain = true;
    /** Of the column at `from`. */
    let firstBackslash = -1;
    // Bytes before the row in its first word do not count.
    let counted = -1 << (8 * (start & 3));
    for (let word = start >>> 2; word << 2 < last; word++) {
      const bytes = words[word] as number;
      const tabs = bytes ^ fourTabs;
      const slashes = bytes ^ fourBackslashes;
      // Neither is found when no byte of the one or the other is zero; when something is, it is looked at more closely.
      if ((((tabs - fourOnes) & ~tabs) | ((slashes - fourOnes) & ~slashes)) & fourTops & counted) {
        let found = (zeroBytes(tabs) | zeroBytes(slashes)) & counted;
        for (; found !== 0; found &= found - 1) {
          const at = (word << 2) + ((31 - Math.clz32(found & -found)) >>> 3);
          if (at >= last) break;
          if (buffer[at] === backslash) {
            if (firstBackslash < 0) firstBackslash = at;
            continue;
          }
          starts[column] = from;
          ends[column] = at;
          if (firstBackslash >= 0) {
            if (!isNullMark(buffer, firstBackslash, from, at)) {
              this.#readEscaped(buffer, start, last);
              return;
            }
            ends[column] = fieldNull;
            firstBackslash = -1;
            isPlain = false;
          } else if (at - from > longest) {
            longest = at - from;
          }
          column++;
          from = at + 1;
        }
      }
      counted = -1;
    }
    starts[column] = from;
    ends[column++] = last;
    if (firstBackslash >= 0) {
      if (!isNullMark(buffer, firstBackslash, from, last)) {
        this.#readEscaped(buffer, start, last);
        return;
      }
      ends[column - 1] = fieldNull;
      isPlain = false;
    }
    this.longest = Math.max(longest, last - from);
    this.isPlain = isPlain && this.columns > 0;
    // A table without columns is one empty field to us.
    if (column !== this.columns && this.columns > 0) throw malformed(column, this.columns);
  }

  /** The buffer as words; null for one that does not lie at a word's boundary. */
  #wordsOf(buffer: Buffer): Int32Array | null {
    const { buffer: memory, byteOffset } = buffer;
    this.#buffer = buffer;
    this.#words = byteOffset % 4 === 0 && memory.byteLength % 4 === 0 ? new Int32Array(memory, byteOffset) : null;
    return this.#words;
  }

  /** Byte by byte, into a copy without escapes. */
  #readEscaped(buffer: Buffer, start: number, last: number): void {
    this.isPlain = false;
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
    if (column !== this.columns && this.columns > 0) throw malformed(column, this.columns);
  }
}

/** The top bit of each byte that is zero, exactly (https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord). */
function zeroBytes(word: number): number {
  return ~(((word & noTops) + noTops) | word | noTops);
}

/** Whether the column `[from, to)` whose first backslash is at `at` is NULL as a whole. */
function isNullMark(buffer: Buffer, at: number, from: number, to: number): boolean {
  return at === from && to === from + 2 && buffer[from + 1] === letterN;
}

function malformed(found: number, wanted: number): TidemarkError {
  return new TidemarkError('SOURCE_PROTOCOL', `a row of COPY has ${found} columns where ${wanted} were asked for`);
}
