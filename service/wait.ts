import { TidemarkError } from '../base/errors.ts';
import { positionText } from '../telemetry/status.ts';
import type { SinkPosition, SinkReport } from '../telemetry/status.ts';
import type { Pipeline } from './pipeline.ts';
import type { SourceUnit } from './source-unit.ts';
import { asTidemarkError } from './supervise.ts';

/** Cursors also move without an event (positions with nothing to publish), so a wait looks this often as well. */
const lookEveryMs = 20;
/**
 * An idle source is nudged at the start and then this often: what is waited for may lie behind another session's unflushed
 * record, which only the next flush of anybody moves.
 */
const nudgeEveryMs = 1000;

export interface WaitRequest {
  readonly sink: string;
  /** A position of a source, or `now` for the present ones of all sources (or of `source`). */
  readonly position: string;
  /** Which source the position is of; the sink's own when absent, which must then have one only. */
  readonly source?: string;
  /** No limit when absent. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Whether an error that is being retried ends the wait at once instead of at its timeout. */
  readonly failFast?: boolean;
}

export interface WaitAnswer {
  readonly sink: string;
  readonly position: SinkPosition;
  readonly waited_ms: number;
}

/**
 * Returns once the sink is consistent and holds everything that the source committed up to the position. SINK_UNKNOWN,
 * SOURCE_UNKNOWN, POSITION_INVALID; WAIT_TIMEOUT when time runs out; SINK_FAILED, or the source's own code, when waiting longer is
 * of no use, or when time ran out while the sink was failing.
 */
export async function waitForSink(pipeline: Pipeline, request: WaitRequest): Promise<WaitAnswer> {
  const { clock } = pipeline;
  const startedMs = clock.monotonic();
  const deadlineMs = request.timeoutMs === undefined ? Number.POSITIVE_INFINITY : startedMs + request.timeoutMs;
  const asked = await targetsOf(pipeline, request, deadlineMs);
  let nudgedMs = request.position === 'now' ? startedMs : Number.NEGATIVE_INFINITY;
  for (;;) {
    const sink = pipeline.sinkReport(request.sink);
    const { sources } = pipeline.sink(request.sink);
    // Which sources feed a view is known only when it has been bound.
    const targets = asked.filter(({ source }) => sources.includes(source));
    if (targets.length === 0 && asked[0] !== undefined) throw notFedBy(asked[0].source.name, request.sink, sources);
    if (sink.position !== null && sink.consistent && targets.every((target) => isReached(target, sink.position))) {
      return { sink: sink.name, position: sink.position, waited_ms: Math.round(clock.monotonic() - startedMs) };
    }
    const nowMs = clock.monotonic();
    throwIfHopeless(pipeline, request, sink, nowMs >= deadlineMs);
    if (nowMs >= deadlineMs) throw timeoutError(request, targets, sink);
    if (nowMs - nudgedMs >= nudgeEveryMs) {
      nudgedMs = nowMs;
      for (const target of targets) nudge(target);
    }
    const leftMs = Math.min(lookEveryMs, deadlineMs - nowMs);
    await Promise.race([pipeline.changed(), clock.sleep(leftMs, request.signal)]);
    request.signal?.throwIfAborted();
  }
}

/** A source, and up to where it must be contained. */
interface Target {
  readonly source: SourceUnit;
  wanted: string;
}

async function targetsOf(pipeline: Pipeline, request: WaitRequest, deadlineMs: number): Promise<Target[]> {
  const { sources } = pipeline.sink(request.sink);
  const names = sources.map(({ name }) => name).join(', ');
  let chosen = sources;
  if (request.source !== undefined) {
    const source = pipeline.source(request.source);
    if (!sources.includes(source)) {
      throw notFedBy(request.source, request.sink, sources);
    }
    chosen = [source];
  } else if (sources.length > 1 && request.position !== 'now') {
    throw new TidemarkError('REQUEST_INVALID', `sink '${request.sink}' has several sources: ${names}`, {
      hint: 'Say with --source which one the position is of.',
    });
  }
  return Promise.all(
    chosen.map(async (source) => ({ source, wanted: await wantedPosition(source, request, deadlineMs, pipeline) })),
  );
}

