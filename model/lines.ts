import { isUtf8 } from 'node:buffer';
import { TidemarkError } from '../base/errors.ts';

/** One line of input: `bytes[start..end)` without its end, and its number from 1. */
export interface Line {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly number: number;
}

const lineFeed = 0x0a;

/**
 * Cuts what comes in at its line ends and hands over line by line, without a copy where a line lies within one piece of input. The
 * same object is given each time, with new fields. VALUE_INVALID for bytes that are not UTF-8.
 */
export class LineCutter {
  readonly #line: { -readonly [Key in keyof Line]: Line[Key] } = {
    bytes: Buffer.alloc(0),
    start: 0,
    end: 0,
    number: 0,
  };
  /** The beginning of a line that goes on in the next piece. */
  #rest: Buffer[] = [];

  /** The whole lines that `piece` completes. */
  feed(piece: Buffer, take: (line: Line) => void): void {
    let bytes = piece;
    if (this.#rest.length > 0) {
      const first = piece.indexOf(lineFeed);
      if (first < 0) {
        this.#rest.push(Buffer.from(piece));
        return;
      }
      bytes = Buffer.concat([...this.#rest, piece]);
      this.#rest = [];
    }
    const last = bytes.lastIndexOf(lineFeed);
    if (last + 1 < bytes.length) this.#rest.push(Buffer.from(bytes.subarray(last + 1)));
    this.#lines(bytes, last + 1, take);
  }

  /** The last line, which has no line end. */
  end(take: (line: Line) => void): void {
    const bytes = Buffer.concat([...this.#rest, Buffer.from('\n')]);
    this.#rest = [];
    if (bytes.length > 1) this.#lines(bytes, bytes.length, take);
  }

  #lines(bytes: Buffer, to: number, take: (line: Line) => void): void {
    const line = this.#line;
    const isValid = isUtf8(bytes.subarray(0, to));
    line.bytes = bytes;
    for (let at = 0; at < to;) {
      const end = bytes.indexOf(lineFeed, at);
      line.number++;
      if (!isValid && !isUtf8(bytes.subarray(at, end))) throw new TidemarkError('VALUE_INVALID', 'not valid UTF-8');
      line.start = at;
      line.end = end;
      at = end + 1;
      if (!isBlank(bytes, line.start, end)) take(line);
    }
  }

  /** Number of the line handed over last. */
  get number(): number {
    return this.#line.number;
  }
}

function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if ((bytes[at] as number) > 0x20) return false;
  return true;
}
