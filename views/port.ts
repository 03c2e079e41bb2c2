import type { Clock } from '../base/clock.ts';
import type { Files } from '../base/files.ts';
import type { Report } from '../model/events.ts';
import type { Log } from '../model/log.ts';
import type { Table } from '../model/table.ts';
import type { Engine } from './engine.ts';
import type { BoundView } from './plan/plan.ts';

/** The stream that holds the results of all views of a deployment: topics `views.<view>`, numbered by the stage's steps. */
export const viewsStream = 'views';

/** The topic of a view. */
export function viewTopic(view: string): string {
  return `${viewsStream}.${view}`;
}

/**
 * The state key of the stream `views` that says which inputs its newest commit or mark contains, as JSON (`PublishedVector`). It changes
 * in the same commit as the results, so that what was published and what it was made of cannot part.
 */
export const vectorKey = 'vector';

export interface PublishedVector {
  /** The epoch of the log that the numbers are of. */
  readonly epoch: number;
  readonly sources: Readonly<Record<string, SourcePoint>>;
  /** For each published view, a hash of what its results depend on: its definition and those of the views that it names. */
  readonly views: Readonly<Record<string, string>>;
}

/** How far a source is contained: every transaction up to `seq`, everything that it committed up to `position`. */
export interface SourcePoint {
  readonly seq: number;
  readonly position: string | null;
}

export interface StageOptions {
  /** All views of the deployment. */
  readonly views: readonly BoundView[];
  /** For each relation that the views scan, the version of its table by which they were bound. */
  readonly relations: ReadonlyMap<string, Table>;
  readonly log: Log;
  /** How the positions of the sources, by name, become the position of a commit of the stream `views`. */
  readonly formatPosition: (positions: Readonly<Record<string, string>>) => string;
  /** Where state is kept, `<data_dir>/views`; made when it does not exist. */
  readonly directory: string;
  /** `disk`: LMDB, memory is bounded. `memory`: nothing is kept, every start begins from the log. */
  readonly state: 'disk' | 'memory';
  readonly files: Files;
  readonly clock: Clock;
  readonly report: Report;
}

/** The stage that keeps all views of a deployment up to date: reads source streams, steps the engine, writes the stream `views`. */
export interface Stage {
  /** The engine while it runs, for `explain`. */
  readonly engine: Engine | null;
  /** Works until the signal is aborted, then stops cleanly. Rejects with what needs a person; views that stopped alone are in `status`. */
  run(signal: AbortSignal): Promise<void>;
  status(): ViewStatus[];
  /** One row of a view's newest published result by its key; `key` holds the text of each key column. */
  lookup(view: string, key: readonly string[]): LookupAnswer;
  /** Calls the listener after each step and when a view fails; returns what ends that. */
  onProgress(listener: () => void): () => void;
}

export interface ViewStatus {
  readonly name: string;
  /** Number of the newest published step of all views together; 0 before the first. */
  readonly step: number;
  /** Rows of the result. */
  readonly rows: number;
  /** Bytes of state; what views share is counted for each. */
  readonly stateBytes: number;
  /** How far the results are behind the log's newest transaction, in seconds of the sources' time. */
  readonly lagSeconds: number;
  /** Rows that could not be evaluated since the start, and have not gone since. */
  readonly deadLetters: number;
  /** The published results equal the query over consistent tables. */
  readonly consistent: boolean;
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string } | null;
}

export interface LookupAnswer {
  /** The step that the answer equals. */
  readonly seq: number;
  /** The row by column names, as JSON text; null when there is none. */
  readonly row: string | null;
}
