import type { Clock } from '../../base/clock.ts';
import type { TidemarkError } from '../../base/errors.ts';
import type { Report } from '../../model/events.ts';
import type { LogWriter } from '../../model/log.ts';
import type { LineTaker } from './line-taker.ts';
import type { LinePublisher } from './publisher.ts';

/** What a run needs to follow the source's lines, whether they are a file's or come on standard input. */
export interface Following {
  readonly source: string;
  readonly path: string;
  readonly clock: Clock;
  readonly report: Report;
  readonly writer: LogWriter;
  /** Up to where the log has everything on disk. */
  readonly durablePosition: () => number;
  readonly taker: LineTaker;
  readonly publisher: LinePublisher;
  readonly progress: Progress;
}

/** A longer line is taken for a file that is no NDJSON: lines are held in memory whole. */
export const lineBytesMax = 64 * 1024 * 1024;

/** How far a source has come, for its status. */
export class Progress {
  /** What it waits for. */
  error: TidemarkError | null = null;
  lagBytes: number | null = null;
  /** When everything there was had been taken last, in milliseconds since 1970; null before. */
  #caughtUpMs: number | null = null;
  #isCaughtUp = false;

  note(lagBytes: number, isCaughtUp: boolean, nowMs: number): void {
    this.lagBytes = lagBytes;
    this.#isCaughtUp = isCaughtUp;
    if (isCaughtUp) this.#caughtUpMs = nowMs;
    else this.#caughtUpMs ??= nowMs;
  }

  lagSeconds(nowMs: number): number | null {
    if (this.#caughtUpMs === null) return null;
    return this.#isCaughtUp ? 0 : Math.max(0, (nowMs - this.#caughtUpMs) / 1000);
  }
}

/** Tells what was handed to the log since the last call. */
export function reportChanges({ source, taker, report }: Following): void {
  for (const { topic, counts } of taker.takeCounts()) {
    report({ type: 'source.changes', source, table: topic, ...counts, read: 0 });
  }
}
