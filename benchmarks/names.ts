/** The benchmarks, in the order in which they run: each is the file of that name and exports `run`. */
export const benchmarkNames: readonly string[] = [
  'log-append',
  'log-read',
  'pg-stream',
  'pg-snapshot',
  'sinks-sqlite',
  'sinks-redis',
  'sinks-search',
  'toybank',
  'operators',
  'pipe',
  'doc-view',
  'view-memory',
  'latency',
  'memory',
];

/** What is run when no scale is asked for, where that is not the whole standard load. */
export const defaultScales: Readonly<Record<string, number>> = { memory: 0.2, 'view-memory': 0.1 };
