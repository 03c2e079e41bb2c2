import { TidemarkError, isTidemarkError, systemCodeOf } from '../../base/errors.ts';
import type { File, Files } from '../../base/files.ts';
import { endOfLines, fileError, isWholeLine, lineNumberAt, openLines } from './line-file.ts';
import { lineBytesMax, reportChanges } from './progress.ts';
import type { Following } from './progress.ts';
import type { BadLine } from './publisher.ts';
import { isTail, markTail, tailBytesMax, tailMarkKey } from './tail-mark.ts';
import type { TailMark } from './tail-mark.ts';

const lineFeed = 0x0a;
/** Bytes of lines that are read and handed to the log in one go. */
const chunkBytes = 256 * 1024;
/** A file that is not there is looked for this often. */
const missingPollMs = 250;

/**
 * Takes the lines of a file, and follows it as it grows. The file is opened anew at each look, so that one that was put in its place is
 * seen, and told from the one that was followed by the bytes before the position.
 */
export class FileFollower {
  readonly #following: Following;
  readonly #files: Files;
  readonly #pollMs: number;
  /** Everything before it has been taken. */
  #at: number;
  /** What the bytes before a position of the past must be; null where nothing is known of them. */
  #mark: TailMark | null;
  /** How far the file has been looked at. */
  #seen = -1;
  #isFound = false;
  #buffer: Buffer = Buffer.allocUnsafeSlow(tailBytesMax + chunkBytes);

  constructor(
    following: Following,
    options: { files: Files; pollMs: number; position: number; mark: TailMark | null },
  ) {
    this.#following = following;
    this.#files = options.files;
    this.#pollMs = options.pollMs;
    this.#at = options.position;
    this.#mark = options.mark;
  }

