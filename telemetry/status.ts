import type { SnapshotStatus } from '../model/source.ts';

/** What keeps something from making progress, as status and the HTTP API show it. */
export interface StatusError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** The status document: what `GET /api/v1/status` answers and `tidemark status --json` prints. */
export interface ServiceStatus {
  readonly name: string;
  /** Every source, view and sink makes progress. */
  readonly ready: boolean;
  /** Why not, one sentence a reason. */
  readonly reasons: readonly string[];
  /** What is not as usual and yet as somebody wants it. */
  readonly notes: readonly string[];
  readonly sources: readonly SourceReport[];
  readonly log: LogReport;
  readonly views: readonly ViewReport[];
  readonly sinks: readonly SinkReport[];
}

export interface SourceReport {
  readonly name: string;
  readonly type: string;
  /** Up to where the log holds the source, durably; null before the first. */
  readonly position: string | null;
  readonly lag_bytes: number | null;
  readonly lag_seconds: number | null;
  readonly snapshot: SnapshotReport;
  /** Every topic of the source equals its table. */
  readonly consistent: boolean;
  readonly error: StatusError | null;
}

export interface SnapshotReport {
  readonly state: SnapshotStatus['state'];
  readonly rows: number;
  readonly rows_estimated: number;
  readonly chunks_left: number;
  readonly rows_per_second: number;
  readonly waiting_for: string | null;
  readonly tables: readonly {
    readonly topic: string;
    readonly state: 'waiting' | 'running' | 'done';
    readonly rows: number;
    readonly rows_estimated: number;
  }[];
}

export interface LogReport {
  readonly type: string;
  readonly bytes: number;
  readonly topics: number;
  /** How full the disk under data_dir is; null when that is not known. */
  readonly disk_used_percent: number | null;
}

export interface ViewReport {
  readonly name: string;
  /** Number of the newest step, of all views together; what sinks of views call seq. */
  readonly step: number;
  /** Rows of the result. */
  readonly rows: number;
  readonly state_bytes: number;
  readonly lag_seconds: number | null;
  /** Equals the query over the tables at the step; false until they have been read. */
  readonly consistent: boolean;
  /** Rows that an expression fails on, which are missing from the result. */
  readonly dead_letters: number;
  readonly error: StatusError | null;
}

export type SinkPosition = string | Readonly<Record<string, string>>;

/** As it is shown to people. */
export function positionText(position: SinkPosition): string {
  if (typeof position === 'string') return position;
  return Object.entries(position)
    .map(([source, at]) => `${source} ${at}`)
    .join(', ');
}

export interface SinkReport {
  readonly name: string;
  readonly type: string;
  readonly seq: number;
  /** Up to where it holds its source; of each source, for a sink of a view over several. Null before the first. */
  readonly position: SinkPosition | null;
  readonly lag_seconds: number | null;
  readonly consistent: boolean;
  readonly dead_letters: number;
  /** Somebody stopped it; no failure. */
  readonly paused: boolean;
  /** A state that readers do not see yet is being built; null while none is. */
  readonly rebuild: RebuildReport | null;
  readonly error: StatusError | null;
}

export interface RebuildReport {
  /** Changes that it was built from so far, since the service started. */
  readonly changes: number;
  /** Changes that the log holds of its topic, as far as that is known: more come meanwhile, and fewer are left once it is compacted. */
  readonly changes_total: number | null;
}

export function snapshotReport(status: SnapshotStatus): SnapshotReport {
  return {
    state: status.state,
    rows: status.rows,
    rows_estimated: status.rowsEstimated,
    chunks_left: status.chunksLeft,
    rows_per_second: Math.round(status.rowsPerSecond),
    waiting_for: status.waitingFor,
    tables: status.tables.map((table) => ({
      topic: table.topic,
      state: table.state,
      rows: table.rows,
      rows_estimated: table.rowsEstimated,
    })),
  };
}
