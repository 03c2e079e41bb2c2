import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { TidemarkError } from '../base/errors.ts';
import type { Files } from '../base/files.ts';
import type { Report } from '../model/events.ts';
import type { Log } from '../model/log.ts';
import type { Output } from './ndjson/feed-pipe.ts';
import type { DeadLetters } from './dead-letters.ts';
import { fingerprintOf, streamOf } from './options.ts';
import type { SinkOptions } from './options.ts';
import type { Cursor, SinkShape } from './port.ts';
import { shapeOf } from './shape.ts';

/** What delivery is given to work with. */
export interface SinkDependencies {
  /** Name of the deployment, after which targets call what they keep of us. */
  readonly name: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly files: Files;
  /** Uniform numbers in [0, 1): jitter and fencing tokens. */
  readonly random: () => number;
  readonly report: Report;
  /** Folder for what cannot be kept in the targets (dead letters, cursors of pipes): `<data_dir>/sinks`. */
  readonly directory: string;
  /** Where feeds with path `-` go; standard output when absent. */
  readonly output?: Output;
  /** What to do with a row that a target cannot take. */
  readonly onError: 'dead_letter' | 'stop';
}

export interface SinkStatus {
  readonly name: string;
  readonly type: string;
  readonly seq: number;
  readonly position: string | null;
  readonly lagSeconds: number;
  readonly consistent: boolean;
  readonly deadLetters: number;
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string } | null;
}

/** One sink while it is being delivered to. */
export class Sink {
  readonly name: string;
  readonly type: string;
  readonly topic: string;
  readonly stream: string;
  readonly options: SinkOptions;
  readonly fingerprint: string;
  readonly deadLetters: DeadLetters;
  /** How far readers of the sink see. Null until there is something to read. */
  visible: Cursor | null = null;
  /** How far delivery has come: `visible`, or the position of a copy that is being filled. */
  progress: Cursor | null = null;
  /** There is a state that readers see and that was consistent when it was made. */
  consistent = false;
  /** Changes go to a copy that readers do not see yet. */
  rebuilding = false;
  /** A rebuild must begin with the next write. */
  rebuildDue = false;
  /** A rebuilt state is shown from here on: readers have seen this number. */
  notBefore = 0;
  /** Schema id that the target's rows have; 0 before any. */
  schemaId = 0;
  error: TidemarkError | null = null;
  readonly #log: Log;
  #schemasSeen = 0;
  #newestSchemaId = 0;

  constructor(options: SinkOptions, deadLetters: DeadLetters, log: Log) {
    this.name = options.name;
    this.type = options.type;
    this.topic = options.from;
    this.stream = streamOf(options);
    this.options = options;
    this.fingerprint = fingerprintOf(options);
    this.deadLetters = deadLetters;
    this.#log = log;
  }

  /** The sink's shape under the version of its table with that id. */
  shapeAt(schemaId: number): SinkShape {
    const table = this.#log.table(schemaId);
    assert(table !== undefined, `the log has no table with id ${schemaId}`);
    return shapeOf(this.name, table, schemaId, this.options.columns);
  }

  /** Id of the newest version of the sink's table that the log knows; 0 when it knows none. */
  newestSchemaId(): number {
    for (let table = this.#log.table(this.#schemasSeen + 1); table; table = this.#log.table(this.#schemasSeen + 1)) {
      this.#schemasSeen++;
      if (table.topic === this.topic) this.#newestSchemaId = this.#schemasSeen;
    }
    return this.#newestSchemaId;
  }

  /** Number of the commit from which on the sink's topic equals its table, or null while that is not so. */
  consistentFrom(): number | null {
    const value = this.#log.state(this.stream).get(`consistent:${this.topic}`);
    return value === undefined ? null : (JSON.parse(value) as { seq: number }).seq;
  }

  /** Whether a state that holds everything up to `seq` is one that readers were promised. */
  readableAt(seq: number): boolean {
    if (this.consistent || this.options.start === 'eager') return true;
    const from = this.consistentFrom();
    return from !== null && seq >= from;
  }

  /** Whether the topic equals its table at `seq`. */
  consistentAt(seq: number): boolean {
    const from = this.consistentFrom();
    return from !== null && seq >= from;
  }
}
