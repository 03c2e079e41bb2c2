/** The rate of a growing count over a sliding window, from samples taken at any times. */
export class Rate {
  readonly #windowMs: number;
  readonly #times: number[] = [];
  readonly #counts: number[] = [];

  constructor(windowMs = 5000) {
    this.#windowMs = windowMs;
  }

  /** Adds a sample: the count so far, at a monotonic time in milliseconds. A count that falls begins the window anew. */
  sample(timeMs: number, count: number): void {
    const newest = this.#counts.at(-1);
    if (newest !== undefined && count < newest) {
      this.#times.length = 0;
      this.#counts.length = 0;
    }
    this.#times.push(timeMs);
    this.#counts.push(count);
    // One sample from before the window stays, so that the window is always covered as a whole.
    while (this.#times.length > 2 && (this.#times[1] as number) <= timeMs - this.#windowMs) {
      this.#times.shift();
      this.#counts.shift();
    }
  }

  /** Per second; 0 until there are two samples. */
  perSecond(): number {
    const first = this.#times[0];
    const last = this.#times.at(-1);
    if (first === undefined || last === undefined || last <= first) return 0;
    return (((this.#counts.at(-1) as number) - (this.#counts[0] as number)) * 1000) / (last - first);
  }
}
