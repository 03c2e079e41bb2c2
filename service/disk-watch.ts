import type { Clock } from '../base/clock.ts';
import type { Files } from '../base/files.ts';
import type { Report } from '../model/events.ts';

const checkEveryMs = 1000;
/** A level is left only this far below its mark, so that it does not flicker around it. */
const hysteresisPercent = 1;

export type DiskLevel = 'ok' | 'warn' | 'stop';

/** Watermarks of the disk under data_dir, in percent used. */
export interface DiskMarks {
  readonly warnPercent: number;
  readonly stopPercent: number;
}

/** Looks at the disk under data_dir once a second, and tells when it crosses a watermark. */
export class DiskWatch {
  readonly #directory: string;
  readonly #marks: DiskMarks;
  readonly #files: Files;
  readonly #clock: Clock;
  readonly #report: Report;
  readonly #onLevel: (level: DiskLevel) => void;
  #level: DiskLevel = 'ok';
  #usedPercent: number | null = null;

  constructor(options: {
    directory: string;
    marks: DiskMarks;
    files: Files;
    clock: Clock;
    report: Report;
    onLevel: (level: DiskLevel) => void;
  }) {
    this.#directory = options.directory;
    this.#marks = options.marks;
    this.#files = options.files;
    this.#clock = options.clock;
    this.#report = options.report;
    this.#onLevel = options.onLevel;
  }

  get level(): DiskLevel {
    return this.#level;
  }

  /** As of the last look; null when the file system does not say. */
  get usedPercent(): number | null {
    return this.#usedPercent;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.check();
      await this.#clock.sleep(checkEveryMs, signal).catch(() => undefined);
    }
  }

  /** Looks now. */
  async check(): Promise<void> {
    const space = await this.#files.space(this.#directory).catch(() => null);
    if (!space || space.totalBytes === 0) {
      this.#usedPercent = null;
      return;
    }
    const usedPercent = 100 * (1 - space.freeBytes / space.totalBytes);
    this.#usedPercent = usedPercent;
    const level = nextLevel(this.#level, usedPercent, this.#marks);
    if (level === this.#level) return;
    this.#level = level;
    this.#report({ type: 'log.disk', level, usedPercent });
    this.#onLevel(level);
  }
}

/** The level after `usedPercent` was seen at `level`. */
export function nextLevel(level: DiskLevel, usedPercent: number, marks: DiskMarks): DiskLevel {
  const stop = marks.stopPercent - (level === 'stop' ? hysteresisPercent : 0);
  const warn = marks.warnPercent - (level === 'ok' ? 0 : hysteresisPercent);
  return usedPercent >= stop ? 'stop' : usedPercent >= warn ? 'warn' : 'ok';
}
