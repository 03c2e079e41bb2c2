import { setTimeout as delay } from 'node:timers/promises';

/** Time as the program sees it. Passed in everywhere, so that a test can own it. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number;
  /**
   * Resolves after `ms`, or rejects when the signal is aborted first. Keeps the process alive meanwhile, so whoever sleeps has a
   * signal or an end.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Timers of Node count milliseconds in 31 bits. */
const timerMsMax = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    // A longer timer would fire at once.
    for (let left = ms; ; left -= timerMsMax) {
      await delay(Math.min(left, timerMsMax), undefined, signal ? { signal } : undefined);
      if (left <= timerMsMax) return;
    }
  },
};