  /** Follows until the signal is aborted. Rejects with what needs a person: SOURCE_LINE, SOURCE_IDENTITY, SOURCE_PRIVILEGE. */
  async run(signal: AbortSignal): Promise<void> {
    const { path, source, clock } = this.#following;
    while (!signal.aborted) {
      try {
        const file = await openLines(this.#files, path, source);
        try {
          await this.#look(file, signal);
        } finally {
          await file.close();
        }
      } catch (error) {
        const known = isFileError(error) ? fileError(error, path, source) : error;
        if (!isTidemarkError(known, 'SOURCE_UNREACHABLE')) throw known;
        this.#missing(known);
      }
      await clock.sleep(this.#isFound ? this.#pollMs : missingPollMs, signal).catch(() => undefined);
    }
  }

  /** Position after the last line that the file has now. */
  async currentPosition(): Promise<string> {
    const { path, source } = this.#following;
    const file = await openLines(this.#files, path, source);
    try {
      const at = this.#at;
      const size = await file.size();
      if (size < at) throw this.#shorter(size);
      return String(await endOfLines(file, at, size));
    } finally {
      await file.close();
    }
  }

  async #look(file: File, signal: AbortSignal): Promise<void> {
    const { clock, progress, writer, source, path, report } = this.#following;
    const size = await file.size();
    if (size < this.#at) throw this.#shorter(size);
    if (!this.#isFound) {
      if (this.#mark !== null && this.#mark.at < this.#at) await this.#verifyOlder(file, this.#mark);
      progress.error = null;
      report({ type: 'source.connected', source, server: path, position: String(this.#at) });
      this.#isFound = true;
    }
    if (size === this.#seen) {
      progress.note(size - this.#at, true, clock.now());
      return;
    }
    for (let goesOn = true; goesOn && !signal.aborted;) {
      goesOn = await this.#read(file);
      reportChanges(this.#following);
      progress.note(Math.max(size, this.#seen) - this.#at, !goesOn, clock.now());
      await writer.drained();
    }
  }

  /** Takes the lines of one chunk; false at the end of the file. */
  async #read(file: File): Promise<boolean> {
    const back = Math.min(tailBytesMax, this.#at);
    const read = await file.read(this.#buffer, this.#at - back);
    if (read < back) throw this.#shorter(this.#at - back + read);
    if (this.#mark?.at === this.#at && !isTail(this.#mark, this.#buffer, back)) throw this.#replaced();
    const base = this.#at - back;
    const isAtEnd = read < this.#buffer.length;
    this.#seen = base + read;
    let end = back + this.#buffer.subarray(back, read).lastIndexOf(lineFeed) + 1;
    if (isAtEnd && end < read && isWholeLine(this.#buffer.subarray(end, read))) end = read;
    if (end > back) await this.#publish(file, base, back, end);
    else if (!isAtEnd) await this.#grow(file);
    return !isAtEnd;
  }

  /** Publishes the lines in `[from, to)` of the buffer, whose first byte is at `base` of the file. */
  async #publish(file: File, base: number, from: number, to: number): Promise<void> {
    const { publisher, writer, clock } = this.#following;
    const mark = markTail(base + to, this.#buffer, to);
    const bad = publisher.publish(this.#buffer.subarray(from, to), base + from, stateOf(mark));
    if (bad === null) {
      this.#at = mark.at;
      this.#mark = mark;
      return;
    }
    if (bad.offset > this.#at) {
      const state = stateOf(markTail(bad.offset, this.#buffer, bad.offset - base));
      writer.mark({ position: String(bad.offset), timeMs: clock.now(), state });
    }
    reportChanges(this.#following);
    throw await this.#badLine(file, bad);
  }

  async #badLine(file: File, { offset, why }: BadLine): Promise<TidemarkError> {
    const { path, source } = this.#following;
    const place = `${path}:${await lineNumberAt(file, offset)}`;
    return new TidemarkError('SOURCE_LINE', `${place}: ${why}`, {
      hint: 'Nothing from this line on has been taken. Correct it, or take it out, and leave the lines before it as they are: the source then goes on by itself.',
      place: { source, file: place },
    });
  }

  /** Makes room for a line that is longer than what is read in one go. */
  async #grow(file: File): Promise<void> {
    const length = this.#buffer.length - tailBytesMax;
    if (length >= lineBytesMax) {
      throw await this.#badLine(file, { offset: this.#at, why: `the line is longer than ${lineBytesMax} bytes` });
    }
    this.#buffer = Buffer.allocUnsafeSlow(tailBytesMax + 2 * length);
  }

  /** After a crash the mark is that of the last read that was durable as a whole. */
  async #verifyOlder(file: File, mark: TailMark): Promise<void> {
    const tail = Buffer.allocUnsafe(mark.bytes);
    const read = await file.read(tail, mark.at - mark.bytes);
    if (!isTail(mark, tail.subarray(0, read), read)) throw this.#replaced();
  }

  #missing(error: TidemarkError): void {
    const { progress, report, source } = this.#following;
    if (progress.error?.message !== error.message) {
      report({ type: 'source.retrying', source, error, attempt: 0, waitMs: missingPollMs });
    }
    progress.error = error;
    this.#isFound = false;
    this.#seen = -1;
  }

  #shorter(size: number): TidemarkError {
    const { path } = this.#following;
    return this.#otherFile(
      `${path} has ${size} bytes, and ${this.#at} have been taken from it: it was cut or replaced`,
    );
  }

  #replaced(): TidemarkError {
    const { path } = this.#following;
    return this.#otherFile(`${path} is not the file that was read up to ${this.#at}: the bytes before that are others`);
  }

  #otherFile(message: string): TidemarkError {
    const { path, source } = this.#following;
    return new TidemarkError('SOURCE_IDENTITY', message, {
      hint: 'Put the file back as it was (lines may be added at its end) and start again; or give the source another name, which takes the file from its beginning.',
      place: { source, file: path, position: String(this.#at) },
    });
  }
}

function stateOf(mark: TailMark): Readonly<Record<string, string>> {
  return { [tailMarkKey]: JSON.stringify(mark) };
}

/** What the system says of a file, as against what our own code says. */
function isFileError(error: unknown): boolean {
  return !(error instanceof TidemarkError) && systemCodeOf(error) !== undefined;
}
