import type { Clock } from '../base/clock.ts';
import type { ChangeBatch } from '../model/change.ts';
import type { Report } from '../model/events.ts';
import type { Log, LogWriter } from '../model/log.ts';
import type { PositionOrder } from '../model/position.ts';
import type { Job, RangeTask } from './job.ts';
import type { HeldRecords } from './held-records.ts';
import type { KeylessTables } from './keyless.ts';
import type { Chunk, ChunkReader } from './port.ts';
import type { OpenRead, Window } from './window.ts';

export interface SnapshotOptions {
  readonly stream: string;
  readonly reader: ChunkReader;
  readonly log: Log;
  readonly writer: LogWriter;
  readonly window: Window;
  readonly keyless: KeylessTables;
  /** Whether a table has no key. */
  readonly isKeyless: (topic: string) => boolean;
  readonly order: PositionOrder;
  readonly clock: Clock;
  readonly random: () => number;
  readonly report: Report;
  readonly chunkRows: number;
  readonly parallel: number;
  /** Asks the stream to come to a position soon, even when the source is idle. */
  readonly nudge: (position: string) => void;
  /** Rows of a chunk were appended to the open commit. */
  readonly appended: (topic: string, batch: ChangeBatch) => void;
  /** A commit of the snapshot got its number. */
  readonly committed: (seq: number) => void;
}

/** What a worker reads next. */
export type ReadTask =
  | { readonly kind: 'range'; readonly job: Job; readonly range: RangeTask }
  /** A table without a key; its rows go to `rows`. */
  | { readonly kind: 'whole'; readonly job: Job; readonly rows: HeldRecords }
  | { readonly kind: 'keys'; readonly job: Job; readonly keys: readonly { key: string; values: readonly string[] }[] };

/** What a worker does next. */
export type Task = ReadTask | { readonly kind: 'split'; readonly job: Job };

/** A chunk that waits for the stream to reach its HIGH. */
export interface WaitingChunk {
  readonly task: ReadTask;
  readonly attempt: number;
  readonly chunk: Chunk;
  readonly read: OpenRead;
}
