import { createHash } from 'node:crypto';

/** Which columns a sink has: their names in the source, or `{ name in the sink: name in the source }`. All, by their own names, when absent. */
export type ColumnChoice = readonly string[] | Readonly<Record<string, string>>;

interface CommonOptions {
  /** Name of the sink in the configuration. */
  readonly name: string;
  /** Topic that it follows. */
  readonly from: string;
  /** Stream of the topic; the topic's first part when absent. */
  readonly stream?: string;
  /** Name of the source to show with positions; the stream's when absent. */
  readonly sourceName?: string;
  readonly columns?: ColumnChoice;
  /** `consistent`: nothing can be read before the topic equals its table. `eager`: rows can be read as they come. */
  readonly start: 'consistent' | 'eager';
  /** How numbers that a double cannot hold are written: as they are, or in quotes. */
  readonly numbers?: 'exact' | 'string';
}

export interface SqliteSinkOptions extends CommonOptions {
  readonly type: 'sqlite';
  /** Path of the database file. */
  readonly path: string;
  readonly table: string;
  /** Columns (by their names in the sink) of the full-text index; none when empty. */
  readonly search: readonly string[];
}

export interface NdjsonSinkOptions extends CommonOptions {
  readonly type: 'ndjson';
  /** Path of the file, or `-` for standard output. */
  readonly path: string;
}

export interface RedisSinkOptions extends CommonOptions {
  readonly type: 'redis';
  /** `redis://` or `rediss://` URL, with user, password and database. */
  readonly url: string;
  /**
   * What the keys are made of (model/key-template.ts): text, `{column}` for the value of a column of the row's key, by its name in the
   * sink, and `{*}` for the whole key. `orders:{*}` when the file does not say.
   */
  readonly key: string;
  /** `json`: a string with the row as JSON. `hash`: a field for each column. */
  readonly format: 'json' | 'hash';
  /** Milliseconds after which a row that was not written again expires; null for never. */
  readonly ttlMs: number | null;
  /** A write with more rows than this goes in parts, with `consistent: false` meanwhile. */
  readonly maxAtomicRows: number;
}

export interface SearchSinkOptions extends CommonOptions {
  readonly type: 'opensearch' | 'elasticsearch';
  /** `http://` or `https://` URL, with user and password. */
  readonly url: string;
  /** The alias that readers use. */
  readonly index: string;
  /** Mapping of fields (`properties`) that takes the place of the derived one, field by field; null for none. */
  readonly mapping: Readonly<Record<string, unknown>> | null;
  /** Settings of the index, over the defaults; null for none. */
  readonly settings: Readonly<Record<string, unknown>> | null;
  /** Column (by its name in the sink) whose value routes documents; null for none. */
  readonly routing: string | null;
  /** When searches see what was written: after every commit and before the sink's position moves, at most so often (milliseconds), or by the engine's own `refresh_interval`. */
  readonly refresh: 'commit' | 'engine' | number;
}

export interface HttpSinkOptions extends CommonOptions {
  readonly type: 'http';
  readonly url: string;
  /** Key of the HMAC-SHA256 signature; null for none. */
  readonly secret: string | null;
  /** Changes in one request at most. */
  readonly batch: number;
}

export type SinkOptions =
  | SqliteSinkOptions
  | NdjsonSinkOptions
  | RedisSinkOptions
  | SearchSinkOptions
  | HttpSinkOptions;

export function streamOf(options: SinkOptions): string {
  return options.stream ?? options.from.split('.', 1)[0] ?? options.from;
}

/** What changes when a sink must be built anew: everything that its rows depend on, and, where the target does not keep it, the place. */
export function fingerprintOf(options: SinkOptions): string {
  const columns =
    options.columns === undefined || Array.isArray(options.columns) ? options.columns : Object.entries(options.columns);
  const numbers = options.numbers === 'string' ? ['numbers'] : [];
  return createHash('sha256')
    .update(JSON.stringify([options.type, options.from, columns ?? null, ...specificOf(options), ...numbers]))
    .digest('hex')
    .slice(0, 16);
}

function specificOf(options: SinkOptions): readonly unknown[] {
  switch (options.type) {
    case 'sqlite':
      return [options.table, options.search];
    case 'ndjson':
      return [];
    case 'redis':
      return [options.key, options.format, options.ttlMs];
    case 'opensearch':
    case 'elasticsearch':
      return [options.index, options.mapping, options.settings, options.routing];
    default:
      return [withoutCredentials(options.url)];
  }
}

/** A new password is no reason to send everything again. */
function withoutCredentials(url: string): string {
  if (!URL.canParse(url)) return url;
  const plain = new URL(url);
  plain.username = '';
  plain.password = '';
  return plain.href;
}
