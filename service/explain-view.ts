import { TidemarkError } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import type { Log } from '../model/log.ts';
import type { Table } from '../model/table.ts';
import { explain } from '../views/plan/explain.ts';
import { loadSqlParser } from '../views/sql/bind.ts';
import { bindAll } from './bind-views.ts';
import { describeTables } from './describe-tables.ts';
import { newestTables } from './view-catalog.ts';

/**
 * The plan of a view while no service runs: over the tables as the log has them, and as the sources have them where the log holds
 * none yet. VIEW_UNKNOWN, VIEW_INVALID.
 */
export async function explainView(
  view: string,
  config: Config,
  withLog: (use: (log: Log) => Promise<Map<string, Table>>) => Promise<Map<string, Table> | null>,
): Promise<string> {
  const names = config.views.map(({ name }) => name);
  if (!names.includes(view)) {
    throw new TidemarkError('VIEW_UNKNOWN', `there is no view '${view}'`, {
      hint: names.length === 0 ? 'The file has no views.' : `Known views: ${names.join(', ')}.`,
    });
  }
  await loadSqlParser();
  const sources = config.sources.map(({ name }) => name);
  const logged = (await withLog(async (log) => newestTables(log, sources))) ?? new Map<string, Table>();
  let bound = bindAll(config.views, logged);
  if (bound.failures.has(view)) {
    const { byTopic } = await describeTables(config);
    bound = bindAll(config.views, new Map([...byTopic, ...logged]));
  }
  const failure = bound.failures.get(view);
  if (failure) throw failure;
  return explain(
    bound.views.filter(({ name }) => name === view),
    null,
  );
}
