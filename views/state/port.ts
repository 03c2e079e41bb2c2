import type { SqlType } from '../type.ts';
import type { Row, StateKey, Value } from '../value.ts';

/**
 * Where operators keep what they must remember. Two implementations, memory and disk (LMDB), pass one conformance suite
 * (tests/views/state-conformance.ts).
 *
 * All calls are synchronous. What operators write becomes durable only with `commit`, together with the step's metadata: after a crash
 * the store is as of some commit, whole. Between commits the operators read their own writes.
 */
export interface StateStore {
  readonly kind: 'memory' | 'disk';
  /** A state is named by its place in the plan (stable while the plan is), and gone when no plan names it any more. */
  arrangement(name: string, spec: ArrangementSpec): Arrangement;
  records(name: string): Records;
  /** Makes everything written since the last commit durable with `meta`, and removes what `meta` replaces. Disk: may return before the fsync, never out of order. */
  commit(meta: string): void;
  /** The metadata of the newest commit; null for a new store. */
  readonly meta: string | null;
  /** Bytes that the operators' states take, by name; an estimate in memory. */
  sizes(): ReadonlyMap<string, number>;
  /** Resolves when every commit so far is durable. */
  flushed(): Promise<void>;
  /** So much differs from disk that a commit is due. */
  readonly isFull?: boolean;
  /**
   * Makes room between the parts of a large step, where there is need: whoever steps awaits it after each part. What it writes counts
   * with the next commit; a crash before that leaves an empty store.
   */
  relieve?(): Promise<void>;
  /**
   * Says that the named states, which are empty, are filled now: key after key, each only once. What has been written is not asked for
   * again before `end`. Undefined: it makes no difference.
   */
  fill?(names: readonly string[]): Filling;
  close(): Promise<void>;
}

export interface Filling {
  /** Lets go of what has been written; `isWhole`: the newest key does not come again either. To be awaited after each part. */
  settle(isWhole: boolean): Promise<void>;
  end(): Promise<void>;
}

export interface ArrangementSpec {
  /** Types of the rows' columns. */
  readonly types: readonly SqlType[];
  /**
   * A total order of the rows under one key: first the order that readers want, then whatever tells rows apart. Two rows are the same
   * when it says 0. Disk keeps rows in any order and sorts a key's rows by it when they are loaded.
   */
  readonly compare: (a: Row, b: Row) => number;
}

/** Rows with positive weights under keys: a relation arranged by a key. */
export interface Arrangement {
  /** Adds `weight` (may be negative) times the row under the key; a row whose weight becomes 0 is gone. */
  add(key: StateKey, row: Row, weight: number): void;
  /** The rows under the key in order; undefined when there are none. Valid until the next `add`. */
  bag(key: StateKey): Bag | undefined;
  /** Sum of the weights under the key. */
  total(key: StateKey): number;
  /** Number of different rows under all keys, where that is known without counting them. */
  readonly size?: number;
  /** Every key with its bag, in no particular order. For rebuilds, `--final` and look-ups. */
  entries(): Iterable<readonly [StateKey, Bag]>;
}

/** The rows under one key, in the arrangement's order: chunk after chunk, so that a large one is changed in place. */
export interface Bag {
  /** Sum of the weights. */
  readonly total: number;
  /** Number of different rows. */
  readonly size: number;
  readonly chunks: readonly BagChunk[];
}

export interface BagChunk {
  readonly rows: readonly Row[];
  readonly weights: readonly number[];
}

/** One small record of values under each key: accumulators of a group, the newest row of a key. */
export interface Records {
  /** The record, which the caller may change in place if it then calls `set`. */
  get(key: StateKey): Value[] | undefined;
  set(key: StateKey, record: Value[]): void;
  delete(key: StateKey): void;
  entries(): Iterable<readonly [StateKey, Value[]]>;
  /** Number of keys. */
  readonly size: number;
}
