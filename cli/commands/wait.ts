import { formatSeconds } from '../../telemetry/units.ts';
import { parseDuration } from '../../config/duration.ts';
import type { WaitAnswer } from '../../service/wait.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { connectService, readConfig, startOfService } from '../deployment.ts';
import { usageError } from '../usage.ts';

interface WaitOptions extends CommonOptions {
  readonly sink: string;
  readonly position?: string;
  readonly now?: boolean;
  readonly source?: string;
  readonly timeout: string;
}

export async function waitCommand(options: WaitOptions, context: CommandContext): Promise<void> {
  const position = options.now === true ? 'now' : options.position;
  if (position === undefined || (options.now === true && options.position !== undefined)) {
    throw usageError(
      'wait takes either --position or --now',
      'Give --now to wait for what is committed at this moment.',
    );
  }
  const config = await readConfig(options, context);
  await startOfService(config, context, parseDuration(options.timeout) ?? 0);
  const client = await connectService(config, context);
  const { sink, source, timeout } = options;
  const answer = (await client.get('/api/v1/wait', { sink, position, source, timeout })) as WaitAnswer;
  const text = `${answer.sink} holds everything up to ${answer.position} (${formatSeconds(answer.waited_ms / 1000)})`;
  context.stdout.write(options.json === true ? `${JSON.stringify(answer)}\n` : `${text}\n`);
}
