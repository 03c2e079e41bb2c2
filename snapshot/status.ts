import type { SnapshotStatus } from '../model/source.ts';
import type { Job } from './job.ts';

/** What people are told of the jobs under way. */
export function snapshotStatus(
  jobs: Iterable<Job>,
  context: { now: number; chunkRows: number; waitingFor: string | null },
): SnapshotStatus {
  let rows = 0;
  let rowsEstimated = 0;
  let chunksLeft = 0;
  let rowsPerSecond = 0;
  const tables = [];
  for (const job of jobs) {
    const left = Math.max(0, job.rowsEstimated - job.rows);
    rows += job.rows;
    rowsEstimated += Math.max(job.rowsEstimated, job.rows);
    chunksLeft += Math.max(job.ranges?.length ?? 1, Math.ceil(left / context.chunkRows));
    rowsPerSecond += job.rows / Math.max(0.001, (context.now - job.startedMs) / 1000);
    tables.push({
      topic: job.topic,
      state: job.ranges === null ? ('waiting' as const) : ('running' as const),
      rows: job.rows,
      rowsEstimated: Math.max(job.rowsEstimated, job.rows),
    });
  }
  return {
    state: tables.length > 0 ? 'running' : 'done',
    rows,
    rowsEstimated,
    chunksLeft,
    rowsPerSecond: Math.round(rowsPerSecond),
    waitingFor: context.waitingFor,
    tables,
  };
}
