import { TidemarkError, isTidemarkError } from '../base/errors.ts';
import type { Pipeline } from './pipeline.ts';
import { knownTopics, resolveTopic } from './topic-name.ts';

export interface SnapshotAnswer {
  readonly table: string;
  readonly source: string;
  readonly took_ms: number;
}

/** Reads a table again into the log; resolves when its last chunk is published. TABLE_UNKNOWN when no source has it. */
export async function snapshotTable(pipeline: Pipeline, name: string, where?: string): Promise<SnapshotAnswer> {
  const startedMs = pipeline.clock.monotonic();
  const topic = await topicOfTable(pipeline, name);
  const source = pipeline.sourceOfTopic(topic);
  await source.snapshot(topic, where);
  return { table: topic, source: source.name, took_ms: Math.round(pipeline.clock.monotonic() - startedMs) };
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
