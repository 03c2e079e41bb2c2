import type { Config } from '../../config/config.ts';
import { createService } from '../../service/create-service.ts';
import type { Service } from '../../service/service.ts';
import { createLogger, wantsColour } from '../../telemetry/logger.ts';
import { SnapshotProgress } from '../../telemetry/progress.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { readConfig } from '../deployment.ts';

/** Often enough for a bar that moves smoothly, rare enough to cost nothing. */
const progressEveryMs = 250;

interface RunOptions extends CommonOptions {
  readonly until?: string;
}

/** Everything for people goes to stderr: stdout may be a sink. */
export async function runCommand(options: RunOptions, context: CommandContext): Promise<void> {
  const config = await readConfig(options, context);
  const progress = new SnapshotProgress(context.stderr, () => context.clock.monotonic());
  const service = await startService(config, context, progress);
  const ended = new AbortController();
  const drawing = draw(service, progress, AbortSignal.any([context.signal, ended.signal]), context);
  try {
    if (options.until === 'caught-up') await untilCaughtUp(service, context.signal);
    else await abortOf(context.signal);
  } finally {
    ended.abort();
    await drawing;
    await service.stop();
  }
}

async function startService(config: Config, context: CommandContext, progress: SnapshotProgress): Promise<Service> {
  const { stdout, stderr, environment, secrets, clock, files } = context;
  const isTTY = stderr.isTTY === true;
  const logger = await createLogger({
    level: config.logLevel,
    output: { write: (line) => progress.around(line), isTTY },
    colour: wantsColour(environment, isTTY),
    secrets,
  });
  return createService(config, { clock, files, random: Math.random, logger, secrets, output: stdout });
}

async function untilCaughtUp(service: Service, signal: AbortSignal): Promise<void> {
  try {
    await service.caughtUp(signal);
  } catch (error) {
    // A signal ends the wait, and decides the exit code elsewhere.
    if (!signal.aborted) throw error;
  }
}

async function draw(
  service: Service,
  progress: SnapshotProgress,
  signal: AbortSignal,
  context: CommandContext,
): Promise<void> {
  while (!signal.aborted) {
    progress.update(service.pipeline.sources.map((source) => source.status()));
    await context.clock.sleep(progressEveryMs, signal).catch(() => undefined);
  }
  progress.end();
}

async function abortOf(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
