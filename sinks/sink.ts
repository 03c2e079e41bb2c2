import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { TidemarkError } from '../base/errors.ts';
import type { Files } from '../base/files.ts';
import type { Report } from '../model/events.ts';
import type { Log } from '../model/log.ts';
import type { Output } from './ndjson/feed-pipe.ts';
import { DeadLetters } from './dead-letters.ts';
import { fingerprintOf, streamOf } from './options.ts';
import type { SinkOptions } from './options.ts';
import type { Cursor, SinkShape, SinkState } from './port.ts';
import { shapeOf } from './shape.ts';
import { Wishes } from './wishes.ts';

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
  /** A sink with so many dead letters stops; 100,000 when absent. */
  readonly deadLettersMax?: number;
}

export interface SinkStatus {
  readonly name: string;
  readonly type: string;
  readonly seq: number;
  readonly position: string | null;
  readonly lagSeconds: number;
  readonly consistent: boolean;
  readonly deadLetters: number;
  /** Nothing is delivered, as somebody wanted. */
  readonly paused: boolean;
  /** A state that readers do not see yet is being built, from so many changes so far; null when none is. */
  readonly rebuild: { readonly changes: number } | null;
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
  readonly wishes: Wishes;
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
  /** A rebuild has begun and is not shown yet. Unlike `rebuilding`, said of copies that are shown from their first row on, too. */
  building = false;
  /** When that rebuild began, by the clock; 0 for one that was begun before this process. */
  buildingSinceMs = 0;
  /** Changes that the copy under way was built from. */
  rebuiltFrom = 0;
  /** A rebuilt state is shown from here on: readers have seen this number. */
  notBefore = 0;
  /** Schema id that the target's rows have; 0 before any. */
  schemaId = 0;
  error: TidemarkError | null = null;
  readonly #log: Log;
  #schemasSeen = 0;
  #newestSchemaId = 0;

  constructor(options: SinkOptions, deps: { log: Log; files: Files; directory: string }) {
    this.name = options.name;
    this.type = options.type;
    this.topic = options.from;
    this.stream = streamOf(options);
    this.options = options;
    this.fingerprint = fingerprintOf(options);
    this.deadLetters = new DeadLetters(deps.files, deps.directory, this.name);
    this.wishes = new Wishes(deps.files, deps.directory, this.name);
    this.#log = deps.log;
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

  /** Takes over what the target knows of the sink, and says where delivery goes on: behind that, or at the beginning with a rebuild. */
  resume(state: SinkState | undefined): Cursor {
    const { epoch } = this.#log;
    const cursor = state?.cursor ?? null;
    const usable =
      state !== undefined &&
      cursor !== null &&
      cursor.epoch === epoch &&
      state.fingerprint === this.fingerprint &&
      // A cursor ahead of the log is of a log that lost its end; what the sink holds beyond it may never have existed.
      cursor.seq <= this.#log.frontier(this.stream).seq &&
      (state.rebuilding || !this.wishes.rebuild);
    this.rebuildDue = !usable;
    this.rebuilding = usable && state.rebuilding;
    this.building = this.rebuilding;
    this.buildingSinceMs = 0;
    this.rebuiltFrom = 0;
    this.schemaId = usable ? state.schemaId : 0;
    this.progress = usable ? cursor : null;
    this.visible = state?.visible ?? null;
    this.notBefore = Math.max(this.visible?.epoch === epoch ? this.visible.seq : 0, state?.completeFrom ?? 0);
    this.consistent =
      this.visible !== null &&
      !this.rebuildDue &&
      !this.rebuilding &&
      (this.options.start === 'consistent' || this.consistentAt(this.visible.seq));
    return usable ? cursor : { epoch, seq: 0, position: null, timeMs: 0 };
  }

  status(nowMs: number, stalled: TidemarkError | null): SinkStatus {
    const { visible, progress, wishes } = this;
    const timeMs = progress?.timeMs ?? 0;
    const behind = (progress?.seq ?? 0) < this.#log.frontier(this.stream).seq;
    const lagMs = behind && timeMs > 0 ? nowMs - timeMs : 0;
    const error = wishes.paused ? null : (this.error ?? stalled);
    return {
      name: this.name,
      type: this.type,
      seq: visible?.seq ?? 0,
      position: visible?.position ?? null,
      lagSeconds: Math.max(0, lagMs / 1000),
      consistent: this.consistent && !this.rebuilding && !this.rebuildDue,
      deadLetters: this.deadLetters.count,
      paused: wishes.paused,
      rebuild: wishes.rebuild || this.rebuilding ? { changes: this.rebuiltFrom } : null,
      error:
        error === null
          ? null
          : { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) },
    };
  }
}