function notFedBy(source: string, sink: string, sources: readonly SourceUnit[]): TidemarkError {
  return new TidemarkError('SOURCE_UNKNOWN', `source '${source}' does not feed sink '${sink}'`, {
    hint: `It is fed by ${sources.map(({ name }) => name).join(', ')}.`,
  });
}

function isReached({ source, wanted }: Target, held: SinkPosition | null): boolean {
  const own = typeof held === 'string' || held === null ? held : (held[source.name] ?? null);
  return own !== null && source.order.covers(own, wanted);
}

function nudge(target: Target): void {
  target.source.currentPosition().then(
    (present) => (target.wanted = target.source.order.settle(target.wanted, present)),
    // That the source does not answer shows in its status.
    () => undefined,
  );
}

/** The position to wait for, in the source's own spelling; asks an unreachable source again until the deadline. */
async function wantedPosition(
  source: SourceUnit,
  request: WaitRequest,
  deadlineMs: number,
  pipeline: Pipeline,
): Promise<string> {
  if (request.position !== 'now') return source.order.normalise(request.position);
  for (;;) {
    try {
      return await withDeadline(source.currentPosition(), deadlineMs, pipeline);
    } catch (error) {
      const known = asTidemarkError(error);
      const isOver = pipeline.clock.monotonic() >= deadlineMs;
      if (isOver || request.failFast === true || source.supervised.failure || known.code !== 'SOURCE_UNREACHABLE') {
        throw known;
      }
      await pipeline.clock.sleep(100, request.signal);
    }
  }
}

async function withDeadline<T>(work: Promise<T>, deadlineMs: number, { clock }: Pipeline): Promise<T> {
  if (deadlineMs === Number.POSITIVE_INFINITY) return work;
  const done = new AbortController();
  const late = clock.sleep(Math.max(0, deadlineMs - clock.monotonic()), done.signal).then(() => {
    throw new TidemarkError('WAIT_TIMEOUT', 'the source did not tell its present position in time', {
      hint: '`tidemark status` shows what keeps it; allow more time with --timeout.',
    });
  });
  // The loser of the race must not surface as an unhandled rejection.
  late.catch(() => undefined);
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    done.abort();
  }
}

function throwIfHopeless(pipeline: Pipeline, request: WaitRequest, sink: SinkReport, isOver: boolean): void {
  const { group, view, sources } = pipeline.sink(request.sink);
  const ofView = view === null ? null : (pipeline.views?.failureOf(view) ?? null);
  if (ofView) throw ofView;
  const failed = group.failureOf(sink.name) ?? (isOver ? sink.error : null);
  if (failed) {
    throw new TidemarkError('SINK_FAILED', `sink '${sink.name}' is failing: ${failed.message}`, {
      ...(failed.hint === undefined ? {} : { hint: failed.hint }),
      place: { sink: sink.name },
    });
  }
  for (const { supervised } of sources) {
    const { failure, isDead } = supervised;
    if (failure && (isDead || request.failFast === true || isOver)) throw failure;
  }
}

function timeoutError(request: WaitRequest, targets: readonly Target[], sink: SinkReport): TidemarkError {
  const wanted = targets.map((target) => target.wanted).join(', ');
  const standing = sink.position === null ? 'holds nothing yet' : `is at ${positionText(sink.position)}`;
  const consistent = sink.consistent ? '' : ' and is not consistent yet (the snapshot is under way)';
  return new TidemarkError(
    'WAIT_TIMEOUT',
    `sink '${sink.name}' did not reach ${wanted} in ${request.timeoutMs} ms: it ${standing}${consistent}`,
    { hint: 'Allow more time with --timeout; `tidemark status` shows what it waits for.', place: { sink: sink.name } },
  );
}
