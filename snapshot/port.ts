import type { ChangeBatch } from '../model/change.ts';
import type { Table } from '../model/table.ts';

/** A set of transactions that a read sees: LOW of docs/snapshot.md. Never a log position. */
export interface Visibility {
  /** Whether a transaction of the stream, by its txId, had ended when the set was taken. */
  includes(txId: string): boolean;
  /** For status and logs. */
  readonly text: string;
}

/**
 * A part of a table in the order of its key: `after` < key ≤ `upTo`, key values as the source's text; null is open. Ranges are
 * kept in the log's state, so they must survive being written as JSON.
 */
export interface KeyRange {
  readonly after: readonly string[] | null;
  readonly upTo: readonly string[] | null;
}

/** Rows of a table as one read transaction saw them. */
export interface Chunk {
  readonly table: Table;
  readonly low: Visibility;
  /** When the stream has reached this position, it has carried every transaction that the read could have seen. */
  readonly high: string;
  /** Records with op read, in pieces of bounded size. */
  readonly batches: readonly ChangeBatch[];
  /** What `batches` take in memory. */
  readonly bytes: number;
  /** Called when nobody looks at `batches` any more, so that their memory can be used again. */
  readonly release?: () => void;
  readonly rows: number;
  /** Where the chunk ends within the range asked for; null when it reached the range's end. */
  readonly lastKey: readonly string[] | null;
  /** False when the table was rewritten or its columns changed while the chunk was read: it must be read again. */
  readonly stable: boolean;
}

export interface ChunkRequest {
  readonly topic: string;
  readonly range: KeyRange;
  /** Reads only rows for which this SQL condition holds, besides the configured one. */
  readonly where: string | null;
  /** Reads just these keys, instead of the range. */
  readonly keys?: readonly (readonly string[])[];
  /** Rows that a chunk should have at most; fewer when it becomes too large in bytes. */
  readonly rowsMax: number;
}

/** What a database must offer for its tables to be snapshotted. Implementations are called by several workers at once. */
export interface ChunkReader {
  /** Reads the beginning of a range. Fails with SOURCE_UNREACHABLE for what may pass; the caller tries again. */
  read(request: ChunkRequest, signal: AbortSignal): Promise<Chunk>;
  /** Reads a table without a key in one go, handing its rows over as they come; the chunk's own batches are empty. */
  readWhole(
    request: ChunkRequest,
    rows: (batch: ChangeBatch) => Promise<void> | undefined,
    signal: AbortSignal,
  ): Promise<Chunk>;
  /** Splits a table into at most `parts` ranges of roughly equal size. */
  split(topic: string, parts: number): Promise<KeyRange[]>;
  /** Estimated rows of a table; 0 when unknown. */
  estimate(topic: string): Promise<number>;
  /** What every read would see now. */
  visibility(): Promise<Visibility>;
  /** Words for people on who holds up the transactions that a snapshot waits for. */
  describeWait(txIds: readonly string[]): Promise<string>;
}
