import { join } from 'node:path';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import { systemClock } from '../base/clock.ts';
import { systemFiles } from '../base/files.ts';
import { TidemarkError } from '../base/errors.ts';
import { loadSqlParser } from '../views/sql/bind.ts';
import { DocumentLoad } from './doc-view-load.ts';
import { stageOf, until } from './doc-view.ts';
import type { Figure } from './figure.ts';
import { figure, Stopwatch } from './figure.ts';
import { inFolder } from './log-load.ts';
import { ProcessSampler } from './process-sampler.ts';

/** Lines of the standard load, each of which is joined to its order. */
const standardRows = 10_000_000;
const updates = 20_000;

const joinSql = `
  SELECT l.order_id, l.line_no, l.sku, l.qty, l.price, o.customer_id, o.status
  FROM lines l JOIN orders o ON o.id = l.order_id`;

/**
 * The anonymous memory of a process that makes a view of 10,000,000 joined rows × scale from its log, with state on disk, publishes it
 * and follows changes of single lines: the highest of samples 20 ms apart, beside what the process holds before it begins.
 */
export async function run(options: { scale: number }): Promise<Figure[]> {
  await loadSqlParser();
  const rows = Math.max(2_000, Math.round(standardRows * options.scale));
  return inFolder(async (directory) => {
    const log = await openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock });
    const load = new DocumentLoad(await log.writer('bench'));
    await load.fill(rows);
    const sampler = new ProcessSampler(process.pid, 20);
    const before = sampler.takePeak();
    const stage = stageOf(joinSql, ['order_id', 'line_no'], log, join(directory, 'views'));
    const stopping = new AbortController();
    const watch = new Stopwatch();
    const running = stage.run(stopping.signal);
    try {
      await until(running, log, () => stage.status()[0]?.consistent === true);
      if (stage.status()[0]?.rows !== rows) {
        throw new TidemarkError('INTERNAL', `the view has ${stage.status()[0]?.rows} rows`);
      }
      const { cpuMicros } = watch.rate(rows);
      const making = sampler.takePeak();
      const last = await load.update(Math.min(updates, rows), rows);
      await until(running, log, () => log.frontier('views').position === last);
      const following = sampler.takePeak();
      const of = (name: string, { anonymous, rss }: typeof before): Figure =>
        figure(
          name,
          'MB',
          { value: anonymous / 1e6, cpuMicros, n: rows, rssBytes: rss },
          { name: 'before', value: before.anonymous / 1e6 },
        );
      return [of('view-memory', making), of('view-memory-updates', following)];
    } finally {
      sampler.stop();
      stopping.abort();
      await running;
      await log.close();
    }
  });
}
