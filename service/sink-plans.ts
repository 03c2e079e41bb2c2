import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { SinkConfig } from '../config/sink-config.ts';
import type { Report } from '../model/events.ts';
import type { Log } from '../model/log.ts';
import { createSinkGroups } from '../sinks/create-groups.ts';
import { loadTargets } from '../sinks/load-targets.ts';
import { forgetOthers } from '../sinks/cursors.ts';
import type { ServiceDeps } from './service.ts';
import { sinkOptions } from './sink-options.ts';
import type { SinkGroupPlan } from './sink-unit.ts';
import { loggedTables } from './view-catalog.ts';
import { viewsStream } from '../views/port.ts';

/** Turns the sinks of the file into the groups that the service runs. */
export async function sinkPlans(
  sinks: readonly SinkConfig[],
  deps: Pick<ServiceDeps, 'clock' | 'files' | 'random' | 'output'> & { log: Log; report: Report; config: Config },
): Promise<SinkGroupPlan[]> {
  const { log, clock, files, random, report, output, config } = deps;
  const directory = join(config.dataDirectory, 'sinks');
  await files.makeDirectory(directory);
  const logged = loggedTables(log).map(({ source, schema, name }) => [source, schema, name] as const);
  const options = sinks.map((sink) => sinkOptions(sink, config, logged));
  const groups = createSinkGroups(
    options,
    {
      name: config.name,
      log,
      clock,
      files,
      random,
      report,
      output,
      directory,
      onError: config.onError,
    },
    await loadTargets(options),
  );
  forgetOthers(
    log,
    groups.flatMap((group) => group.sinks),
  );
  return groups.map((group) => ({
    sinks: group.sinks.map(({ name, stream, topic }) => ({
      name,
      topic,
      fedBy: stream === viewsStream ? { view: topic.slice(viewsStream.length + 1) } : { source: stream },
    })),
    group,
    run: async (signal) => group.run(signal),
    status: () => group.status(),
    onProgress: (listener) => group.onProgress(listener),
  }));
}
