import type { Cached, DiskCache } from './disk-cache.ts';
import type { DiskEnvironment } from './disk-environment.ts';

/** What the states of one store share. */
export interface DiskContext {
  readonly environment: DiskEnvironment;
  readonly cache: DiskCache;
  /** What differs from what has been handed to LMDB: the next write takes it. */
  readonly dirty: DiskEntry[];
  /** Changes of rows in large bags among them. */
  dirtyRows: number;
  /** Number of the write that comes next. */
  nextWrite: number;
}

/** What one state knows under one key, in memory. */
export interface DiskEntry extends Cached {
  /** Hands what changed to the environment; only within its batch. */
  flush(): void;
}

/** One state's number and sizes, as the store keeps them. */
export interface StateInfo {
  readonly name: string;
  readonly id: number;
  keys: number;
  bytes: number;
  /** Differs from what is on disk. */
  changed: boolean;
}

/** Notes that the entry must be written. */
export function markDirty(context: DiskContext, entry: DiskEntry): void {
  if (entry.dirty) return;
  entry.dirty = true;
  context.dirty.push(entry);
}

/** The heads of values: whether a bag's rows are entries of their own, and whether the key itself comes next. */
export const headSpread = 1;
export const headKey = 2;
