import { configJsonSchema } from '../../config/json-schema.ts';
import type { CommandContext } from '../context.ts';

export async function schemaCommand(context: CommandContext): Promise<void> {
  context.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
}
