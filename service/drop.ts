import type { Clock } from '../base/clock.ts';
import { TidemarkError } from '../base/errors.ts';
import type { Files } from '../base/files.ts';
import type { Config } from '../config/config.ts';
import { dropPostgres } from '../connectors/postgres/drop.ts';
import { DataDirectoryLock } from './lock.ts';
import { postgresTarget } from './source-plan.ts';

/**
 * Removes the slot and the publication that a source made. The service must not run (DATA_DIR_LOCKED): it would make both anew.
 * SOURCE_UNKNOWN when the file has no such source. Returns what was removed, in words.
 */
export async function dropSource(
  name: string,
  config: Config,
  deps: { clock: Clock; files: Files },
): Promise<string[]> {
  const source = config.sources.find((candidate) => candidate.name === name);
  if (!source) {
    throw new TidemarkError('SOURCE_UNKNOWN', `the file has no source '${name}'`, {
      hint: `Its sources: ${config.sources.map((candidate) => candidate.name).join(', ')}.`,
    });
  }
  // Nothing was made anywhere for it.
  if (source.type === 'ndjson') return [];
  const directory = config.dataDirectory;
  const lock = await DataDirectoryLock.acquire({
    directory,
    files: deps.files,
    command: 'drop',
    nowMs: deps.clock.now(),
  });
  try {
    return await dropPostgres(await postgresTarget(source));
  } finally {
    await lock.release();
  }
}
