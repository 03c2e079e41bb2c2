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

  /** The whole lines that `piece` completes. Nothing of it is kept: it may be filled anew afterwards. */
  feed(piece: Buffer, take: (line: Line) => void): void {
    const last = piece.lastIndexOf(lineFeed);
    let from = 0;
    if (this.#rest.length > 0) {
      if (last < 0) {
        this.#rest.push(Buffer.from(piece));
        return;
      }
      from = piece.indexOf(lineFeed) + 1;
      const whole = Buffer.concat([...this.#rest, piece.subarray(0, from)]);
      this.#rest = [];
      this.#lines(whole, 0, whole.length, take);
    }
    if (last + 1 < piece.length) this.#rest.push(Buffer.from(piece.subarray(last + 1)));
    this.#lines(piece, from, last + 1, take);
  }

  /** The last line, which has no line end. */
  end(take: (line: Line) => void): void {
    const bytes = Buffer.concat([...this.#rest, Buffer.from('\n')]);
    this.#rest = [];
    if (bytes.length > 1) this.#lines(bytes, 0, bytes.length, take);
  }

  #lines(bytes: Buffer, from: number, to: number, take: (line: Line) => void): void {
    const line = this.#line;
    const isValid = isUtf8(bytes.subarray(from, to));
    line.bytes = bytes;
    for (let at = from; at < to;) {
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
