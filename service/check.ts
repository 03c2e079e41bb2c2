import { createServer } from 'node:net';
import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, systemCodeOf } from '../base/errors.ts';
import type { Files } from '../base/files.ts';
import type { Config } from '../config/config.ts';
import { checkNdjson } from '../connectors/ndjson/check.ts';
import { checkPostgres } from '../connectors/postgres/check.ts';
import type { CheckResult } from '../model/source.ts';
import { viewTopic } from '../views/port.ts';
import { checkSinkServers } from './check-servers.ts';
import { checkSink, checkSinkColumns, shapeOf, shapeOfView } from './check-sink.ts';
import { checkViewTexts, checkViews, problem } from './check-views.ts';
import { describeTables } from './describe-tables.ts';
import { lockOwner } from './lock.ts';
import { ndjsonTarget } from './ndjson-plan.ts';
import { postgresTarget } from './source-plan.ts';

/** Every preflight of a deployment whose file has been read, one result each, as they become known. */
export async function* checkDeployment(
  config: Config,
  options: { files: Files; offline: boolean },
): AsyncGenerator<CheckResult> {
  const { files, offline } = options;
  yield { level: 'ok', subject: 'file', message: `${config.file} is valid` };
  const owner = await lockOwner(files, config.dataDirectory).catch(() => null);
  yield* checkDataDirectory(config, files);
  yield owner
    ? {
        level: 'ok',
        subject: 'data_dir: owner',
        message: `a service runs on it: process ${owner.pid}, since ${owner.startedAt}`,
      }
    : { level: 'ok', subject: 'data_dir: owner', message: 'nobody runs on it' };
  if (!owner) yield await checkAddress(config);
  for (const sink of config.sinks) yield* checkSink(sink, config);
  if (offline) {
    yield* checkViewTexts(config.views);
    return;
  }
  for (const source of config.sources) {
    try {
      if (source.type === 'ndjson') yield* checkNdjson(ndjsonTarget(source, files));
      else yield* checkPostgres(await postgresTarget(source));
    } catch (error) {
      yield problem(source.name, error);
    }
  }
  yield* checkSinkServers(config);
  const tables = await describeTables(config);
  const bound = yield* checkViews(config.views, tables);
  const shapes = new Map([...tables.byTopic.values()].map((table) => [table.topic, shapeOf(table)]));
  for (const view of bound) shapes.set(viewTopic(view.name), shapeOfView(view));
  for (const sink of config.sinks) yield* checkSinkColumns(sink, config, shapes);
}

async function* checkDataDirectory(config: Config, files: Files): AsyncGenerator<CheckResult> {
  const subject = 'data_dir';
  const existing = await nearestExisting(config.dataDirectory, files);
  try {
    await access(existing, constants.W_OK | constants.X_OK);
  } catch (error) {
    const message = `${existing} cannot be written to: ${messageOf(error)}`;
    yield {
      level: 'error',
      subject,
      message,
      fix: 'Give this user the right to write there, or set another data_dir.',
    };
    return;
  }
  yield { level: 'ok', subject, message: `${config.dataDirectory} can be written to` };
  const space = await files.space(existing).catch(() => null);
  if (!space || space.totalBytes === 0) return;
  const used = 1 - space.freeBytes / space.totalBytes;
  const message = `${(used * 100).toFixed(0)} % of the disk is used`;
  const level = used >= config.disk.stop ? 'error' : used >= config.disk.warn ? 'warning' : 'ok';
  const fix = { fix: 'Make room, or set data_dir on another disk: at `disk: { stop }` the sources pause.' };
  yield { level, subject: 'data_dir: disk', message, ...(level === 'ok' ? {} : fix) };
}

/** The path itself, or the nearest folder above it that is there. */
async function nearestExisting(path: string, files: Files): Promise<string> {
  let at = path;
  while (!(await files.exists(at)) && dirname(at) !== at) at = dirname(at);
  return at;
}

async function checkAddress({ http }: Config): Promise<CheckResult> {
  const subject = 'http';
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: http.host, port: http.port }, resolve);
    });
    return { level: 'ok', subject, message: `${http.host}:${http.port} is free` };
  } catch (error) {
    const why = systemCodeOf(error) === 'EADDRINUSE' ? 'is in use' : `cannot be listened on: ${messageOf(error)}`;
    const fix = 'Set another `http: { host, port }` in the file.';
    return { level: 'error', subject, message: `${http.host}:${http.port} ${why}`, fix };
  } finally {
    server.close();
  }
}
