import type { Clock } from '../base/clock.ts';
import type { Report } from '../model/events.ts';
import type { SinkGroup } from '../sinks/sink-group.ts';
import { shownPosition } from '../model/position.ts';
import type { SinkReport, StatusError } from '../telemetry/status.ts';
import type { PipelineEvent } from '../model/events.ts';
import type { TidemarkError } from '../base/errors.ts';
import { errorOf, roundedSeconds } from './source-unit.ts';
import { Supervised } from './supervise.ts';

/** One sink as its group describes it. */
interface SinkStanding {
  readonly name: string;
  readonly type: string;
  readonly seq: number;
  /** The sink holds everything that the source committed up to here; null before the first. */
  readonly position: string | null;
  readonly lagSeconds: number | null;
  readonly consistent: boolean;
  readonly deadLetters: number;
  readonly paused: boolean;
  readonly rebuild: { readonly changes: number } | null;
  readonly error: StatusError | null;
}

/** A sink with the source, or the view, whose changes it takes. */
export interface FedSink {
  readonly name: string;
  readonly fedBy: { readonly source: string } | { readonly view: string };
  readonly topic: string;
}

/** Sinks that share a target, a cursor and a commit: they run and fail together. */
export interface SinkGroupPlan {
  readonly sinks: readonly FedSink[];
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly status: () => readonly SinkStanding[];
  /** Calls the listener after every progress; returns what ends that. */
  readonly onProgress: (listener: () => void) => () => void;
  /** By what the sinks are read back and repaired (verify), and by what commands act on them. */
  readonly group: SinkGroup;
}

/** One group of sinks in the service's care. */
export class SinkUnit {
  readonly sinks: SinkGroupPlan['sinks'];
  readonly group: SinkGroupPlan['group'];
  readonly supervised: Supervised;
  readonly #plan: SinkGroupPlan;
  /** What sinks have failed with for good; what is retried is not here. */
  readonly #dead = new Map<string, TidemarkError>();

  constructor(plan: SinkGroupPlan, clock: Clock, report: Report) {
    this.sinks = plan.sinks;
    this.group = plan.group;
    this.#plan = plan;
    this.supervised = new Supervised({ run: plan.run }, clock, (error) => {
      for (const { name } of plan.sinks) report({ type: 'sink.failed', sink: name, error });
    });
  }

  onEvent(event: PipelineEvent): void {
    if (event.type === 'sink.failed') this.#dead.set(event.sink, event.error);
    else if (event.type === 'sink.recovered' || event.type === 'sink.paused') this.#dead.delete(event.sink);
  }

  /** What a sink has failed with, when only a person can bring it back. */
  failureOf(sink: string): TidemarkError | null {
    return this.supervised.failure ?? this.#dead.get(sink) ?? null;
  }

  status(): SinkReport[] {
    const failure = errorOf(this.supervised.failure);
    return this.#plan.status().map((sink) => ({
      name: sink.name,
      type: sink.type,
      seq: sink.seq,
      position: sink.position === null ? null : shownPosition(sink.position),
      lag_seconds: roundedSeconds(sink.lagSeconds),
      consistent: sink.consistent,
      dead_letters: sink.deadLetters,
      paused: sink.paused,
      rebuild: sink.rebuild && { changes: sink.rebuild.changes, changes_total: null },
      error: failure ?? sink.error,
    }));
  }
}
