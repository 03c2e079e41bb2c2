import { TidemarkError } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import { withSinks } from '../service/offline-sinks.ts';
import type { OfflineOptions } from '../service/offline-sinks.ts';
import type { Pipeline } from '../service/pipeline.ts';
import type { CommandContext } from './context.ts';
import { isServed, startOfService } from './deployment.ts';

/** A service that is starting is waited for so long. */
const startMsMax = 10_000;

/** SINK_UNKNOWN when the file has no such sink, whether a service runs or not. */
export function checkSink(sink: string, config: Config): void {
  const names = config.sinks.map(({ name }) => name);
  if (names.includes(sink)) return;
  const hint = names.length === 0 ? 'The file has no sinks.' : `Its sinks: ${names.join(', ')}.`;
  throw new TidemarkError('SINK_UNKNOWN', `the file has no sink '${sink}'`, { hint });
}

/** Whether a running service does the work; one that is just starting is waited for. */
export async function isServiceThere(config: Config, context: CommandContext): Promise<boolean> {
  await startOfService(config, context, startMsMax);
  return isServed(config, context);
}

/** Does the work here, where no service runs. */
export async function withOwnSinks<T>(
  config: Config,
  context: CommandContext,
  options: OfflineOptions,
  work: (pipeline: Pipeline) => Promise<T>,
): Promise<T> {
  const { clock, files, stdout } = context;
  return withSinks(config, { clock, files, random: Math.random, output: stdout }, options, work);
}
