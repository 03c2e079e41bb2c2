import { TidemarkError } from '../base/errors.ts';
import { positionText } from '../telemetry/status.ts';
import type { SinkPosition, SinkReport } from '../telemetry/status.ts';
import type { Pipeline } from './pipeline.ts';
import type { SourceUnit } from './source-unit.ts';
import { asTidemarkError } from './supervise.ts';
import { notFedBy } from './wait-board.ts';
import type { WaitTarget } from './wait-board.ts';

/** How often a source that does not answer is asked again for its present position. */
const askAgainMs = 100;

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
  /** Whether searches must find it too: a search index is refreshed once it holds the position. Other sinks show at once what they hold. */
  readonly searchable?: boolean;
}

export interface WaitAnswer {
  readonly sink: string;
  readonly position: SinkPosition;
  readonly waited_ms: number;
}

/**
 * Returns once the sink is consistent and holds everything that the source committed up to the position. SINK_UNKNOWN,
 * SOURCE_UNKNOWN, POSITION_INVALID; WAIT_TIMEOUT when time runs out; SINK_PAUSED, SINK_FAILED, or the source's own code, when waiting
 * longer is of no use, or when time ran out while the sink was failing.
 */
export async function waitForSink(pipeline: Pipeline, request: WaitRequest): Promise<WaitAnswer> {
  const { clock, waits } = pipeline;
  const { sink, failFast = false, timeoutMs = Number.POSITIVE_INFINITY } = request;
  const startedMs = clock.monotonic();
  const done = new AbortController();
  const signal = request.signal ? AbortSignal.any([request.signal, done.signal]) : done.signal;
  const late = clock.sleep(timeoutMs, signal).then(() => isLate);
  // The loser of a race must not surface as an unhandled rejection.
  late.catch(() => undefined);
  const inTime = async <T>(work: Promise<T>, lateError: () => TidemarkError): Promise<T> => {
    work.catch(() => undefined);
    const first = await Promise.race([work, late]);
    if (first === isLate) throw lateError();
    return first as T;
  };
  const hopeless = (report: SinkReport, fast: boolean): TidemarkError | null =>
    failureOf(pipeline, report, { failFast: fast, isOver: false });
  try {
    const targets = await targetsOf(pipeline, request, { signal, inTime });
    const reached = waits.reached(sink, { targets, failFast, hopeless }, signal);
    const report = await inTime(reached, () => {
      const standing = pipeline.sinkReport(sink);
      return failureOf(pipeline, standing, { failFast, isOver: true }) ?? timeoutError(request, targets, standing);
    });
    if (request.searchable === true) await inTime(waits.searchable(sink), () => refreshError(request));
    const position = report.position ?? '';
    return { sink: report.name, position, waited_ms: Math.round(clock.monotonic() - startedMs) };
  } finally {
    done.abort();
  }
}

const isLate = Symbol('late');

/** Ends work that has not been done by the wait's deadline with that error. */
interface Limits {
  readonly signal: AbortSignal;
  readonly inTime: <T>(work: Promise<T>, lateError: () => TidemarkError) => Promise<T>;
}

async function targetsOf(pipeline: Pipeline, request: WaitRequest, limits: Limits): Promise<WaitTarget[]> {
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
    chosen.map(async (source) => ({ source, wanted: await wantedPosition(source, request, limits, pipeline) })),
  );
}

/** The position to wait for, in the source's own spelling; asks an unreachable source again until the deadline. */
async function wantedPosition(
  source: SourceUnit,
  { position, failFast = false }: WaitRequest,
  { signal, inTime }: Limits,
  { waits, clock }: Pipeline,
): Promise<string> {
  if (position !== 'now') return source.order.normalise(position);
  let last: TidemarkError | null = null;
  const tellsNothing = (): TidemarkError => last ?? silentSource();
  for (;;) {
    try {
      return await inTime(waits.position(source), tellsNothing);
    } catch (error) {
      signal.throwIfAborted();
      const known = asTidemarkError(error);
      if (known === last || failFast || source.supervised.failure || known.code !== 'SOURCE_UNREACHABLE') throw known;
      last = known;
      await inTime(clock.sleep(askAgainMs, signal), tellsNothing);
    }
  }
}

function silentSource(): TidemarkError {
  return new TidemarkError('WAIT_TIMEOUT', 'the source did not tell its present position in time', {
    hint: '`tidemark status` shows what keeps it; allow more time with --timeout.',
  });
}

/** Why waiting longer is of no use, if it is not; of what may pass, only with `failFast`, or once the wait is over. */
function failureOf(
  pipeline: Pipeline,
  sink: SinkReport,
  { failFast, isOver }: { failFast: boolean; isOver: boolean },
): TidemarkError | null {
  if (sink.paused) {
    const standing = sink.position === null ? 'holds nothing yet' : `stands at ${positionText(sink.position)}`;
    return new TidemarkError('SINK_PAUSED', `sink '${sink.name}' is paused: it ${standing}`, {
      hint: `Let it go on with: tidemark resume --sink ${sink.name}`,
      place: { sink: sink.name },
    });
  }
  const { group, view, sources } = pipeline.sink(sink.name);
  const ofView = view === null ? null : (pipeline.views?.failureOf(view) ?? null);
  if (ofView) return ofView;
  const failed = group.failureOf(sink.name) ?? (isOver ? sink.error : null);
  if (failed) {
    return new TidemarkError('SINK_FAILED', `sink '${sink.name}' is failing: ${failed.message}`, {
      ...(failed.hint === undefined ? {} : { hint: failed.hint }),
      place: { sink: sink.name },
    });
  }
  for (const { supervised } of sources) {
    const { failure, isDead } = supervised;
    if (failure && (isDead || failFast || isOver)) return failure;
  }
  return null;
}

function timeoutError(request: WaitRequest, targets: readonly WaitTarget[], sink: SinkReport): TidemarkError {
  const wanted = targets.map((target) => target.wanted).join(', ');
  const standing = sink.position === null ? 'holds nothing yet' : `is at ${positionText(sink.position)}`;
  const consistent = sink.consistent ? '' : ' and is not consistent yet (the snapshot is under way)';
  return new TidemarkError(
    'WAIT_TIMEOUT',
    `sink '${sink.name}' did not reach ${wanted} in ${request.timeoutMs} ms: it ${standing}${consistent}`,
    { hint: 'Allow more time with --timeout; `tidemark status` shows what it waits for.', place: { sink: sink.name } },
  );
}

function refreshError({ sink, timeoutMs }: WaitRequest): TidemarkError {
  return new TidemarkError(
    'WAIT_TIMEOUT',
    `sink '${sink}' holds the position, but was not refreshed in ${timeoutMs} ms`,
    {
      hint: 'Allow more time with --timeout, or leave --searchable out where documents are read by their ids.',
      place: { sink },
    },
  );
}
