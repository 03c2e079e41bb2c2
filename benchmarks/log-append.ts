import { join } from 'node:path';
import { present } from '../base/assert.ts';
import type { Figure, Measured } from './figure.ts';
import { faster, figure, Stopwatch } from './figure.ts';
import { commitsAt, fillLog, inFolder, openBenchLog, rawWrite, rowBytes, rowsPerCommit } from './log-load.ts';

/** Appends rows of 300 bytes, 1,000 a commit, all durable, against writing and syncing the same bytes. Best of three, in turn. */
export async function run(options: { scale: number }): Promise<Figure[]> {
  const commits = commitsAt(options.scale);
  const n = commits * rowsPerCommit;
  let reference = 0;
  let best: Measured | null = null;
  for (let round = 0; round < 3; round++) {
    await inFolder(async (directory) => {
      const seconds = await rawWrite(join(directory, 'raw'), n * rowBytes);
      reference = Math.max(reference, n / seconds);
    });
    const measured = await inFolder(async (directory) => {
      const log = await openBenchLog(directory);
      const writer = await log.writer('bench');
      const watch = new Stopwatch();
      await fillLog(writer, commits);
      const rate = watch.rate(n);
      await log.close();
      return rate;
    });
    best = faster(best, measured);
  }
  return [
    figure('log-append', 'rows/s', present(best, 'a round'), { name: 'raw write + fdatasync', value: reference }),
  ];
}
