import { explainView } from '../../service/explain-view.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { connectService, isServed, readConfig } from '../deployment.ts';
import { withLog } from '../open-log.ts';

export async function explainCommand(view: string, options: CommonOptions, context: CommandContext): Promise<void> {
  const config = await readConfig(options, context);
  let plan: string;
  if (await isServed(config, context)) {
    const client = await connectService(config, context);
    ({ plan } = (await client.get('/api/v1/explain', { view })) as { plan: string });
  } else {
    plan = await explainView(view, config, async (use) => withLog(config, context, 'explain', use));
  }
  context.stdout.write(options.json === true ? `${JSON.stringify({ view, plan })}\n` : `${plan.trimEnd()}\n`);
}
