import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Files } from '../base/files.ts';
import type { Config } from '../config/config.ts';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import type { Report } from '../model/events.ts';
import type { Log } from '../model/log.ts';

/** Opens the log of a deployment. Its data directory must be ours. */
export async function openLog(config: Config, deps: { clock: Clock; files: Files }, report?: Report): Promise<Log> {
  const { clock, files } = deps;
  const directory = join(config.dataDirectory, 'log');
  return openEmbeddedLog({ directory, files, clock, ...(report ? { report } : {}) });
}
