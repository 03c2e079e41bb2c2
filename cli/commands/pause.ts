import { pauseSink } from '../../service/sink-commands.ts';
import type { PauseAnswer } from '../../service/sink-commands.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { connectService, readConfig } from '../deployment.ts';
import { checkSink, isServiceThere, withOwnSinks } from '../own-sinks.ts';

/** `pause` and `resume`. Where no service runs, the wish is left for the next one. */
export async function pauseCommand(
  options: CommonOptions & { readonly sink: string },
  paused: boolean,
  context: CommandContext,
): Promise<void> {
  const config = await readConfig(options, context);
  const { sink } = options;
  checkSink(sink, config);
  const command = paused ? 'pause' : 'resume';
  let answer: PauseAnswer;
  if (await isServiceThere(config, context)) {
    const client = await connectService(config, context);
    answer = (await client.post(`/api/v1/sinks/${encodeURIComponent(sink)}/${command}`, {})) as PauseAnswer;
  } else {
    answer = await withOwnSinks(config, context, { command }, async (pipeline) => pauseSink(pipeline, sink, paused));
  }
  const text = `${sink} ${paused ? 'is paused' : 'goes on'}`;
  context.stdout.write(options.json === true ? `${JSON.stringify(answer)}\n` : `${text}\n`);
}
