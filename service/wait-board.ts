import { present } from '../base/assert.ts';
import { TidemarkError } from '../base/errors.ts';
import type { SinkPosition, SinkReport } from '../telemetry/status.ts';
import type { Pipeline } from './pipeline.ts';
import { SharedCall } from './shared-call.ts';
import type { SourceUnit } from './source-unit.ts';

/** A source is asked where it stands when a wait has lasted this long, … */
const nudgeFirstMs = 10;
/** … and then this often: what is waited for may lie behind another session's unflushed record, which only the next flush moves. */
const nudgeEveryMs = 1000;

/** A source, and up to where a sink must hold its commits. */
export interface WaitTarget {
  readonly source: SourceUnit;
  wanted: string;
}

/** What ends a wait for a sink before it is reached. `failFast`: so does what may pass. */
export type Hopeless = (sink: SinkReport, failFast: boolean) => TidemarkError | null;

interface Wait {
  readonly targets: readonly WaitTarget[];
  /** The wanted positions as numbers, where their sources' positions are. */
  readonly ranks: (bigint | number | null)[];
  readonly failFast: boolean;
  readonly hopeless: Hopeless;
  readonly resolve: (report: SinkReport) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * All waits of a pipeline, by sink. Progress of a sink is looked at once for all who wait for it; a source is asked for its position,
 * and a search engine to refresh, once for all who want it at that time.
 */
export class WaitBoard {
  readonly #pipeline: Pipeline;
  readonly #waits = new Map<string, Set<Wait>>();
  readonly #positions = new Map<SourceUnit, SharedCall<string>>();
  readonly #refreshes = new Map<string, SharedCall<void>>();
  #watching = false;

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  /** Waits under way. */
  get count(): number {
    let count = 0;
    for (const waits of this.#waits.values()) count += waits.size;
    return count;
  }

  /** The source's position, as it was after the call. */
  async position(source: SourceUnit): Promise<string> {
    let call = this.#positions.get(source);
    if (call === undefined) {
      call = new SharedCall(async () => source.currentPosition());
      this.#positions.set(source, call);
    }
    return call.ask();
  }

  /** Resolves once searches find everything that the sink held at the call. */
  async searchable(sink: string): Promise<void> {
    let call = this.#refreshes.get(sink);
    if (call === undefined) {
      call = new SharedCall(async () => this.#pipeline.sinkGroup(sink).target.makeSearchable?.(sink));
      this.#refreshes.set(sink, call);
    }
    return call.ask();
  }

  /** Resolves with the sink's report once it is consistent and holds the targets; rejects when that is hopeless, or aborted. */
  async reached(
    sink: string,
    request: { readonly targets: readonly WaitTarget[]; readonly failFast: boolean; readonly hopeless: Hopeless },
    signal: AbortSignal,
  ): Promise<SinkReport> {
    const { promise, resolve, reject } = Promise.withResolvers<SinkReport>();
    const wait: Wait = { ...request, ranks: request.targets.map(rankOf), resolve, reject };
    const waits = this.#waits.get(sink) ?? new Set();
    this.#waits.set(sink, waits.add(wait));
    const done = new AbortController();
    const ended = AbortSignal.any([signal, done.signal]);
    signal.addEventListener('abort', () => reject(signal.reason), { signal: done.signal });
    try {
      if (signal.aborted) reject(signal.reason);
      this.#look(sink, [wait]);
      void this.#watch();
      for (const target of wait.targets) void this.#nudge(sink, wait, target, ended);
      return await promise;
    } finally {
      done.abort();
      waits.delete(wait);
      if (waits.size === 0) this.#waits.delete(sink);
    }
  }

  /** Looks at every sink that somebody waits for whenever something has changed. */
  async #watch(): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    while (this.#waits.size > 0) {
      await this.#pipeline.changed();
      for (const [sink, waits] of this.#waits) this.#look(sink, waits);
    }
    this.#watching = false;
  }

  #look(sink: string, waits: Iterable<Wait>): void {
    try {
      const report = this.#pipeline.sinkReport(sink);
      // Which sources feed a view is known only when it has been bound.
      const { sources } = this.#pipeline.sink(sink);
      const held = new Map<SourceUnit, Held>();
      const failures = new Map<boolean, TidemarkError | null>();
      for (const wait of waits) {
        const [first] = wait.targets;
        if (first !== undefined && wait.targets.every(({ source }) => !sources.includes(source))) {
          wait.reject(notFedBy(first.source.name, sink, sources));
          continue;
        }
        if (report.consistent && isSure(report) && isReached(wait, report.position, { held, sources })) {
          wait.resolve(report);
          continue;
        }
        let failure = failures.get(wait.failFast);
        if (failure === undefined) failures.set(wait.failFast, (failure = wait.hopeless(report, wait.failFast)));
        if (failure !== null) wait.reject(failure);
      }
    } catch (error) {
      for (const wait of waits) wait.reject(error);
    }
  }

  /** Has an idle source move, and learns up to where the wanted position has to be waited for. */
  async #nudge(sink: string, wait: Wait, target: WaitTarget, signal: AbortSignal): Promise<void> {
    const { clock } = this.#pipeline;
    for (let pauseMs = nudgeFirstMs; !signal.aborted; pauseMs = nudgeEveryMs) {
      try {
        await clock.sleep(pauseMs, signal);
        const position = await this.position(target.source);
        target.wanted = target.source.order.settle(target.wanted, position);
        wait.ranks[wait.targets.indexOf(target)] = rankOf(target);
      } catch {
        // That the source does not answer shows in its status.
      }
      // Whatever moved without an event is seen here.
      if (!signal.aborted) this.#look(sink, [wait]);
    }
  }
}

/** What a sink holds of a source. */
interface Held {
  readonly position: string | null;
  readonly rank: bigint | number | null;
}

function isReached(
  { targets, ranks }: Wait,
  position: SinkPosition | null,
  { held, sources }: { readonly held: Map<SourceUnit, Held>; readonly sources: readonly SourceUnit[] },
): boolean {
  if (position === null) return false;
  for (let index = 0; index < targets.length; index++) {
    const { source, wanted } = present(targets[index], 'a target of the wait');
    if (!sources.includes(source)) continue;
    let own = held.get(source);
    if (own === undefined) held.set(source, (own = heldOf(source, position)));
    if (own.position === null) return false;
    const rank = ranks[index] ?? null;
    if (rank === null || own.rank === null ? !source.order.covers(own.position, wanted) : own.rank < rank) return false;
  }
  return true;
}

/** The error of a wait whose source is none of those that the sink is made of. */
export function notFedBy(source: string, sink: string, sources: readonly SourceUnit[]): TidemarkError {
  return new TidemarkError('SOURCE_UNKNOWN', `source '${source}' does not feed sink '${sink}'`, {
    hint: `It is fed by ${sources.map(({ name }) => name).join(', ')}.`,
  });
}

function heldOf(source: SourceUnit, held: SinkPosition | null): Held {
  const position = typeof held === 'string' || held === null ? held : (held[source.name] ?? null);
  return { position, rank: position === null ? null : (source.order.rank?.(position) ?? null) };
}

function rankOf({ source, wanted }: WaitTarget): bigint | number | null {
  return source.order.rank?.(wanted) ?? null;
}

/** A target that does not answer, or is somebody else's by now, may have lost what it held. One that is only slow has it. */
function isSure({ error }: SinkReport): boolean {
  return error === null || error.code === 'SINK_STALLED';
}
