import { join } from 'node:path';
import { present } from '../base/assert.ts';
import { ChangeCursor } from '../model/change.ts';
import type { Log } from '../model/log.ts';
import type { Figure, Measured } from './figure.ts';
import { faster, figure, Stopwatch } from './figure.ts';
import { commitsAt, fillLog, inFolder, openBenchLog, rawWrite, rowBytes, rowsPerCommit } from './log-load.ts';

/** Reads them back and steps through every record, against writing and syncing the same bytes. Best of three, in turn. */
export async function run(options: { scale: number }): Promise<Figure[]> {
  const commits = commitsAt(options.scale);
  const n = commits * rowsPerCommit;
  return inFolder(async (directory) => {
    const log = await openBenchLog(directory);
    const writer = await log.writer('bench');
    await fillLog(writer, commits);
    let reference = 0;
    let best: Measured | null = null;
    for (let round = 0; round < 3; round++) {
      reference = Math.max(reference, n / (await rawWrite(join(directory, 'raw'), n * rowBytes)));
      const watch = new Stopwatch();
      await readLog(log, n);
      best = faster(best, watch.rate(n));
    }
    await log.close();
    return [
      figure('log-read', 'rows/s', present(best, 'a round'), { name: 'raw write + fdatasync', value: reference }),
    ];
  });
}

async function readLog(log: Log, expected: number): Promise<void> {
  const reader = log.read('bench', { fromSeq: 0, follow: false });
  const cursor = new ChangeCursor();
  let records = 0;
  for (let batch = await reader.next(); batch; batch = await reader.next()) {
    for (const { changes } of batch.pieces) {
      cursor.reset(changes.bytes);
      while (cursor.next()) records++;
    }
  }
  await reader.close();
  if (records !== expected) throw new Error(`${records} records read of ${expected}`);
}
