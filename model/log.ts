import type { ChangeBatch } from './change.ts';
import type { Table } from './table.ts';

/**
 * The log's port. A log holds streams; a stream is the sequence of transactions of one source (or of one view), numbered
 * 1, 2, 3, … without gaps, each with the source's own position. Within a stream every table is a topic.
 *
 * What every implementation keeps:
 * - A transaction is written whole or not at all, and read whole or not at all, in the order of its numbers.
 * - Number, position, state and changes of a transaction become durable together.
 * - A stream has one writer.
 */
export interface Log {
  readonly type: 'embedded' | 'kafka';
  /** New whenever the numbering of transactions begins again: seconds since 1970 at the log's creation. */
  readonly epoch: number;
  /** Names of the streams, in alphabetical order. */
  streams(): string[];
  /** Opens a stream for writing, creating it when it is new. One at a time. */
  writer(stream: string): Promise<LogWriter>;
  /** Opens a stream for reading. It may not exist yet: the reader waits for it. */
  read(stream: string, options: ReadOptions): LogReader;
  /** The newest durable point of a stream; seq 0 and no position for one that holds nothing. */
  frontier(stream: string): Frontier;
  /** The newest durable value of every state key of a stream. */
  state(stream: string): ReadonlyMap<string, string>;
  /** One version of a table by its id, or undefined. Ids are never reused. */
  table(schemaId: number): Table | undefined;
  topics(): Promise<TopicInfo[]>;
  /**
   * The newest row of every key that a topic holds at `upToSeq` (which must be durable), as change records with op read, in batches of bounded
   * size, in no order that callers may rely on. With `newestBefore`, only keys whose newest change has a smaller number than that.
   */
  rows(topic: string, options: { upToSeq: number; newestBefore?: number }): AsyncIterable<ChangeBatch>;
  /** Tells how far a named reader has come, so that compaction keeps the tombstones it still needs. `null` forgets the reader. */
  registerCursor(stream: string, name: string, seq: number | null): void;
  /** Names of the readers of a stream that have told how far they have come, those of earlier runs included. */
  cursorNames(stream: string): string[];
  /** Compacts a stream as far as its cursors allow; returns when that is done. Readers and writers go on meanwhile. */
  compact(stream: string): Promise<void>;
  close(): Promise<void>;
}

/** What a commit says besides its changes. */
export interface CommitInfo {
  /** The source's own position at the end of the transaction (an LSN, a GTID set …). */
  readonly position: string;
  /** Milliseconds since 1970-01-01 UTC at which the source committed. */
  readonly commitTimeMs: number;
  /** Rows of a snapshot, not a transaction of the source. */
  readonly snapshot: boolean;
  /** The source's name for the transaction, or empty. */
  readonly txId: string;
  /** Values to keep under keys of the stream's state, from this commit on; `null` removes a key. */
  readonly state?: Readonly<Record<string, string | null>>;
}

/** The one writer of a stream. Calls are synchronous and buffered; `durable` tells what has reached the disk. */
export interface LogWriter {
  /** Number and position of the newest commit or mark handed over, durable or not. */
  readonly last: Frontier;
  /** The id under which rows of this version of a table are written. Durable before the first commit that uses it. */
  schemaId(table: Table): number;
  /** Adds changes to the open transaction, opening one if there is none. A batch should not be much larger than `pieceBytesMax`. Its bytes are copied: the caller may reuse the buffer. */
  append(changes: ChangeBatch): void;
  /** Ends the open transaction (which may be empty only when it carries state) and returns its number. */
  commit(info: CommitInfo): number;
  /** Records that the source has reached `position` with nothing to publish. Takes no number. Not allowed while a transaction is open. */
  mark(info: { position: string; timeMs: number; state?: Readonly<Record<string, string | null>> }): void;
  /** Drops the open transaction. */
  abort(): void;
  /** Resolves at once while fewer bytes than the log's limit wait to be written, else when enough have been. */
  drained(): Promise<void>;
  /**
   * Resolves when everything committed or marked before the call survives a crash. Rejects once writing has failed, for good: after
   * DISK_FULL a new writer goes on from what is durable, after anything else the log must be opened anew.
   */
  durable(): Promise<Frontier>;
  /** Waits until everything committed is durable, drops the open transaction, and lets the stream go. */
  close(): Promise<void>;
}

export interface Frontier {
  /** Number of the newest transaction; 0 when there is none. */
  readonly seq: number;
  /** Everything that the source committed up to here is contained; null when the stream is empty. */
  readonly position: string | null;
  /** Source's time of that position, in milliseconds since 1970. */
  readonly timeMs: number;
}

export interface ReadOptions {
  /** The reader holds everything up to this number; 0 to begin at the beginning. */
  readonly fromSeq: number;
  /** Topics to read; the others' changes are left out (a transaction may be empty then). All when absent. */
  readonly topics?: ReadonlySet<string>;
  /** End at the frontier of the moment instead of waiting for more. */
  readonly follow: boolean;
  /** A batch is valid until the next call of `next` only: the reader may then read into the same memory. Otherwise as long as it is held. */
  readonly reuse?: boolean;
  readonly signal?: AbortSignal;
}

/** A part of a transaction that is known to be complete. Pieces of one transaction come one right after the other. */
export interface Piece {
  readonly seq: number;
  readonly position: string;
  readonly commitTimeMs: number;
  readonly snapshot: boolean;
  readonly txId: string;
  /** Present on the last piece of a commit that carries state. */
  readonly state?: Readonly<Record<string, string | null>>;
  /** Whether this is the first, and the last, piece of its transaction. */
  readonly first: boolean;
  readonly last: boolean;
  /**
   * `transaction`: one commit. `net`: the sum of all commits from the reader's position up to `seq`, compacted: the newest row or a delete of
   * every key that changed. `full`: as net, but complete: keys that it does not name do not exist (the reader's position is older than
   * the tombstones, or 0).
   */
  readonly kind: 'transaction' | 'net' | 'full';
  readonly changes: ChangeBatch;
}

/** What one `next` of a reader gives: pieces, and how far the stream is known to have come after them. */
export interface ReadBatch {
  readonly pieces: readonly Piece[];
  /** After the pieces, the reader holds everything up to here. While a transaction is still being handed over, the end of the one before it. */
  readonly reached: Frontier;
}

export interface LogReader {
  /** The next batch, of about `bytesMax` bytes; waits for one when following. Null at the end: not following, or aborted. */
  next(bytesMax?: number): Promise<ReadBatch | null>;
  close(): Promise<void>;
}

export interface TopicInfo {
  readonly topic: string;
  readonly stream: string;
  readonly kind: 'table' | 'stream';
  /** Number of the newest transaction that touched the topic. */
  readonly newestSeq: number;
  readonly bytes: number;
  readonly records: number;
  /** Up to which transaction the stream is compacted; 0 when it is not. */
  readonly compactedSeq: number;
}
