import { access, constants, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, systemCodeOf } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import type { NdjsonSinkConfig, SinkConfig, SqliteSinkConfig } from '../config/sink-config.ts';
import { parseKeyTemplate } from '../model/key-template.ts';
import type { CheckResult } from '../model/source.ts';
import type { Table } from '../model/table.ts';
import type { BoundView } from '../views/plan/plan.ts';
import { topicOfSink } from './sink-topics.ts';
import { asTidemarkError } from './supervise.ts';

type FileSink = SqliteSinkConfig | NdjsonSinkConfig;

/** The preflights of a sink that need no database. */
export async function* checkSink(sink: SinkConfig, config: Config): AsyncGenerator<CheckResult> {
  const subject = `${sink.name}: from`;
  try {
    const { topic } = topicOfSink(sink, config, []);
    yield { level: 'ok', subject, message: `${sink.from} is ${topic}` };
  } catch (error) {
    const { message, hint } = asTidemarkError(error);
    yield { level: 'error', subject, message, ...(hint === undefined ? {} : { fix: hint }) };
  }
  if ((sink.type !== 'sqlite' && sink.type !== 'ndjson') || sink.path === '-') return;
  const result = (await checkFile(sink)) ?? (await checkFolder(sink, config));
  if (result !== null) yield result;
}

