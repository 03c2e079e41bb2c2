import { dropSource } from '../../service/drop.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { readConfig } from '../deployment.ts';

export async function dropCommand(
  options: CommonOptions & { readonly source: string },
  context: CommandContext,
): Promise<void> {
  const config = await readConfig(options, context);
  const { source } = options;
  await dropSource(source, config, context);
  const found = config.sources.find(({ name }) => name === source);
  const answer = { source, slot: found?.slot, publication: found?.publication };
  const text = `slot ${answer.slot} and publication ${answer.publication} of ${source} are gone`;
  context.stdout.write(options.json === true ? `${JSON.stringify(answer)}\n` : `${text}\n`);
}
