import { TidemarkError, isTidemarkError } from '../base/errors.ts';
import type { Pipeline } from './pipeline.ts';
import type { SourceUnit } from './source-unit.ts';
import { knownTopics, resolveTopic } from './topic-name.ts';

/** A service that has just started may not have reached its database yet. */
const connectWaitMs = 10_000;

export interface SnapshotAnswer {
  readonly table: string;
  readonly source: string;
  readonly took_ms: number;
}

/** Reads a table again into the log; resolves when its last chunk is published. TABLE_UNKNOWN when no source has it. */
export async function snapshotTable(pipeline: Pipeline, name: string, where?: string): Promise<SnapshotAnswer> {
  const startedMs = pipeline.clock.monotonic();
  for (const source of pipeline.sources) await connected(pipeline, source, startedMs + connectWaitMs);
  const topic = await topicOfTable(pipeline, name);
  const source = pipeline.sourceOfTopic(topic);
  await source.snapshot(topic, where);
  return { table: topic, source: source.name, took_ms: Math.round(pipeline.clock.monotonic() - startedMs) };
}

async function connected(pipeline: Pipeline, source: SourceUnit, deadlineMs: number): Promise<void> {
  const isStopped = (): boolean => source.supervised.failure !== null || source.supervised.pausedFor !== null;
  while (!source.isConnected && !isStopped() && pipeline.clock.monotonic() < deadlineMs) {
    await Promise.race([pipeline.changed(), pipeline.clock.sleep(50)]);
  }
}

async function topicOfTable(pipeline: Pipeline, name: string): Promise<string> {
  try {
    return resolveTopic(await knownTopics(pipeline), name);
  } catch (error) {
    if (!isTidemarkError(error, 'TOPIC_UNKNOWN')) throw error;
    const hint = error.hint?.replace('Topics', 'Tables') ?? 'Name a table of `tables`.';
    throw new TidemarkError('TABLE_UNKNOWN', error.message.replace('topic', 'table'), { hint });
  }
}
