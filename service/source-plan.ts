import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { TidemarkError, messageOf } from '../base/errors.ts';
import type { Config, PostgresSourceConfig, SourceConfig, TableConfig, TlsConfig } from '../config/config.ts';
import type { PostgresTarget, TableSelection, TlsFiles } from '../connectors/postgres/options.ts';
import { PostgresSource } from '../connectors/postgres/postgres-source.ts';
import type { Report } from '../model/events.ts';
import type { Log } from '../model/log.ts';
import { lsnOrder } from '../model/position.ts';
import { eventOrigin } from './event-origin.ts';
import type { ServiceDeps } from './service.ts';
import type { SourcePlan } from './source-unit.ts';

/** Turns one source of the file into what the service runs. */
export async function sourcePlan(
  source: SourceConfig,
  deps: ServiceDeps & { log: Log; report: Report; config: Config },
): Promise<SourcePlan> {
  if (source.type === 'ndjson') {
    // It brings the input functions of SQL's types, a few megabytes that a deployment of databases alone need not load.
    const { ndjsonPlan } = await import('./ndjson-plan.ts');
    return ndjsonPlan(source, deps);
  }
  const { log, clock, random, files, report, config } = deps;
  const target = await postgresTarget(source);
  const { snapshot, heartbeatMs, startAt } = source;
  const directory = join(config.dataDirectory, 'sources', source.name);
  const options = { ...target, snapshot, heartbeatMs, directory, log, clock, random, files, report };
  return {
    name: source.name,
    type: source.type,
    order: lsnOrder,
    origin: eventOrigin(source.name, config),
    build: () => new PostgresSource(startAt === null ? options : { ...options, startAt }),
  };
}

/** What is needed to talk to the source's server. CONFIG_INVALID when a PEM file cannot be read. */
export async function postgresTarget(source: PostgresSourceConfig): Promise<PostgresTarget> {
  const { name, url, slot, publication } = source;
  const tls = await readTls(name, source.tls);
  return { name, url, tls, slot, publication, tables: source.tables.map(selection) };
}

function selection(table: TableConfig): TableSelection {
  const { kind, exclude, onSchemaChange, where } = table;
  return {
    schema: table.schema,
    table: table.table,
    isPattern: table.isPattern,
    kind,
    key: table.key ?? [],
    exclude,
    onSchemaChange,
    where,
  };
}

async function readTls(source: string, tls: TlsConfig): Promise<TlsFiles> {
  const contents: { ca?: string; cert?: string; key?: string } = {};
  for (const name of ['ca', 'cert', 'key'] as const) {
    const path = tls[name];
    if (path === null) continue;
    try {
      contents[name] = await readFile(path, 'utf8');
    } catch (error) {
      throw new TidemarkError('CONFIG_INVALID', `tls.${name} of source ${source} cannot be read: ${messageOf(error)}`, {
        place: { source, file: path },
        cause: error,
      });
    }
  }
  return contents;
}
