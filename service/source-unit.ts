import type { Clock } from '../base/clock.ts';
import { TidemarkError } from '../base/errors.ts';
import type { EventOrigin } from '../model/envelope.ts';
import type { PipelineEvent, Report } from '../model/events.ts';
import type { PositionOrder } from '../model/position.ts';
import type { Source, SourceReader, SourceStatus } from '../model/source.ts';
import { snapshotReport } from '../telemetry/status.ts';
import type { SourceReport, StatusError } from '../telemetry/status.ts';
import { Supervised } from './supervise.ts';

/** How the service comes by a source. */
export interface SourcePlan {
  readonly name: string;
  readonly type: string;
  readonly order: PositionOrder;
  /** What the events of its topics say of where they come from. */
  readonly origin: EventOrigin;
  /** Makes the source anew; called before every run, so that nothing of a failed run is carried over. */
  readonly build: () => Source;
}

/** One source in the service's care. */
export class SourceUnit {
  readonly name: string;
  readonly type: string;
  readonly order: PositionOrder;
  readonly origin: EventOrigin;
  readonly supervised: Supervised;
  readonly #build: () => Source;
  #source: Source;
  #isConnected = false;
  /** Resolves when the run under way ends. */
  #runEnd = Promise.withResolvers<void>();

  constructor(plan: SourcePlan, clock: Clock, report: Report) {
    this.name = plan.name;
    this.type = plan.type;
    this.order = plan.order;
    this.origin = plan.origin;
    this.#build = plan.build;
    this.#source = plan.build();
    let isFirst = true;
    const part = {
      run: async (signal: AbortSignal): Promise<void> => {
        if (!isFirst) this.#source = this.#build();
        isFirst = false;
        this.#isConnected = false;
        this.#runEnd = Promise.withResolvers<void>();
        try {
          await this.#source.run(signal);
        } finally {
          this.#isConnected = false;
          this.#runEnd.resolve();
        }
      },
    };
    this.supervised = new Supervised(part, clock, (error) =>
      report({ type: 'source.failed', source: plan.name, error }),
    );
  }

  onEvent(event: PipelineEvent): void {
    if (event.type === 'source.connected') this.#isConnected = true;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  status(): SourceReport {
    const status = this.#source.status();
    const error = errorOf(this.supervised.failure) ?? errorOf(this.supervised.pausedFor) ?? status.error;
    return {
      name: this.name,
      type: this.type,
      position: status.position,
      lag_bytes: status.lagBytes,
      lag_seconds: roundedSeconds(status.lagSeconds),
      snapshot: snapshotReport(status.snapshot),
      consistent: status.consistent,
      error,
    };
  }

  rawStatus(): SourceStatus {
    return this.#source.status();
  }

  /** The source's present position. Throws what the source failed with, when it does not run. */
  async currentPosition(): Promise<string> {
    const { failure, pausedFor } = this.supervised;
    if (failure) throw failure;
    if (pausedFor) throw pausedFor;
    return this.#source.currentPosition();
  }

  /** Resolves when everything has come of a source that ends; at once for one that can tell its position at any time. */
  async ended(): Promise<void> {
    await this.#source.ended?.();
  }

  /** What reads the source once more, for verify; null where nothing can be. Throws what the source failed with, when it does not run. */
  reader(): SourceReader | null {
    const { failure, pausedFor } = this.supervised;
    if (failure) throw failure;
    if (pausedFor) throw pausedFor;
    return this.#source.reader?.() ?? null;
  }

  async snapshot(topic: string, where?: string): Promise<void> {
    const { failure, pausedFor } = this.supervised;
    if (failure) throw failure;
    if (pausedFor) throw pausedFor;
    const ended = this.#runEnd.promise.then(() => {
      throw new TidemarkError('SNAPSHOT_FAILED', `source ${this.name} stopped before ${topic} was read again`, {
        hint: 'A snapshot under way goes on when the source runs again; `tidemark status` shows it.',
        place: { source: this.name, table: topic },
      });
    });
    const work = this.#source.snapshot(topic, where);
    // The loser of the race must not surface as an unhandled rejection.
    ended.catch(() => undefined);
    work.catch(() => undefined);
    await Promise.race([work, ended]);
  }
}

/** An error as status shows it. */
export function errorOf(error: TidemarkError | null): StatusError | null {
  if (!error) return null;
  return { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
}

export function roundedSeconds(seconds: number | null): number | null {
  return seconds === null ? null : Math.max(0, Math.round(seconds * 1000) / 1000);
}
