import { dropSource } from '../../service/drop.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { readConfig } from '../deployment.ts';

export async function dropCommand(
  options: CommonOptions & { readonly source: string },
  context: CommandContext,
): Promise<void> {
  const config = await readConfig(options, context);
  const { source } = options;
  const removed = await dropSource(source, config, context);
  const text = removed.length === 0 ? `source ${source} had nothing to remove` : `removed: ${removed.join(', ')}`;
  context.stdout.write(options.json === true ? `${JSON.stringify({ source, removed })}\n` : `${text}\n`);
}
