/** One line of `npm run bench`: a value beside a reference that ran in the same run on the same machine. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  /** Of `value` and of the reference's value, higher is better: `rows/s`, `MB/s` … */
  readonly unit: string;
  readonly reference: { readonly name: string; readonly value: number };
  /** value / reference.value */
  readonly ratio: number;
  readonly rss_mb: number;
  readonly cpu_us_per_event: number;
  /** Events measured. */
  readonly n: number;
}

/** Measures CPU and time from its making on. */
export class Stopwatch {
  readonly #start = performance.now();
  readonly #cpu = process.cpuUsage();

  get seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /** Microseconds of CPU (user and system) of this process. */
  get cpuMicros(): number {
    const { user, system } = process.cpuUsage(this.#cpu);
    return user + system;
  }
}

export function figure(
  name: string,
  unit: string,
  measured: { value: number; cpuMicros: number; n: number },
  reference: { name: string; value: number },
): Figure {
  return {
    name,
    value: Math.round(measured.value),
    unit,
    reference: { name: reference.name, value: Math.round(reference.value) },
    ratio: Math.round((measured.value / reference.value) * 1000) / 1000,
    rss_mb: Math.round(process.memoryUsage.rss() / 1e6),
    cpu_us_per_event: Math.round((measured.cpuMicros / measured.n) * 1000) / 1000,
    n: measured.n,
  };
}
