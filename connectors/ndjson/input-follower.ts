import { TidemarkError } from '../../base/errors.ts';
import { lineBytesMax, reportChanges } from './progress.ts';
import type { Following } from './progress.ts';
import type { BadLine } from './publisher.ts';
import type { StandardInput } from './standard-input.ts';

const lineFeed = 0x0a;

/** Takes lines from standard input. */
export class InputFollower {
  readonly #following: Following;
  readonly #input: StandardInput;
  #at: number;

  constructor(following: Following, input: StandardInput, position: number) {
    this.#following = following;
    this.#input = input;
    this.#at = position;
  }

  /** Takes lines until the signal is aborted, whether more come or not. Rejects with SOURCE_LINE, or when the input fails. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, report, source, progress, writer } = this.#following;
    const input = this.#input;
    input.begin(this.#at);
    report({ type: 'source.connected', source, server: 'standard input', position: String(this.#at) });
    while (!signal.aborted) {
      const held = input.held(this.#at);
      const length = input.isOver ? held.length : held.lastIndexOf(lineFeed) + 1;
      if (length > 0) {
        this.#publish(held.subarray(0, length));
        reportChanges(this.#following);
        await writer.drained();
      }
      progress.note(input.end - this.#at, input.endOfLines <= this.#at, clock.now());
      if (input.isOver && this.#at === input.end) return this.#stay(signal);
      if (length > 0) continue;
      if (held.length > lineBytesMax) throw this.#bad({ offset: this.#at, why: `longer than ${lineBytesMax} bytes` });
      await input.more(signal);
      this.#release();
    }
  }

  #publish(lines: Buffer): void {
    const bad = this.#following.publisher.publish(lines, this.#at, null);
    if (bad !== null) throw this.#bad(bad);
    this.#at += lines.length;
  }

  #release(): void {
    const durable = this.#following.durablePosition();
    this.#input.release(durable);
  }

  #bad({ offset, why }: BadLine): TidemarkError {
    const place = `standard input:${this.#input.lineNumberAt(offset)}`;
    return new TidemarkError('SOURCE_LINE', `${place}: ${why}`, {
      hint: 'Nothing from this line on has been taken. Correct what writes the lines, and start again with this one first.',
      place: { source: this.#following.source, file: place },
    });
  }

  /** The input is over; the source is there until it is told to stop. */
  async #stay(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  }
}
