import { retryDelayMsMax } from './constants.ts';

/** Delays of exponential backoff with full jitter: attempt 0 waits up to `firstMs`, each next up to twice as long, never over `retryDelayMsMax`. */
export function backoffMs(attempt: number, firstMs: number, random: () => number): number {
  const ceiling = Math.min(retryDelayMsMax, firstMs * 2 ** Math.min(attempt, 20));
  return ceiling * (0.5 + random() / 2);
}
