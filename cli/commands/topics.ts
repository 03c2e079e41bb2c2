import type { TopicInfo } from '../../model/log.ts';
import { describeTopic } from '../../service/topic-report.ts';
import type { TopicReport } from '../../service/topic-report.ts';
import { formatBytes, formatCount } from '../../telemetry/units.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { connectService, isServed, readConfig } from '../deployment.ts';
import { withLog } from '../open-log.ts';
import { table } from '../table.ts';

export async function topicsCommand(options: CommonOptions, context: CommandContext): Promise<void> {
  const config = await readConfig(options, context);
  let topics: TopicReport[];
  if (await isServed(config, context)) {
    const client = await connectService(config, context);
    ({ topics } = (await client.get('/api/v1/topics')) as { topics: TopicReport[] });
  } else {
    const found: TopicInfo[] = (await withLog(config, context, 'topics', async (log) => log.topics())) ?? [];
    topics = found.map(describeTopic);
  }
  context.stdout.write(options.json === true ? `${JSON.stringify({ topics })}\n` : describe(topics));
}

function describe(topics: readonly TopicReport[]): string {
  if (topics.length === 0) return 'The log holds no topics yet.\n';
  const rows = topics.map((topic) => [
    topic.topic,
    topic.kind,
    formatCount(topic.records),
    formatBytes(topic.bytes),
    String(topic.newest_seq),
    topic.compacted_seq === 0 ? '-' : String(topic.compacted_seq),
  ]);
  return `${table(['topic', 'kind', 'records', 'size', 'newest seq', 'compacted to'], rows).join('\n')}\n`;
}
