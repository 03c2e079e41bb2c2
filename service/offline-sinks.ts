import type { Clock } from '../base/clock.ts';
import { TidemarkError } from '../base/errors.ts';
import type { Files } from '../base/files.ts';
import type { Config } from '../config/config.ts';
import type { Output } from '../sinks/ndjson/feed-pipe.ts';
import type { PipelineEvent } from '../model/events.ts';
import { DataDirectoryLock } from './lock.ts';
import { openLog } from './open-log.ts';
import { Pipeline } from './pipeline.ts';
import { sinkPlans } from './sink-plans.ts';

export interface OfflineDeps {
  readonly clock: Clock;
  readonly files: Files;
  readonly random: () => number;
  readonly output: Output;
}

export interface OfflineOptions {
  /** What takes the data directory, for whoever finds it taken. */
  readonly command: string;
  /** The sink that is delivered to meanwhile (with those on its target); none when absent. */
  readonly deliverTo?: string;
}

/**
 * Gives `work` the sinks of a deployment that does not run, around its log, without sources and views. DATA_DIR_LOCKED when somebody
 * else has the data directory, SINK_UNKNOWN, SINK_FAILED for a sink on standard output, which belongs to the command.
 */
export async function withSinks<T>(
  config: Config,
  deps: OfflineDeps,
  options: OfflineOptions,
  work: (pipeline: Pipeline) => Promise<T>,
): Promise<T> {
  const { clock, files } = deps;
  refuseStandardOutput(config, options.deliverTo);
  const directory = config.dataDirectory;
  const lock = await DataDirectoryLock.acquire({ directory, files, command: options.command, nowMs: clock.now() });
  try {
    const log = await openLog(config, { clock, files });
    try {
      let pipeline: Pipeline | null = null;
      const report = (event: PipelineEvent): void => pipeline?.onEvent(event);
      const sinks = await sinkPlans(config.sinks, { ...deps, log, report, config });
      pipeline = new Pipeline({ name: config.name, log, sources: [], views: null, sinks }, clock, report);
      return await whileDelivering(pipeline, options.deliverTo, work);
    } finally {
      await log.close();
    }
  } finally {
    await lock.release();
  }
}

async function whileDelivering<T>(
  pipeline: Pipeline,
  sink: string | undefined,
  work: (pipeline: Pipeline) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const delivering = sink === undefined ? null : pipeline.sinkUnit(sink).supervised.run(stop.signal);
  try {
    return await work(pipeline);
  } finally {
    stop.abort();
    await delivering;
  }
}

function refuseStandardOutput({ sinks }: Config, name: string | undefined): void {
  const sink = sinks.find((candidate) => candidate.name === name);
  if (sink?.type !== 'ndjson' || sink.path !== '-') return;
  throw new TidemarkError('SINK_FAILED', `sink '${sink.name}' writes to the standard output of the service`, {
    hint: 'Start the service with `tidemark run` and give the command then.',
    place: { sink: sink.name },
  });
}
