const lineFeed = 0x0a;

/**
 * What has come on standard input and is not durable in the log yet. It outlives the runs of its source within a process, so that one
 * that is paused, or that fails, goes on where it was; with the process what was not taken is lost, since it cannot be read again.
 */
export class StandardInput {
  readonly #open: () => AsyncIterable<Buffer>;
  #reader: AsyncIterator<Buffer> | null = null;
  #pulling: Promise<void> | null = null;
  #buffer: Buffer = Buffer.alloc(64 * 1024);
  /** What is held: from here to there in the buffer. */
  #from = 0;
  #to = 0;
  /** Position of the first byte that is held. */
  #base = 0;
  /** Lines that ended before it, in this process. */
  #linesBefore = 0;
  #isOver = false;
  #failure: unknown = null;
  readonly #over = Promise.withResolvers<void>();

  constructor(open: () => AsyncIterable<Buffer>) {
    this.#open = open;
  }

  /** Positions go on from `position`, which earlier runs reached; in a later run of this process it is what is durable. */
  begin(position: number): void {
    if (this.#reader === null) {
      this.#base = position;
      this.#reader = this.#open()[Symbol.asyncIterator]();
    } else {
      this.release(position);
    }
  }

  /** Whether nothing more will come. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Resolves at the end of the input. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Position after everything that has come. */
  get end(): number {
    return this.#base + this.#to - this.#from;
  }

  /** Position after the last whole line that has come. */
  get endOfLines(): number {
    if (this.#isOver) return this.end;
    const last = this.#buffer.subarray(this.#from, this.#to).lastIndexOf(lineFeed);
    return this.#base + last + 1;
  }

  /** What is held from `position` on; valid until the next call of `more` or `release`. */
  held(position: number): Buffer {
    return this.#buffer.subarray(this.#from + position - this.#base, this.#to);
  }

  /** Waits until more has come, the input is over, or the signal is aborted. Rejects when the input fails. */
  async more(signal: AbortSignal): Promise<void> {
    if (this.#isOver || signal.aborted) return;
    this.#pulling ??= this.#pull().finally(() => (this.#pulling = null));
    const aborted = Promise.withResolvers<void>();
    const abort = (): void => aborted.resolve();
    signal.addEventListener('abort', abort, { once: true });
    await Promise.race([this.#pulling, aborted.promise]);
    signal.removeEventListener('abort', abort);
    if (this.#failure !== null) throw this.#failure;
  }

  /** Lets go of what is durable. */
  release(position: number): void {
    const to = this.#from + Math.max(0, position - this.#base);
    for (let at = this.#buffer.indexOf(lineFeed, this.#from); at >= 0 && at < to;) {
      this.#linesBefore++;
      at = this.#buffer.indexOf(lineFeed, at + 1);
    }
    this.#base = Math.max(this.#base, position);
    this.#from = to;
    if (this.#from === this.#to) this.#from = this.#to = 0;
  }

  /** Number of the line at `position`, or behind it after blank lines, from 1 in this process. */
  lineNumberAt(position: number): number {
    let lines = this.#linesBefore + 1;
    const start = this.#from + position - this.#base;
    for (let at = this.#from; at < this.#to; at++) {
      const byte = this.#buffer[at] as number;
      if (at >= start && byte > 0x20) break;
      if (byte === lineFeed) lines++;
    }
    return lines;
  }

  async #pull(): Promise<void> {
    try {
      const next = await this.#reader?.next();
      if (next === undefined || next.done === true) {
        this.#isOver = true;
        this.#over.resolve();
      } else {
        this.#append(next.value);
      }
    } catch (error) {
      this.#failure = error;
    }
  }

  #append(chunk: Buffer): void {
    const held = this.#to - this.#from;
    if (this.#to + chunk.length > this.#buffer.length) {
      const fits = held + chunk.length <= this.#buffer.length / 2;
      const into = fits ? this.#buffer : Buffer.alloc(2 * (held + chunk.length));
      this.#buffer.copy(into, 0, this.#from, this.#to);
      this.#buffer = into;
      this.#from = 0;
      this.#to = held;
    }
    this.#to += chunk.copy(this.#buffer, this.#to);
  }
}
