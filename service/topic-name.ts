import { TidemarkError } from '../base/errors.ts';
import type { Pipeline } from './pipeline.ts';

/**
 * The topic that a user means: its full name, or any unambiguous ending of it (`public.orders`, `orders`). TOPIC_UNKNOWN with the
 * names that there are.
 */
export function resolveTopic(known: readonly string[], name: string): string {
  if (known.includes(name)) return name;
  const matches = known.filter((topic) => topic.endsWith(`.${name}`));
  if (matches.length === 1 && matches[0] !== undefined) return matches[0];
  if (matches.length > 1) {
    throw new TidemarkError('TOPIC_UNKNOWN', `'${name}' may be any of ${matches.join(', ')}`, {
      hint: 'Write the whole name.',
    });
  }
  const shown = known.slice(0, 20).join(', ');
  throw new TidemarkError('TOPIC_UNKNOWN', `there is no topic '${name}'`, {
    hint: known.length === 0 ? 'The log holds no topics yet.' : `Topics: ${shown}${known.length > 20 ? ', …' : ''}.`,
  });
}

/** Topics that the log holds or that a source is reading. */
export async function knownTopics(pipeline: Pipeline): Promise<string[]> {
  const names = new Set((await pipeline.topics()).map(({ topic }) => topic));
  for (const source of pipeline.sources) for (const { topic } of source.rawStatus().snapshot.tables) names.add(topic);
  return [...names].toSorted();
}
