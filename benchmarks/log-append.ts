import { join } from 'node:path';
import type { Figure } from './figure.ts';
import { figure, Stopwatch } from './figure.ts';
import { commitsAt, fillLog, inFolder, openBenchLog, rawWrite, rowBytes, rowsPerCommit } from './log-load.ts';

/** Appends rows of 300 bytes, 1,000 a commit, all durable, against writing and syncing the same bytes. Best of three, in turn. */
export async function run(options: { scale: number }): Promise<Figure[]> {
  const commits = commitsAt(options.scale);
  const n = commits * rowsPerCommit;
  let reference = 0;
  let value = 0;
  let cpuMicros = 0;
  for (let round = 0; round < 3; round++) {
    await inFolder(async (directory) => {
      const seconds = await rawWrite(join(directory, 'raw'), n * rowBytes);
      reference = Math.max(reference, n / seconds);
    });
    await inFolder(async (directory) => {
      const log = await openBenchLog(directory);
      const writer = await log.writer('bench');
      const watch = new Stopwatch();
      await fillLog(writer, commits);
      if (n / watch.seconds > value) {
        value = n / watch.seconds;
        ({ cpuMicros } = watch);
      }
      await log.close();
    });
  }
  return [figure('log-append', 'rows/s', { value, cpuMicros, n }, { name: 'raw write + fdatasync', value: reference })];
}
