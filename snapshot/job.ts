import type { KeyRange } from './port.ts';

/** What the log's state keeps of a snapshot under way, under `snapshot:<topic>`, as JSON. */
export interface StoredJob {
  /** What is left to read; null until the table was split. */
  readonly ranges: readonly KeyRange[] | null;
  readonly where: string | null;
  /**
   * Keys whose newest change is older than this number, and that the read did not see, are deleted at the end; 0 when none can be.
   * Null for a new generation of the topic until it is known.
   */
  readonly ghostsBefore: number | null;
  /** False while it is not certain that the table is there and published: absent in logs written before there was such a time. */
  readonly planned?: boolean;
  /** Transactions that every read must see: those running when the slot was made or the table was added. */
  readonly barrier: readonly string[];
  readonly rows: number;
  readonly rowsEstimated: number;
  /** The table has no key: it is read and published as a whole. */
  readonly keyless: boolean;
}

/** A range being read: published up to `after`, read up to `readAfter`. */
export interface RangeTask {
  after: readonly string[] | null;
  readonly upTo: readonly string[] | null;
  readAfter: readonly string[] | null;
  /** A worker is reading it. */
  reading: boolean;
  /** Read to its end; what is left is publishing. */
  readToEnd: boolean;
  /** Chunks read and not yet published. */
  waiting: number;
  /** Raised when chunks are discarded, so that one still being read is known to be stale. */
  attempt: number;
}

export interface Job {
  readonly topic: string;
  ranges: RangeTask[] | null;
  /** A worker is splitting the table, or reading incomplete keys or the whole of it. */
  reading: boolean;
  readonly where: string | null;
  readonly keyless: boolean;
  /** Of a table without a key: its rows are read; what is left is publishing them. */
  wholeRead: boolean;
  ghostsBefore: number | null;
  readonly planned: boolean;
  barrier: readonly string[];
  rows: number;
  rowsEstimated: number;
  readonly startedMs: number;
  readonly done: PromiseWithResolvers<void>;
}

export function rangeTask(range: KeyRange): RangeTask {
  return {
    after: range.after,
    upTo: range.upTo,
    readAfter: range.after,
    reading: false,
    readToEnd: false,
    waiting: 0,
    attempt: 0,
  };
}

export function newJob(
  topic: string,
  startedMs: number,
  options: {
    where: string | null;
    keyless: boolean;
    ghostsBefore: number | null;
    barrier: readonly string[];
    planned?: boolean;
  },
): Job {
  const done = Promise.withResolvers<void>();
  // Nobody has to wait for a job; one that fails is told by the source's status.
  done.promise.catch(() => {});
  return {
    topic,
    ranges: null,
    reading: false,
    wholeRead: false,
    rows: 0,
    rowsEstimated: 0,
    startedMs,
    done,
    ...options,
    planned: options.planned ?? true,
  };
}

export function storeJob(job: Job): string {
  const stored: StoredJob = {
    ranges: job.ranges?.map(({ after, upTo }) => ({ after, upTo })) ?? null,
    where: job.where,
    keyless: job.keyless,
    ghostsBefore: job.ghostsBefore,
    planned: job.planned,
    barrier: job.barrier,
    rows: job.rows,
    rowsEstimated: job.rowsEstimated,
  };
  return JSON.stringify(stored);
}

export function loadJob(topic: string, text: string, startedMs: number): Job {
  const stored = JSON.parse(text) as StoredJob;
  const job = newJob(topic, startedMs, stored);
  job.ranges = stored.ranges?.map(rangeTask) ?? null;
  job.rows = stored.rows;
  job.rowsEstimated = stored.rowsEstimated;
  return job;
}

/** Whether anything would be missing without the job, but for keys that are read one by one. */
export function hasWork(job: Job): boolean {
  return job.ranges === null || job.ranges.length > 0 || job.ghostsBefore !== 0;
}

/** Starts a range again from what is published, discarding what was read since. */
export function rewind(range: RangeTask): void {
  range.readAfter = range.after;
  range.readToEnd = false;
  range.waiting = 0;
  range.attempt++;
}
