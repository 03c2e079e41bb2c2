import type { ChangeBatch } from './change.ts';
import type { Table } from './table.ts';

/**
 * The port of a connector: what the service needs of any source. A source writes one stream of the log, named after it.
 *
 * State keys that every connector keeps in its stream (values are JSON):
 * - `consistent:<topic>` – the number of the commit from which on the topic equals its table, `{"seq":n}`; absent while a first
 *   snapshot or a re-read is under way. Topics equal their tables at every commit from then on.
 * - `snapshot:<topic>` – progress of a snapshot under way; absent when there is none.
 */
export interface Source {
  readonly name: string;
  readonly type: string;
  /** Streams into the log until the signal is aborted; then stops cleanly. Reconnects by itself; rejects only with what needs a person. */
  run(signal: AbortSignal): Promise<void>;
  status(): SourceStatus;
  /** The source's present position: everything committed before the call is at or before it. Also nudges an idle source, so that the stream reaches it soon. */
  currentPosition(): Promise<string>;
  /** Where how much there is cannot be told before it has come (standard input): resolves once all of it has. */
  ended?(): Promise<void>;
  /** Reads a table again into the log while streaming goes on; resolves when its last chunk is published. `where` (SQL of the source) restricts it to some rows. */
  snapshot(topic: string, where?: string): Promise<void>;
  /** What reads the source once more, for verify. Absent where nothing can be read again (lines that were taken). */
  reader?(): SourceReader;
}

/** Rows as records with op read, in pieces of bounded size, each valid until the promise settles. */
export type TakeRows = (batch: ChangeBatch) => Promise<void> | undefined;

/** Reads a source as it is now, beside its stream, to compare it with what was made of the stream. */
export interface SourceReader {
  /**
   * Resolves once reads see every transaction that the log holds at the time of the call (a commit can be streamed before it is visible).
   * SOURCE_UNREACHABLE when one stays invisible.
   */
  settled(signal: AbortSignal): Promise<void>;
  /**
   * Hands over the rows that a table has at one moment, as its topic has them (columns left out, row filter). Resolves with a position:
   * who holds everything up to it holds everything that the read can have seen. TABLE_UNKNOWN when the table is not captured.
   */
  readTable(topic: string, take: TakeRows, signal: AbortSignal): Promise<string>;
  /** The same for what a query gives, all of its tables read at one moment. SOURCE_PROTOCOL with the server's words when it cannot be run. */
  readQuery(query: SourceQuery, take: TakeRows, signal: AbortSignal): Promise<string>;
}

/** A query over tables of one source whose answer has the columns of `table`, in their order. */
export interface SourceQuery {
  readonly topics: readonly string[];
  /** The query's text, given for each topic what stands for it after FROM, without an alias. */
  readonly sql: (from: ReadonlyMap<string, FromItem>) => string;
  readonly table: Table;
  readonly schemaId: number;
}

/** What stands for a table after FROM. */
export interface FromItem {
  readonly sql: string;
  /** It is the table by its name, not a subquery over it. */
  readonly isTable: boolean;
}

export interface SourceStatus {
  readonly name: string;
  readonly type: string;
  /** Durable position, null before the first. */
  readonly position: string | null;
  readonly lagBytes: number | null;
  readonly lagSeconds: number | null;
  readonly snapshot: SnapshotStatus;
  /** Whether every topic of the source equals its table. */
  readonly consistent: boolean;
  /** What keeps the source from making progress, or what it waits for. */
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string } | null;
}

export interface SnapshotStatus {
  readonly state: 'running' | 'done';
  readonly rows: number;
  readonly rowsEstimated: number;
  readonly chunksLeft: number;
  readonly rowsPerSecond: number;
  /** What the snapshot waits for (a session that keeps a transaction open …), if anything. */
  readonly waitingFor: string | null;
  readonly tables: readonly TableSnapshotStatus[];
}

export interface TableSnapshotStatus {
  readonly topic: string;
  readonly state: 'waiting' | 'running' | 'done';
  readonly rows: number;
  readonly rowsEstimated: number;
}

/** One line of `tidemark check`. */
export interface CheckResult {
  readonly level: 'ok' | 'warning' | 'error';
  /** What was looked at: `shop: wal_level`. */
  readonly subject: string;
  readonly message: string;
  /** What to do, with the exact statement where there is one. */
  readonly fix?: string;
}
