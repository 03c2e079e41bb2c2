/** One line of `npm run bench`: a value beside a reference that ran in the same run on the same machine. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  /** Of `value` and of the reference's value. Rates (`rows/s`) are better when higher, `ms`, `ns/row` and `MB` when lower. */
  readonly unit: string;
  /** Null when what it takes is not on this machine; stderr says what. */
  readonly reference: { readonly name: string; readonly value: number } | null;
  /** value / reference.value */
  readonly ratio: number | null;
  /** The highest resident memory of the measured process, or what it holds at the end where nobody watched. */
  readonly rss_mb: number;
  /** User and system time of the measured process. */
  readonly cpu_us_per_event: number;
  /** Events measured. */
  readonly n: number;
}

/** What every benchmark exports as `run`. Scale 1 is the standard load. */
export type Benchmark = (options: { scale: number }) => Promise<Figure[]>;

export interface Measured {
  readonly value: number;
  readonly cpuMicros: number;
  readonly n: number;
  readonly rssBytes?: number;
}

/** Measures CPU, time and memory of this process from its making on. */
export class Stopwatch {
  readonly #start = performance.now();
  readonly #cpu = process.cpuUsage();
  #rssBytes = process.memoryUsage.rss();
  readonly #sampler: NodeJS.Timeout;

  constructor() {
    this.#sampler = setInterval(() => {
      this.#rssBytes = Math.max(this.#rssBytes, process.memoryUsage.rss());
    }, 100);
    this.#sampler.unref();
  }

  get seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /** Microseconds of CPU (user and system) of this process. */
  get cpuMicros(): number {
    const { user, system } = process.cpuUsage(this.#cpu);
    return user + system;
  }

  /** The run ends here: `n` events at so many a second. */
  rate(n: number): Measured {
    clearInterval(this.#sampler);
    return {
      value: n / this.seconds,
      cpuMicros: this.cpuMicros,
      n,
      rssBytes: Math.max(this.#rssBytes, process.memoryUsage.rss()),
    };
  }
}

/** Of repeated runs the one with the highest rate: noise only ever slows down. */
export function faster(one: Measured | null, other: Measured): Measured {
  return one === null || other.value > one.value ? other : one;
}

export function figure(
  name: string,
  unit: string,
  measured: Measured,
  reference: { name: string; value: number } | null,
): Figure {
  return {
    name,
    value: threeDigits(measured.value),
    unit,
    reference: reference === null ? null : { name: reference.name, value: threeDigits(reference.value) },
    ratio: reference === null ? null : threeDigits(measured.value / reference.value),
    rss_mb: Math.round((measured.rssBytes ?? process.memoryUsage.rss()) / 1e6),
    cpu_us_per_event: threeDigits(measured.cpuMicros / measured.n),
    n: measured.n,
  };
}

/** Three significant digits are more than such a measurement has; whole numbers keep theirs. */
function threeDigits(value: number): number {
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3));
}
