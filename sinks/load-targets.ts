import type { SinkOptions } from './options.ts';
import type { RedisTarget } from './redis/redis-target.ts';
import type { SearchTarget } from './search/search-target.ts';

/** The targets that speak to servers, as far as somebody needs them: their clients take memory that an idle service has not. */
export interface TargetClasses {
  readonly redis?: typeof RedisTarget;
  readonly search?: typeof SearchTarget;
}

/** Loads what sinks of these kinds need, and nothing else. */
export async function loadTargets(sinks: readonly Pick<SinkOptions, 'type'>[]): Promise<TargetClasses> {
  const types = new Set(sinks.map(({ type }) => type));
  const redis = types.has('redis') && (await import('./redis/redis-target.ts')).RedisTarget;
  const search =
    (types.has('opensearch') || types.has('elasticsearch')) && (await import('./search/search-target.ts')).SearchTarget;
  return { ...(redis ? { redis } : {}), ...(search ? { search } : {}) };
}
