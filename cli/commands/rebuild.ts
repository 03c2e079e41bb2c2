import type { Config } from '../../config/config.ts';
import { rebuildSink } from '../../service/sink-commands.ts';
import type { RebuildAnswer } from '../../service/sink-commands.ts';
import { positionText } from '../../telemetry/status.ts';
import type { RebuildReport } from '../../telemetry/status.ts';
import { formatCount, formatSeconds } from '../../telemetry/units.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { connectService, readConfig } from '../deployment.ts';
import { checkSink, isServiceThere, withOwnSinks } from '../own-sinks.ts';
import { ProgressLine, bar } from '../progress-line.ts';

interface RebuildOptions extends CommonOptions {
  readonly sink: string;
}

/** Returns the exit code: 1 when rows went to the dead letters. */
export async function rebuildCommand(options: RebuildOptions, context: CommandContext): Promise<number> {
  const config = await readConfig(options, context);
  const { sink } = options;
  checkSink(sink, config);
  const line = new ProgressLine(context);
  const startedMs = context.clock.monotonic();
  const show = (progress: RebuildReport): void =>
    line.show(progressText(sink, progress, (context.clock.monotonic() - startedMs) / 1000));
  let answer: RebuildAnswer;
  try {
    answer = (await isServiceThere(config, context))
      ? await askService(sink, config, context, show)
      : await rebuildHere(sink, config, context, show);
  } finally {
    line.end();
  }
  context.stdout.write(options.json === true ? `${JSON.stringify(answer)}\n` : describe(answer));
  return answer.dead_letters === 0 ? 0 : 1;
}

async function askService(
  sink: string,
  config: Config,
  context: CommandContext,
  show: (progress: RebuildReport) => void,
): Promise<RebuildAnswer> {
  const client = await connectService(config, context);
  let last = '';
  for await (const text of client.lines(`/api/v1/sinks/${encodeURIComponent(sink)}/rebuild`, {})) {
    last = text;
    if (!text.startsWith('{"progress":')) continue;
    const { progress } = JSON.parse(text) as { progress: RebuildReport | null };
    if (progress !== null) show(progress);
  }
  return JSON.parse(last) as RebuildAnswer;
}

/** Without a running service: delivers to the sink alone, from the log as it stands. */
async function rebuildHere(
  sink: string,
  config: Config,
  context: CommandContext,
  show: (progress: RebuildReport) => void,
): Promise<RebuildAnswer> {
  const options = { command: 'rebuild', deliverTo: sink };
  return withOwnSinks(config, context, options, async (pipeline) =>
    rebuildSink(pipeline, sink, { signal: context.signal, onProgress: show }),
  );
}

function progressText(sink: string, { changes, changes_total: total }: RebuildReport, seconds: number): string {
  const rate = seconds > 1 ? ` · ${formatCount(Math.round(changes / seconds))}/s` : '';
  if (total === null || total === 0) return `rebuild ${sink} ${formatCount(changes)} changes${rate}`;
  const share = Math.min(1, changes / total);
  const count = `${formatCount(changes)} of ~${formatCount(Math.max(changes, total))}`;
  return `rebuild ${sink} ${bar(share)} ${Math.floor(share * 100)} %  ${count}${rate}`;
}

function describe({ sink, position, dead_letters: letters, took_ms: tookMs }: RebuildAnswer): string {
  const at = position === null ? '' : ` and holds everything up to ${positionText(position)}`;
  const lines = [`${sink} was rebuilt from the log in ${formatSeconds(tookMs / 1000)}${at}`];
  if (letters > 0)
    lines.push(`  ${formatCount(letters)} rows could not be written: tidemark dead-letters --sink ${sink}`);
  return `${lines.join('\n')}\n`;
}
