import type { Clock } from './clock.ts';
import { retryDelayMsMax } from './constants.ts';

/** Delays of exponential backoff with full jitter: attempt 0 waits up to `firstMs`, each next up to twice as long, never over `retryDelayMsMax`. */
export function backoffMs(attempt: number, firstMs: number, random: () => number): number {
  const ceiling = Math.min(retryDelayMsMax, firstMs * 2 ** Math.min(attempt, 20));
  return ceiling * (0.5 + random() / 2);
}

/**
 * Runs `work` until it succeeds, waiting between attempts. `isTransient` decides whether an error is worth another attempt;
 * the first one that is not is thrown. An aborted signal ends the wait and throws its reason.
 */
export async function retry<T>(
  work: () => Promise<T>,
  options: {
    clock: Clock;
    random: () => number;
    firstMs: number;
    isTransient: (error: unknown) => boolean;
    onRetry?: (error: unknown, attempt: number, waitMs: number) => void;
    signal?: AbortSignal;
  },
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (options.signal?.aborted === true || !options.isTransient(error)) throw error;
      const waitMs = backoffMs(attempt, options.firstMs, options.random);
      options.onRetry?.(error, attempt, waitMs);
      await options.clock.sleep(waitMs, options.signal);
    }
  }
}
