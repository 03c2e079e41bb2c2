import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { figure } from './figure.ts';
import type { Figure } from './figure.ts';
import { insertRows, makeTable, onPostgres } from './pg-load.ts';
import { ServiceProcess } from './service-process.ts';
import type { Memory } from './process-sampler.ts';

/** How long the process rests before its idle memory is looked at, and how long that is looked at, at most. */
const restMs = 2_000;

/**
 * The memory of `./tidemark run` (to a SQLite file) while one transaction, and then while one table of 10,000,000 rows × scale passes
 * through, against the same process with nothing to do: its high-water mark as the kernel keeps it, and of anonymous memory the highest
 * of samples 20 ms apart.
 */
export async function run(options: { scale: number }): Promise<Figure[]> {
  const rows = Math.max(1_000, Math.round(options.scale * 10_000_000));
  return onPostgres(async ({ url, client, directory }) => {
    await makeTable(client, 'streamed', 0);
    // The first start after a change of the sources compiles them, and holds the compiler ever after.
    await (
      await ServiceProcess.start(join(directory, 'streamed'), { name: 'streamed', url, tables: ['streamed'] })
    ).stop();
    const idling = await ServiceProcess.start(join(directory, 'streamed'), {
      name: 'streamed',
      url,
      tables: ['streamed'],
    });
    await idling.caughtUp('streamed');
    await systemClock.sleep(Math.min(restMs, rows / 50));
    idling.takePeak();
    await systemClock.sleep(Math.min(restMs, rows / 50));
    const idle = idling.takePeak();
    const cpuBefore = idling.cpuMicros;
    await insertRows(client, 'streamed', 1, rows);
    await idling.caughtUp('streamed');
    const transaction = figures('memory-transaction', idling.takePeak(), idle, idling.cpuMicros - cpuBefore, rows);
    await idling.stop();

    await client.query('TRUNCATE streamed');
    await makeTable(client, 'copied', rows);
    const copying = await ServiceProcess.start(join(directory, 'copied'), { name: 'copied', url, tables: ['copied'] });
    await copying.caughtUp('copied');
    const snapshot = figures('memory-snapshot', copying.takePeak(), idle, copying.cpuMicros, rows);
    await copying.stop();
    return [...transaction, ...snapshot];
  });
}

function figures(name: string, peak: Memory, idle: Memory, cpuMicros: number, n: number): Figure[] {
  const one = (suffix: string, what: keyof Memory, reference: string): Figure =>
    figure(
      `${name}${suffix}`,
      'MB',
      { value: peak[what] / 1e6, cpuMicros, n, rssBytes: peak.rss },
      { name: reference, value: idle[what] / 1e6 },
    );
  return [one('', 'rss', 'idle'), one('-anonymous', 'anonymous', 'idle, anonymous')];
}
