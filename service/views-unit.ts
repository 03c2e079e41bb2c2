import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { TidemarkError } from '../base/errors.ts';
import type { Files } from '../base/files.ts';
import type { ViewConfig } from '../config/config.ts';
import type { Report } from '../model/events.ts';
import type { Log } from '../model/log.ts';
import { formatPositions } from '../model/position.ts';
import type { ViewReport } from '../telemetry/status.ts';
import type { LookupAnswer, Stage } from '../views/port.ts';
import { explain } from '../views/plan/explain.ts';
import { loadSqlParser } from '../views/sql/bind.ts';
import { createStage } from '../views/stage/stage.ts';
import { bindAll, relationsOf } from './bind-views.ts';
import type { BoundViews } from './bind-views.ts';
import { errorOf, roundedSeconds } from './source-unit.ts';
import { Supervised } from './supervise.ts';
import { newestTables } from './view-catalog.ts';

/** How often it is looked whether tables that views name have appeared in the log. */
const lookEveryMs = 200;

export interface ViewsPlan {
  readonly views: readonly ViewConfig[];
  /** Names of the sources of the file. */
  readonly sources: readonly string[];
  readonly log: Log;
  readonly dataDirectory: string;
  readonly files: Files;
  readonly clock: Clock;
  readonly report: Report;
}

/** All views of the file in the service's care: binds them once their tables are known, and runs the stage that keeps them. */
export class ViewsUnit {
  readonly names: readonly string[];
  readonly supervised: Supervised;
  readonly #plan: ViewsPlan;
  /** Whether every table that a source will ever bring has been seen in the log. */
  readonly #tablesAreKnown: () => boolean;
  readonly #listeners = new Set<() => void>();
  #bound: BoundViews = { views: [], failures: new Map(), sources: new Map() };
  #isBound = false;
  #stage: Stage | null = null;

  constructor(plan: ViewsPlan, tablesAreKnown: () => boolean) {
    this.#plan = plan;
    this.#tablesAreKnown = tablesAreKnown;
    this.names = plan.views.map(({ name }) => name);
    const run = async (signal: AbortSignal): Promise<void> => this.#run(signal);
    this.supervised = new Supervised({ run }, plan.clock, (error) => {
      for (const view of this.names) plan.report({ type: 'view.failed', view, error });
    });
  }

  /** The views as the file has them. */
  get definitions(): readonly ViewConfig[] {
    return this.#plan.views;
  }

  /** Where state may be kept that is thrown away at once. */
  get scratch(): { readonly directory: string; readonly files: Files } {
    return { directory: join(this.#plan.dataDirectory, 'views'), files: this.#plan.files };
  }

  status(): ViewReport[] {
    const failure = errorOf(this.supervised.failure);
    const running = new Map(this.#stage?.status().map((view) => [view.name, view]));
    return this.names.map((name) => {
      const view = running.get(name);
      return {
        name,
        step: view?.step ?? 0,
        rows: view?.rows ?? 0,
        state_bytes: view?.stateBytes ?? 0,
        lag_seconds: roundedSeconds(view?.lagSeconds ?? null),
        consistent: view?.consistent ?? false,
        dead_letters: view?.deadLetters ?? 0,
        error: ownError(name, failure ?? errorOf(this.#bound.failures.get(name) ?? null) ?? view?.error ?? null),
      };
    });
  }

  /** Whether it is known which tables each view reads, and what is wrong with those that cannot be kept. */
  get isBound(): boolean {
    return this.#isBound;
  }

  /** What a view has failed with for good. */
  failureOf(view: string): TidemarkError | null {
    return this.supervised.failure ?? this.#bound.failures.get(view) ?? null;
  }

  /** The sources whose tables a view is made of, in alphabetical order; empty as long as that is not known. */
  sourcesOf(view: string): readonly string[] {
    return this.#bound.sources.get(view) ?? [];
  }

  /** VIEW_UNKNOWN, VIEW_FAILED when it does not run yet. */
  lookup(view: string, key: readonly string[]): LookupAnswer {
    this.#check(view);
    const failure = this.failureOf(view);
    if (failure) throw failure;
    if (!this.#stage) throw notRunning(view);
    return this.#stage.lookup(view, key);
  }

  /** The plan of a view for people, with state sizes while it runs. */
  explain(view: string): string {
    this.#check(view);
    const failure = this.#bound.failures.get(view);
    if (failure) throw failure;
    const bound = this.#bound.views.filter(({ name }) => name === view);
    if (bound.length === 0) throw notRunning(view);
    return explain(bound, this.#stage?.engine ?? null);
  }

  onProgress(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #check(view: string): void {
    if (this.names.includes(view)) return;
    throw new TidemarkError('VIEW_UNKNOWN', `there is no view '${view}'`, {
      hint: this.names.length === 0 ? 'The file has no views.' : `Known views: ${this.names.join(', ')}.`,
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    await loadSqlParser();
    const bound = await this.#bind(signal);
    if (bound.views.length === 0) return aborted(signal);
    const { log, clock, files, report, dataDirectory, views } = this.#plan;
    const stage = createStage({
      views: bound.views,
      relations: relationsOf(bound.views, newestTables(log, this.#plan.sources)),
      log,
      formatPosition: (positions) => formatPositions(positions, this.#plan.sources.length === 1),
      directory: join(dataDirectory, 'views'),
      state: views[0]?.state ?? 'disk',
      files,
      clock,
      report,
    });
    this.#stage = stage;
    const ends = stage.onProgress(() => this.#progressed());
    try {
      await stage.run(signal);
    } finally {
      ends();
      this.#stage = null;
    }
  }

  /** Waits until every view can be bound, or until those that cannot be never will. */
  async #bind(signal: AbortSignal): Promise<BoundViews> {
    const { log, clock, views, sources, report } = this.#plan;
    for (;;) {
      const isFinal = this.#tablesAreKnown();
      const bound = bindAll(views, newestTables(log, sources));
      if (bound.failures.size === 0 || isFinal) {
        this.#bound = bound;
        this.#isBound = true;
        for (const [view, error] of bound.failures) report({ type: 'view.failed', view, error });
        this.#progressed();
        return bound;
      }
      await clock.sleep(lookEveryMs, signal).catch(() => undefined);
      if (signal.aborted) return bound;
    }
  }

  #progressed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Beside the view's name its message needs not begin with it. */
function ownError(name: string, error: ViewReport['error']): ViewReport['error'] {
  if (error === null) return null;
  const start = /^view ([^:, ]+)[:,] /.exec(error.message);
  return start?.[1] === name ? { ...error, message: error.message.slice(start[0].length) } : error;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

function notRunning(view: string): TidemarkError {
  return new TidemarkError('VIEW_FAILED', `view '${view}' does not run yet`, {
    hint: 'It begins when its tables are known; `tidemark status` shows what their sources wait for.',
  });
}
