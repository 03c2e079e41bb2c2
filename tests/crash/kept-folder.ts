import { mkdtempSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeDirectory, watchOver } from '../servers/process.ts';

interface FolderRun<Result> {
  run(): Promise<Result>;
  /** Ends what it started, whatever became of it. */
  end(): Promise<void>;
}

/** Runs in a new temporary folder, which is left for inspection when `keeps` says so of the result, or of a failure (null). */
export async function inKeptFolder<Result>(
  prefix: string,
  runIn: (directory: string) => FolderRun<Result>,
  keeps: (result: Result | null) => boolean,
  say: (line: string) => void,
): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), prefix));
  const watch = watchOver(directory);
  const run = runIn(directory);
  let result: Result | null = null;
  try {
    result = await run.run();
    return result;
  } finally {
    await run.end();
    if (keeps(result)) {
      renameSync(directory, `${directory}-kept`);
      say(`left for inspection: ${directory}-kept`);
    }
    removeDirectory(directory);
    watch.release();
  }
}