/** What stands at the path already; null when nothing does, or what can be written to. */
async function checkFile(sink: FileSink): Promise<CheckResult | null> {
  const found = await stat(sink.path).catch(() => null);
  if (found === null) return null;
  const problem = (message: string, fix: string): CheckResult => {
    return { level: 'error', subject: `${sink.name}: path`, message: `${sink.path} ${message}`, fix };
  };
  if (found.isDirectory()) return problem('is a folder', 'Give the sink the `path` of a file.');
  if (!found.isFile()) return problem('is no plain file', 'Give the sink another `path`.');
  try {
    await access(sink.path, constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    return problem(
      `cannot be written to: ${messageOf(error)}`,
      'Give this user the right to write there, or give the sink another `path`.',
    );
  }
}

async function checkFolder(sink: FileSink, config: Config): Promise<CheckResult | null> {
  const subject = `${sink.name}: path`;
  const folder = dirname(sink.path);
  try {
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    // The data directory is made by the service; other folders are somebody else's to make.
    if (systemCodeOf(error) === 'ENOENT' && `${folder}/`.startsWith(`${config.dataDirectory}/`)) return null;
    const message = `${folder} cannot be written to: ${messageOf(error)}`;
    return { level: 'error', subject, message, fix: `Make the folder: mkdir -p ${folder}` };
  }
  const own = await ownFolder(folder, config);
  if (own === null) return { level: 'ok', subject, message: `${folder} can be written to` };
  const message = `${folder} leads to ${own}, which belongs to the service`;
  return { level: 'error', subject, message, fix: 'Give the sink another `path`.' };
}

/** The folder of the service that a link leads to; the file's own words were judged when it was read. */
async function ownFolder(folder: string, config: Config): Promise<string | null> {
  const real = await realpath(folder).catch(() => folder);
  const data = await realpath(config.dataDirectory).catch(() => config.dataDirectory);
  const own = ['log', 'sinks', 'sources', 'views'].map((name) => `${data}/${name}`);
  return own.find((path) => `${real}/`.startsWith(`${path}/`)) ?? null;
}

/** A table or view as its sinks see it. */
export interface SinkSource {
  readonly name: string;
  readonly columns: readonly string[];
  /** Names of the key's columns. */
  readonly key: readonly string[];
}

export function shapeOf({ schema, name, columns, key }: Table): SinkSource {
  const names = columns.map((column) => column.name);
  return { name: `${schema}.${name}`, columns: names, key: key.map((position) => names[position] ?? '') };
}

export function shapeOfView({ name, columns, key }: BoundView): SinkSource {
  const names = columns.map((column) => column.name);
  return { name: `view ${name}`, columns: names, key: key.map((position) => names[position] ?? '') };
}

/** Whether the columns that a sink names are those of its table or view, and hold the key. */
export function* checkSinkColumns(
  sink: SinkConfig,
  config: Config,
  sources: ReadonlyMap<string, SinkSource>,
): Generator<CheckResult> {
  const source = sources.get(topicOf(sink, config));
  if (source === undefined) return;
  const has = new Set(source.columns);
  const named = (sink.columns ?? []).map(({ column }) => column);
  const searched = sink.type === 'sqlite' && sink.columns === null ? sink.search : [];
  for (const [key, names] of [
    ['columns', named],
    ['search', searched],
  ] as const) {
    const missing = names.filter((name) => !has.has(name));
    if (missing.length === 0) continue;
    yield {
      level: 'error',
      subject: `${sink.name}: ${key}`,
      message: `${source.name} has no column ${missing.join(', ')}`,
      fix: `It has ${[...has].join(', ')}.`,
    };
  }
  yield* checkNamed(sink, source);
  const unkeyed = source.key.filter((name) => sink.columns !== null && !named.includes(name));
  if (unkeyed.length > 0) {
    const fix = `Add ${unkeyed.join(', ')} to the sink's columns.`;
    yield { level: 'error', subject: `${sink.name}: columns`, message: `the key of ${source.name} is left out`, fix };
  }
  const isView = source.name.startsWith('view ');
  if (source.key.length === 0 && (needsKey.has(sink.type) || (isView && sink.type === 'sqlite'))) {
    const fix = isView
      ? "Declare the view's `key`: the columns that tell its rows apart."
      : "Give the table a primary key, or name the columns that tell its rows apart in the table's `key`.";
    yield { level: 'error', subject: `${sink.name}: from`, message: `${source.name} has no key`, fix };
  }
}

/** What holds one row under a name made of the key. */
const needsKey: ReadonlySet<string> = new Set(['redis', 'opensearch', 'elasticsearch']);

/** Columns that a sink names by their names in it: those of a Redis key's template, and what routes documents. */
function* checkNamed(sink: SinkConfig, source: SinkSource): Generator<CheckResult> {
  const nameOf = (column: string): string => sink.columns?.find((one) => one.column === column)?.as ?? column;
  const columns = sink.columns?.map(({ as }) => as) ?? source.columns;
  if (sink.type === 'opensearch' || sink.type === 'elasticsearch') {
    const fields = [...(sink.routing === null ? [] : [sink.routing]), ...Object.keys(sink.mapping ?? {})];
    const unknown = fields.filter((field) => !columns.includes(field));
    if (unknown.length === 0) return;
    const message = `the sink has no column ${unknown.join(', ')}`;
    yield { level: 'error', subject: `${sink.name}: index`, message, fix: `It has ${columns.join(', ')}.` };
  }
  if (sink.type !== 'redis' || source.key.length === 0) return;
  const key = source.key.map(nameOf);
  const used = (parseKeyTemplate(sink.key) ?? []).flatMap((part) => ('column' in part ? [part.column] : []));
  const whole = used.includes(null);
  const others = used.filter((column) => column !== null && !key.includes(column));
  const missing = whole ? [] : key.filter((column) => !used.includes(column));
  if (others.length === 0 && missing.length === 0) return;
  const what =
    others.length > 0
      ? `${others.join(', ')} is no part of the key of ${source.name}, and deletes tell the key alone`
      : `rows that differ in ${missing.join(', ')} alone would share a key`;
  const fix = `Write ${key.map((column) => `{${column}}`).join(':')}, or {*} for the whole key.`;
  yield { level: 'error', subject: `${sink.name}: key`, message: what, fix };
}

function topicOf(sink: SinkConfig, config: Config): string {
  try {
    return topicOfSink(sink, config, []).topic;
  } catch {
    // Told already.
    return '';
  }
}
