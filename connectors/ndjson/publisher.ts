import { TidemarkError } from '../../base/errors.ts';
import { ChangeWriter } from '../../model/change.ts';
import { LineCutter } from '../../model/lines.ts';
import type { Line } from '../../model/lines.ts';
import type { LogWriter } from '../../model/log.ts';
import type { LineTaker } from './line-taker.ts';

const lineFeed = 0x0a;
const lineEnd = Buffer.from('\n');

/** A line that cannot be taken; `offset` is where in the input it may begin (blank lines before it included). */
export class BadLine {
  readonly offset: number;
  readonly why: string;
  constructor(offset: number, why: string) {
    this.offset = offset;
    this.why = why;
  }
}

/** Hands lines to the log, each as a transaction. */
export class LinePublisher {
  readonly #writer: LogWriter;
  readonly #taker: LineTaker;
  readonly #now: () => number;
  readonly #changes = new ChangeWriter();
  #base = 0;
  #published = 0;
  #end = 0;
  #nowMs = 0;
  #state: Readonly<Record<string, string>> | null = null;
  readonly #take = (line: Line): void => this.#publish(line);

  constructor(writer: LogWriter, taker: LineTaker, now: () => number) {
    this.#writer = writer;
    this.#taker = taker;
    this.#now = now;
  }

  /**
   * Publishes the lines in `bytes`, of which the last one may lack its line end; their first byte is at `offset` of the input. `state`
   * becomes the stream's together with the last of them. Returns what is wrong with the first line that cannot be taken: those before it are
   * published then, without the state.
   */
  publish(bytes: Buffer, offset: number, state: Readonly<Record<string, string>> | null): BadLine | null {
    this.#base = offset;
    this.#published = offset;
    this.#end = offset + bytes.length;
    this.#nowMs = this.#now();
    this.#state = state;
    try {
      new LineCutter().feed(bytes.at(-1) === lineFeed ? bytes : Buffer.concat([bytes, lineEnd]), this.#take);
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.code !== 'VALUE_INVALID') throw error;
      return new BadLine(this.#published, error.message);
    }
    // Blank lines at the end have been taken too.
    if (this.#published < this.#end) {
      this.#writer.mark({ position: String(this.#end), timeMs: this.#nowMs, ...(state ? { state } : {}) });
    }
    return null;
  }

  #publish(line: Line): void {
    const changes = this.#changes;
    changes.reset();
    this.#taker.take(line, changes);
    const after = Math.min(this.#base + line.end + 1, this.#end);
    this.#writer.append(changes.batch());
    const info = { position: String(after), commitTimeMs: this.#nowMs, snapshot: false, txId: '' };
    this.#writer.commit(after === this.#end && this.#state ? { ...info, state: this.#state } : info);
    this.#published = after;
  }
}
