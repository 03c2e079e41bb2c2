/**
 * By which the harness tells small-limits.ts how often a process commits view state (milliseconds), how much it steps at once (bytes), and
 * how many entries of state may differ from disk before a step is written in parts.
 */
export const persistVariable = 'TIDEMARK_CRASH_PERSIST_MS';
export const stepVariable = 'TIDEMARK_CRASH_STEP_BYTES';
export const dirtyVariable = 'TIDEMARK_CRASH_DIRTY_MAX';

export interface Limits {
  readonly persistMs: number;
  readonly stepBytes: number;
  readonly dirtyMax: number;
}

export function randomLimits(random: () => number): Limits {
  const pick = (from: readonly number[]): number => from[Math.floor(random() * from.length)] ?? 0;
  return {
    persistMs: pick([15, 150, 1000, 1000]),
    stepBytes: pick([4096, 65_536, 524_288]),
    dirtyMax: pick([3000, 12_000, 12_000]),
  };
}
