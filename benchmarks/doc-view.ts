import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { systemFiles } from '../base/files.ts';
import { TidemarkError } from '../base/errors.ts';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import type { Log } from '../model/log.ts';
import { bindAll, relationsOf } from '../service/bind-views.ts';
import { newestTables } from '../service/view-catalog.ts';
import { viewsStream } from '../views/port.ts';
import type { Stage } from '../views/port.ts';
import { loadSqlParser } from '../views/sql/bind.ts';
import { createStage } from '../views/stage/stage.ts';
import { counts, DocumentLoad, documentSql, fillSql, standardLines } from './doc-view-load.ts';
import type { Figure } from './figure.ts';
import { figure, Stopwatch } from './figure.ts';
import { inFolder } from './log-load.ts';
import { onPostgres } from './pg-load.ts';

const updates = 200_000;

/**
 * Documents nested two levels (customer ← orders ← lines) by a view with state on disk: from a log that holds the tables to the
 * published result, against the same SQL in PostgreSQL (CREATE TABLE AS); then changes of single lines, each a commit, from the log to
 * the published documents.
 */
export async function run(options: { scale: number }): Promise<Figure[]> {
  await loadSqlParser();
  const lineCount = Math.max(2_000, Math.round(standardLines * options.scale));
  const updateCount = Math.max(1_000, Math.round(updates * options.scale));
  const reference = await onPostgres(async ({ client }) => {
    await client.query(fillSql(lineCount));
    const start = performance.now();
    await client.query(`CREATE TABLE docs AS ${documentSql}`);
    return lineCount / ((performance.now() - start) / 1000);
  });
  return inFolder(async (directory) => {
    const log = await openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock });
    const load = new DocumentLoad(await log.writer('bench'));
    await load.fill(lineCount);
    const stage = stageOf(documentSql, ['id'], log, join(directory, 'views'));
    const stopping = new AbortController();
    const filling = new Stopwatch();
    const running = stage.run(stopping.signal);
    try {
      await until(running, log, () => stage.status()[0]?.consistent === true);
      const filled = filling.rate(lineCount);
      if (stage.status()[0]?.rows !== counts(lineCount).customers) {
        throw new TidemarkError('INTERNAL', `the view has ${stage.status()[0]?.rows} documents`);
      }
      // The stage follows while the commits are written, which is a small part of the time.
      const updating = new Stopwatch();
      const last = await load.update(updateCount, lineCount);
      await until(running, log, () => log.frontier(viewsStream).position === last);
      const updated = updating.rate(updateCount);
      return [
        figure('doc-view-bootstrap', 'lines/s', filled, { name: 'PostgreSQL, CREATE TABLE AS', value: reference }),
        figure('doc-view-updates', 'lines/s', updated, null),
      ];
    } finally {
      stopping.abort();
      await running;
      await log.close();
    }
  });
}

/** A stage with one view over the load's tables, its state on disk. */
export function stageOf(sql: string, key: readonly string[], log: Log, directory: string): Stage {
  const tables = newestTables(log, ['bench']);
  const { views, failures } = bindAll([{ name: 'docs', sql, key: [...key], state: 'disk' }], tables);
  for (const error of failures.values()) throw error;
  return createStage({
    views,
    relations: relationsOf(views, tables),
    log,
    formatPosition: (positions) => positions['bench'] ?? '',
    directory,
    state: 'disk',
    files: systemFiles,
    clock: systemClock,
    report: () => undefined,
  });
}

/** Waits for the condition, and then until something has been published. */
export async function until(running: Promise<void>, log: Log, condition: () => boolean): Promise<void> {
  let failure: unknown = null;
  running.catch((error: unknown) => (failure = error));
  while (!condition()) {
    if (failure !== null) throw failure;
    await systemClock.sleep(5);
  }
  // What was published counts once it is safe.
  while (log.frontier(viewsStream).seq === 0) await systemClock.sleep(5);
}
