import type { Clock } from '../base/clock.ts';
import { TidemarkError } from '../base/errors.ts';

/** A target that is given at most half a megabyte at once and is at it for so long does not get on. */
export const stallMs = 15_000;

/** Since when a target has been at what it was asked last: one that neither does it nor fails shows by that. */
export class Stall {
  readonly #clock: Clock;
  #since: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Does a piece of work of bounded size. */
  async time<T>(work: Promise<T>): Promise<T> {
    this.#since = this.#clock.monotonic();
    try {
      return await work;
    } finally {
      this.#since = null;
    }
  }

  /** A part of the work under way is done. */
  step(): void {
    if (this.#since !== null) this.#since = this.#clock.monotonic();
  }

  /** What there is to say of the work under way; null while it takes no longer than it may. */
  error(sink: string): TidemarkError | null {
    const forMs = this.#since === null ? 0 : this.#clock.monotonic() - this.#since;
    if (forMs < stallMs) return null;
    return new TidemarkError('SINK_STALLED', `sink '${sink}' has been at one write for ${Math.floor(forMs / 1000)} s`, {
      hint: 'Its target takes connections and does not answer: look at it. Other sinks go on meanwhile, and nothing is lost.',
      place: { sink },
    });
  }
}
