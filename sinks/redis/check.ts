import type { CheckResult } from '../../model/source.ts';
import type { RedisSinkOptions } from '../options.ts';

/** The preflights of the sinks on one Redis; `deployment` is the name in the file. Changes nothing that stays. */
export async function* checkRedis(
  members: readonly RedisSinkOptions[],
  deployment: string,
): AsyncGenerator<CheckResult> {
  for (const { name } of members) yield { level: 'ok', subject: `${name}: redis`, message: deployment };
}
