import type { Clock } from '../base/clock.ts';

/** Ends the waits that are under way. Who rings it leaves word elsewhere: a bell that nobody hears is forgotten. */
export class Bell {
  #ringing = new AbortController();

  ring(): void {
    this.#ringing.abort();
    this.#ringing = new AbortController();
  }

  /** Resolves after so many milliseconds, or with the bell, or when the signal is aborted; without a time, with these alone. */
  async wait(signal: AbortSignal, clock: Clock, ms?: number): Promise<void> {
    const over = AbortSignal.any([signal, this.#ringing.signal]);
    if (over.aborted) return;
    if (ms !== undefined) return clock.sleep(ms, over).catch(() => undefined);
    await new Promise<void>((resolve) => over.addEventListener('abort', () => resolve(), { once: true }));
  }
}
