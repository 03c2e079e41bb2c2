import { TidemarkError } from '../../base/errors.ts';
import type { RedisSinkOptions } from '../options.ts';
import { couldBegin, templateProblem, templatesOverlap } from './key-form.ts';

/** CONFIG_INVALID when keys of sinks on one database could not be told apart, from each other's or from the program's own. */
export function refuseTemplates(members: readonly RedisSinkOptions[]): void {
  for (const [index, { name, key }] of members.entries()) {
    const problem = templateProblem(key);
    if (problem !== null) throw invalid(name, `\`key: "${key}"\` of sink '${name}': ${problem}`);
    if (couldBegin(key, 'tidemark:')) {
      throw invalid(
        name,
        `\`key: "${key}"\` of sink '${name}' could give keys that begin with 'tidemark:', which are the program's own; begin it with a text, as in customer:{id}`,
      );
    }
    for (const other of members.slice(0, index)) {
      if (!templatesOverlap(key, other.key)) continue;
      throw invalid(
        name,
        `Sinks '${other.name}' and '${name}' could write the same key, by "${other.key}" and "${key}"; let them begin differently`,
      );
    }
  }
}

function invalid(sink: string, message: string): TidemarkError {
  return new TidemarkError('CONFIG_INVALID', message, {
    hint: 'Correct `key` of the sink, then start again.',
    place: { sink },
  });
}
