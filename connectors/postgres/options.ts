import type { Clock } from '../../base/clock.ts';
import type { Files } from '../../base/files.ts';
import type { Report } from '../../model/events.ts';
import type { Log } from '../../model/log.ts';

/** One entry of `tables`: a name or a pattern (`*` within a part) with what the file says of it. */
export interface TableSelection {
  readonly schema: string;
  readonly table: string;
  /** Whether `*` in either part stands for anything. */
  readonly isPattern: boolean;
  readonly kind: 'table' | 'stream';
  /** Key columns by name, for streams and for tables whose key the database does not know; empty for the key that it knows. */
  readonly key: readonly string[];
  readonly exclude: readonly string[];
  readonly onSchemaChange: 'reread' | 'stop';
  /** SQL condition on rows, applied by the publication and by the snapshot. */
  readonly where: string | null;
}

export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** How long to wait for the server before a connection is given up, in milliseconds. */
export interface Timeouts {
  readonly connectMs: number;
  /** For the answer to a short question. */
  readonly queryMs: number;
  /** The replication stream is asked for a sign of life after so long without one. */
  readonly pingAfterMs: number;
  /** And given up after so long. */
  readonly silentMaxMs: number;
}

export const defaultTimeouts: Timeouts = {
  connectMs: 10_000,
  queryMs: 60_000,
  pingAfterMs: 5_000,
  silentMaxMs: 20_000,
};

/** What is needed to talk to the server. */
export interface PostgresTarget {
  /** The source's name in the configuration. */
  readonly name: string;
  readonly url: string;
  /** PEM contents, not paths. */
  readonly tls?: TlsFiles;
  readonly timeouts?: Timeouts;
  readonly tables: readonly TableSelection[];
  readonly slot: string;
  readonly publication: string;
}

export interface PostgresOptions extends PostgresTarget {
  readonly snapshot: {
    readonly mode: 'initial' | 'never' | 'when_needed';
    readonly chunkRows: number;
    readonly parallel: number;
  };
  readonly heartbeatMs: number;
  /** Where to begin when there is no snapshot and the log is empty: an LSN. */
  readonly startAt?: string;
  /** Bytes of WAL from which on a backlog is worked off by catch-up.ts before streaming begins; Infinity for never. */
  readonly catchUpBytes?: number;
  /** A folder for spools and for the values that heal unchanged TOAST; belongs to this source alone. */
  readonly directory: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: () => number;
  readonly files: Files;
  readonly report: Report;
}
