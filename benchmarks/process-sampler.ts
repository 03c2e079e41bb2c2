import { readFileSync, writeFileSync } from 'node:fs';

/** What the kernel counts CPU time in (USER_HZ, 100 on every Linux). */
const tickMicros = 10_000;

/**
 * Resident memory of a process in bytes, the highest since the last look: `rss` as the kernel counts it (VmHWM), `anonymous` of the
 * samples. `anonymous` leaves out mapped files, which the kernel can drop at any time.
 */
export interface Memory {
  readonly rss: number;
  readonly anonymous: number;
}

/** Watches memory and CPU time of a process while it runs. */
export class ProcessSampler {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  #peak: Memory = { rss: 0, anonymous: 0 };
  #cpuMicros = 0;
  /** Whether the kernel's high-water mark is of the time since the last look. */
  #countsAnew = true;

  constructor(pid: number, everyMs: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.sample(), everyMs);
  }

  /** The highest memory seen since the last call of this. */
  takePeak(): Memory {
    this.sample();
    const peak = this.#peak;
    this.#peak = { rss: 0, anonymous: 0 };
    try {
      // proc(5): the high-water mark begins anew at what is resident now. Where that is not allowed, samples of VmRSS have to do.
      writeFileSync(`/proc/${this.#pid}/clear_refs`, '5');
      this.#countsAnew = true;
    } catch {
      this.#countsAnew = false;
    }
    return peak;
  }

  /** User and system time since the process's start, in microseconds; what was seen last of one that has ended. */
  get cpuMicros(): number {
    this.sample();
    return this.#cpuMicros;
  }

  sample(): void {
    let status: string;
    let stat: string;
    try {
      status = readFileSync(`/proc/${this.#pid}/status`, 'latin1');
      stat = readFileSync(`/proc/${this.#pid}/stat`, 'latin1');
    } catch {
      return;
    }
    const bytes = (field: string): number =>
      1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
    const { rss, anonymous } = this.#peak;
    this.#peak = {
      rss: Math.max(rss, bytes(this.#countsAnew ? 'VmHWM' : 'VmRSS')),
      anonymous: Math.max(anonymous, bytes('RssAnon')),
    };
    // Fields 14 and 15; the second, the name in brackets, may hold blanks.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    this.#cpuMicros = (Number(fields[11]) + Number(fields[12])) * tickMicros;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
