import type { Clock } from '../base/clock.ts';
import { TidemarkError, isTidemarkError, messageOf, systemCodeOf } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';

/** How long a part that failed waits until it is tried again, when a person may have removed the cause meanwhile. */
const retryFailedMs = 15_000;

/**
 * Causes that go away without a change to the configuration or to data_dir: somebody grants a privilege, frees a slot, makes room.
 * Everything else waits for a restart.
 */
const curable: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'DISK_FULL',
  'SLOT_FOREIGN',
  'SLOT_IN_USE',
  'SLOTS_EXHAUSTED',
  'SOURCE_AUTH',
  'SOURCE_LINE',
  'SOURCE_POOLER',
  'SOURCE_PRIVILEGE',
  'SOURCE_SETTING',
  'SOURCE_UNREACHABLE',
  'SOURCE_VERSION',
  'TABLE_NO_KEY',
  'TABLE_UNKNOWN',
  'SINK_FAILED',
  'SINK_TARGET',
]);

/** Something that runs until it is told to stop. Its `run` may be called again after it has returned or failed. */
export interface Runnable {
  run(signal: AbortSignal): Promise<void>;
}

/**
 * Keeps one part of the pipeline running beside the others: its failure is remembered and told, and stops nobody else. It can be
 * paused; while it is, it does not run at all.
 */
export class Supervised {
  readonly #part: Runnable;
  readonly #clock: Clock;
  readonly #onFailure: (error: TidemarkError) => void;
  #failure: TidemarkError | null = null;
  #pausedFor: TidemarkError | null = null;
  #stopRun: (() => void) | null = null;
  #resume = Promise.withResolvers<void>();

  constructor(part: Runnable, clock: Clock, onFailure: (error: TidemarkError) => void) {
    this.#part = part;
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  /** What the part failed with, while it does not run because of it. */
  get failure(): TidemarkError | null {
    return this.#failure;
  }

  /** Why the part is paused, if it is. */
  get pausedFor(): TidemarkError | null {
    return this.#pausedFor;
  }

  /** Whether only a restart of the service brings the part back. */
  get isDead(): boolean {
    return this.#failure !== null && !curable.has(this.#failure.code);
  }

  pause(reason: TidemarkError): void {
    this.#pausedFor = reason;
    this.#stopRun?.();
  }

  resume(): void {
    if (!this.#pausedFor) return;
    this.#pausedFor = null;
    this.#resume.resolve();
    this.#resume = Promise.withResolvers<void>();
  }

  /** Runs the part until `signal` is aborted, then returns once it has stopped. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    while (!signal.aborted) {
      if (this.#pausedFor) {
        await Promise.race([this.#resume.promise, aborted]);
        continue;
      }
      await this.#runOnce(signal);
      if (signal.aborted || this.#failure === null) continue;
      if (this.isDead) {
        await aborted;
        return;
      }
      await this.#clock.sleep(retryFailedMs, signal).catch(() => undefined);
    }
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    const own = new AbortController();
    this.#stopRun = () => own.abort();
    try {
      const running = this.#part.run(AbortSignal.any([signal, own.signal]));
      this.#failure = null;
      await running;
      if (!signal.aborted && !own.signal.aborted) throw new TidemarkError('INTERNAL', 'a part ended by itself');
    } catch (error) {
      // An end that was asked for may surface as an AbortError; whatever it is, it is no failure.
      if (signal.aborted || own.signal.aborted) return;
      this.#failure = asTidemarkError(error);
      this.#onFailure(this.#failure);
    } finally {
      this.#stopRun = null;
    }
  }
}

/** Any thrown value as the program's own error; what it was not made for is INTERNAL. */
export function asTidemarkError(error: unknown): TidemarkError {
  if (isTidemarkError(error)) return error;
  const system = systemCodeOf(error);
  if (system === 'ENOSPC' || system === 'EDQUOT' || system === 'EFBIG') {
    return new TidemarkError('DISK_FULL', `the disk refuses to take more: ${messageOf(error)}`, {
      hint: 'Make room on the disk that holds data_dir (or raise the quota or file size limit). A running service then goes on by itself.',
      cause: error,
    });
  }
  return new TidemarkError('INTERNAL', messageOf(error), { cause: error });
}
