import { TidemarkError } from '../base/errors.ts';
import type { RebuildReport, SinkPosition } from '../telemetry/status.ts';
import type { Pipeline } from './pipeline.ts';

/** Rebuilds are looked after this often as well, since not everything that ends one is told. */
const lookEveryMs = 100;

export interface PauseAnswer {
  readonly sink: string;
  readonly paused: boolean;
}

/** Stops a sink, or lets it go on; survives the service. SINK_UNKNOWN. */
export async function pauseSink(pipeline: Pipeline, sink: string, paused: boolean): Promise<PauseAnswer> {
  await pipeline.sinkGroup(sink).pause(sink, paused);
  return { sink, paused };
}

export interface RebuildAnswer {
  readonly sink: string;
  readonly seq: number;
  readonly position: SinkPosition | null;
  /** Rows that the rebuilt sink could not take. */
  readonly dead_letters: number;
  readonly took_ms: number;
}

/**
 * Builds a sink anew from the log and returns once readers see it. One that is under way is waited for. SINK_UNKNOWN, SINK_PAUSED;
 * SINK_FAILED when the log does not hold what the sink waits for, or when the sink fails with what only a person can put right.
 */
export async function rebuildSink(
  pipeline: Pipeline,
  name: string,
  options: { readonly signal: AbortSignal; readonly onProgress: (progress: RebuildReport) => void },
): Promise<RebuildAnswer> {
  const { clock } = pipeline;
  const { signal, onProgress } = options;
  const startedMs = clock.monotonic();
  const group = pipeline.sinkGroup(name);
  const sink = group.sinks.find((candidate) => candidate.name === name);
  if (sink && !sink.readableAt(pipeline.log.frontier(sink.stream).seq)) throw notConsistentYet(name);
  await group.rebuild(name);
  for (;;) {
    const report = pipeline.sinkReport(name);
    if (report.rebuild === null && report.position !== null) {
      const { seq, position, dead_letters } = report;
      return { sink: name, seq, position, dead_letters, took_ms: Math.round(clock.monotonic() - startedMs) };
    }
    if (report.rebuild) onProgress({ ...report.rebuild, changes_total: await pipeline.topicChanges(name) });
    if (report.paused) throw pausedMeanwhile(name);
    const failure = pipeline.sinkUnit(name).failureOf(name);
    if (failure) throw failure;
    await Promise.race([pipeline.changed(), clock.sleep(lookEveryMs, signal)]);
    signal.throwIfAborted();
  }
}

function notConsistentYet(sink: string): TidemarkError {
  return new TidemarkError('SINK_FAILED', `the log does not hold the whole table of sink '${sink}' yet`, {
    hint: 'Wait until its first snapshot is done; `tidemark status` shows how far it is.',
    place: { sink },
  });
}

function pausedMeanwhile(sink: string): TidemarkError {
  return new TidemarkError('SINK_PAUSED', `sink '${sink}' was paused while it was being rebuilt`, {
    hint: `The rebuild goes on with: tidemark resume --sink ${sink}`,
    place: { sink },
  });
}
