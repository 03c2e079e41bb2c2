import type { Config } from '../config/config.ts';
import type { Log } from '../model/log.ts';
import { DataDirectoryLock } from '../service/lock.ts';
import { openLog } from '../service/open-log.ts';
import type { CommandContext } from './context.ts';

/**
 * Gives `work` the log of a deployment that does not run, and closes it afterwards. Opening repairs what a crash left, so the
 * data directory must be ours: DATA_DIR_LOCKED when it is somebody else's. Null when there is no data directory yet.
 */
export async function withLog<T>(
  config: Config,
  context: CommandContext,
  command: string,
  work: (log: Log) => Promise<T>,
): Promise<T | null> {
  const { files, clock } = context;
  const directory = config.dataDirectory;
  if (!(await files.exists(directory))) return null;
  const lock = await DataDirectoryLock.acquire({ directory, files, command, nowMs: clock.now() });
  try {
    const log = await openLog(config, { files, clock });
    try {
      return await work(log);
    } finally {
      await log.close();
    }
  } finally {
    await lock.release();
  }
}
