import { formatSeconds } from '../../telemetry/units.ts';
import type { SnapshotAnswer } from '../../service/snapshot-table.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { connectService, readConfig } from '../deployment.ts';

interface SnapshotOptions extends CommonOptions {
  readonly table: string;
  readonly where?: string;
}

export async function snapshotCommand(options: SnapshotOptions, context: CommandContext): Promise<void> {
  const config = await readConfig(options, context);
  const client = await connectService(config, context);
  const { table, where } = options;
  const body = where === undefined ? { table } : { table, where };
  const answer = (await client.post('/api/v1/snapshot', body)) as SnapshotAnswer;
  const text = `${answer.table} was read again in ${formatSeconds(answer.took_ms / 1000)}`;
  context.stdout.write(options.json === true ? `${JSON.stringify(answer)}\n` : `${text}\n`);
}
