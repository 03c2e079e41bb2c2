import type { TidemarkError } from '../base/errors.ts';
import type { DataType } from '../model/data-type.ts';
import type { ChangeSet } from './change-set.ts';

/**
 * The port of a target: the place that one or more sinks write to (a sqlite file, a stream of lines, later a Redis or a search
 * engine). Sinks on the same target form one group, with one cursor per stream and one commit.
 *
 * Delivery (delivery.ts) drives a target like this, one write at a time:
 *
 *   open → (begin → [beginRebuild | reshape | apply | endTransaction | commitRebuild]* → commit | rollback)* → close
 *
 * What every target keeps:
 * - Between `begin` and `commit` it is given whole source transactions, in commit order, in pieces of bounded size. It does not hold
 *   more of them in memory than one piece: a transactional target keeps its transaction open over the pieces.
 * - `commit` makes rows and cursor visible and durable together (sqlite, Redis), or the cursor strictly after the rows (search engines,
 *   HTTP), whose rows carry `(epoch, seq)` as their version. So a cursor is never ahead of its rows, and a replay changes nothing.
 * - After an error other than ROW_REJECTED nothing is known about the write: delivery calls `rollback`, `close`, waits, and opens
 *   again, and goes on from the cursor that `open` then returns.
 * - ROW_REJECTED from `apply` says that the target is well and some row of the range cannot be written. Others of the range may have
 *   been, where writing them again changes nothing. Delivery halves the range until the row stands alone and gives it to the dead letters.
 */
export interface Target {
  readonly type: string;
  /** `net`: the newest change of each key is enough. `every`: all changes, in their order, with `endTransaction` after each transaction. */
  readonly wants: 'net' | 'every';
  /** Connects, takes the target over from an older writer, and says where each sink of the group stands. SINK_TARGET when it is not ours. */
  open(): Promise<ReadonlyMap<string, SinkState>>;
  begin(): Promise<void>;
  /**
   * After `begin`: what is applied in this write was refused before, and comes again at a position that has been reached. For a target that
   * tells its writes apart by their positions.
   */
  beginRewrite?(): void;
  /** Starts an empty copy of the sink beside the readable one; what is applied from now on goes there. Drops a copy begun earlier. */
  beginRebuild(sink: string): Promise<void>;
  /** Fits the sink to a new shape of its rows, keeping what it holds. */
  reshape(sink: string, shape: SinkShape): Promise<void>;
  /** Bytes of changes that are best handed over at once; 512 KiB when absent. */
  readonly batchBytes?: number;
  /**
   * Writes the changes [from, to) of the set. What it returns are the rows that cannot be written, each with its reason, while all
   * others of the range are; a target that cannot tell which rows these are throws ROW_REJECTED instead.
   */
  apply(sink: string, changes: ChangeSet, from: number, to: number): Promise<readonly RejectedRow[]>;
  /** Only for targets that want `every` change: the source transaction named by the cursor, which had changes for `sinks`, ends here. */
  endTransaction?(sinks: readonly string[], cursor: Cursor): Promise<void>;
  /**
   * Only for targets that gather changes: sends all that was handed over, whole transactions up to the cursor, and returns the changes
   * that the other side refuses for good. Called before `commit`, so that dead letters are on disk before the cursor is.
   */
  flush?(cursor: Cursor): Promise<readonly RefusedChange[]>;
  /** Makes the copy the readable one, in the commit that follows. */
  commitRebuild(sink: string): Promise<void>;
  /** Ends the write: `sinks` hold everything up to the cursor. */
  commit(sinks: readonly string[], cursor: Cursor): Promise<void>;
  /** Takes back everything since `begin`. Never throws. */
  rollback(): Promise<void>;
  /**
   * What readers see of the sink, in any order, in batches of bounded size, while writes go on. Absent, as `expect` and `repair`,
   * where nothing can be read back.
   */
  scan?(sink: string): AsyncIterable<readonly SinkDocument[]>;
  /** What `scan` gives for the rows [from, to) of the set (upserts, under the sink's present shape) when the sink holds them as they are. */
  expect?(sink: string, changes: ChangeSet, from: number, to: number): readonly SinkDocument[];
  /**
   * Inside a write: makes the sink hold these rows whatever it held of them, and lets those of the keys `extra` (as `scan` gave them) go.
   * Later changes apply to them as to any other.
   */
  repair?(sink: string, rows: ChangeSet, extra: readonly string[]): Promise<void>;
  /** Resolves once searches find all that was committed before the call. Absent where they always do. */
  makeSearchable?(sink: string): Promise<void>;
  /** Set by delivery. A target whose call may take long for good reasons calls it after each step, so as not to pass for stalled. */
  onStep?: () => void;
  /**
   * Set by delivery, between `open` and `close`: to be called when the target is found broken while nothing is asked of it, so that it is
   * opened again before the next change comes.
   */
  onBroken?: ((error: TidemarkError) => void) | null;
  /** The service stops: what waits for an answer gives up before long, by throwing. Holds until the next `open`. */
  interrupt?(): void;
  close(): Promise<void>;
}

/** A row that a target cannot take. */
export interface RejectedRow {
  /** Of the set that was applied. */
  readonly index: number;
  /** The target's own words. */
  readonly reason: string;
}

/** A change that the other side of a target refuses, together with its transaction. */
export interface RefusedChange {
  readonly sink: string;
  /** Its row, as rowName tells it apart. */
  readonly row: string;
  /** The row's key as JSON. */
  readonly key: string;
  readonly seq: number;
  readonly reason: string;
}

export const noneRejected: readonly RejectedRow[] = [];

/** A row as verify compares it: two are the same when their texts are, and of the same row when their keys are. */
export interface SinkDocument {
  /** What tells it apart in the target: its key as JSON, its Redis key, its document id. */
  readonly key: string;
  /** All that the target holds for it, by columns, in a form that is the same for the same content. */
  readonly text: string;
}

/** How far a sink has come: it holds every transaction of its stream up to `seq`, and everything that the source committed up to `position`. */
export interface Cursor {
  readonly epoch: number;
  readonly seq: number;
  readonly position: string | null;
  /** Source's time of the position, in milliseconds since 1970; 0 when unknown. */
  readonly timeMs: number;
}

/** What a target knows of one sink when it is opened. */
export interface SinkState {
  /** Where to go on; null for a new sink. While a rebuild is under way, the position of the copy. */
  readonly cursor: Cursor | null;
  /** Changes go to a copy that readers do not see yet. */
  readonly rebuilding: boolean;
  /** What readers see; null when there is nothing to read yet. Equals `cursor` unless a rebuild is under way. */
  readonly visible: Cursor | null;
  /** Id of the shape that the rows have (SinkShape.schemaId); 0 when none has been told. */
  readonly schemaId: number;
  /** The fingerprint of the definition that the state was built by. */
  readonly fingerprint: string;
  /** An earlier write left parts of transactions up to here: a copy is not shown before. 0 when absent. */
  readonly completeFrom?: number;
}

/** One column of a sink. */
export interface SinkColumn {
  /** The column's identity in the source's table (Column.id), by which older rows are read and renames are told. */
  readonly id: number;
  /** Name in the target. */
  readonly name: string;
  readonly type: DataType;
}

/** The rows of a sink: the newest version of its topic's table, restricted to the chosen columns. */
export interface SinkShape {
  readonly schemaId: number;
  readonly columns: readonly SinkColumn[];
  /** Positions in `columns` of the key, in the key's order; empty when the topic has none. */
  readonly key: readonly number[];
}
