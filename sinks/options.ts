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

export type SinkOptions = SqliteSinkOptions | NdjsonSinkOptions;

export function streamOf(options: SinkOptions): string {
  return options.stream ?? options.from.split('.', 1)[0] ?? options.from;
}

/** What changes when a sink must be built anew: everything that its rows depend on. */
export function fingerprintOf(options: SinkOptions): string {
  const columns =
    options.columns === undefined || Array.isArray(options.columns) ? options.columns : Object.entries(options.columns);
  const specific = options.type === 'sqlite' ? [options.table, options.search] : [];
  return createHash('sha256')
    .update(JSON.stringify([options.type, options.from, columns ?? null, ...specific]))
    .digest('hex')
    .slice(0, 16);
}
