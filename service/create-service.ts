import type { Config, SourceConfig } from '../config/config.ts';
import type { SinkConfig } from '../config/sink-config.ts';
import type { Report } from '../model/events.ts';
import type { Log } from '../model/log.ts';
import { openLog } from './open-log.ts';
import type { PipelinePlan } from './pipeline.ts';
import { viewsStream } from '../views/port.ts';
import { Service } from './service.ts';
import type { ServiceDeps } from './service.ts';
import { sinkPlans } from './sink-plans.ts';
import { sourcePlan } from './source-plan.ts';

/** Starts the deployment that a configuration describes. What fails before it runs is thrown, with nothing left behind. */
export async function createService(config: Config, deps: ServiceDeps): Promise<Service> {
  const { http, disk } = config;
  return Service.start(
    {
      dataDirectory: config.dataDirectory,
      disk: { warnPercent: disk.warn * 100, stopPercent: disk.stop * 100 },
      http: { host: http.host, port: http.port, token: http.token ?? undefined },
      plan: async (report) => planOf(config, deps, report),
    },
    deps,
  );
}

async function planOf(config: Config, deps: ServiceDeps, report: Report): Promise<PipelinePlan> {
  const log = await openLog(config, deps, report);
  try {
    const sources = await Promise.all(
      config.sources.map(async (source: SourceConfig) => sourcePlan(source, { ...deps, log, report, config })),
    );
    const sinks: readonly SinkConfig[] = config.sinks;
    const views = await viewsPlan(config, deps, log, report);
    return { name: config.name, log, sources, views, sinks: await sinkPlans(sinks, { ...deps, log, report, config }) };
  } catch (error) {
    await log.close();
    throw error;
  }
}

async function viewsPlan(config: Config, deps: ServiceDeps, log: Log, report: Report): Promise<PipelinePlan['views']> {
  if (config.views.length === 0) {
    // The log would keep deletes for views that have left the file.
    for (const stream of log.streams()) log.registerCursor(stream, viewsStream, null);
    return null;
  }
  const { clock, files } = deps;
  const sources = config.sources.map(({ name }) => name);
  const plan = { views: config.views, sources, log, dataDirectory: config.dataDirectory, files, clock, report };
  // Parser and operators are loaded by those who have views: they take 20 MB.
  const { ViewsUnit } = await import('./views-unit.ts');
  return (tablesAreKnown) => new ViewsUnit(plan, tablesAreKnown);
}
