/** One sink of the file as the program uses it: defaults filled in, paths absolute, durations in milliseconds. */
export type SinkConfig = SqliteSinkConfig | NdjsonSinkConfig | RedisSinkConfig | SearchSinkConfig | HttpSinkConfig;

interface SinkConfigBase {
  readonly name: string;
  /** A view's name, or a table's or an unambiguous suffix of it: `shop.public.orders`, `public.orders`, `orders`. */
  readonly from: string;
  /** The columns to write, in order, with their names there; null for all. */
  readonly columns: readonly { readonly column: string; readonly as: string }[] | null;
  /** Whether the first thing written is the whole consistent start, or chunk by chunk as it comes. */
  readonly start: 'consistent' | 'eager';
}

/** How numbers that a double cannot hold stand in JSON: as they are, or in quotes. */
type Numbers = 'exact' | 'string';

export interface SqliteSinkConfig extends SinkConfigBase {
  readonly type: 'sqlite';
  /** Absolute path of the database file. */
  readonly path: string;
  readonly table: string;
  /** Names, in the sink's table, of the columns that full-text search covers. */
  readonly search: readonly string[];
}

export interface NdjsonSinkConfig extends SinkConfigBase {
  readonly type: 'ndjson';
  /** Absolute path, or `-` for standard output. */
  readonly path: string;
  readonly numbers: Numbers;
}

/** `url` of this and the following may hold a password: never to be shown except through `redactUrl`. */
export interface RedisSinkConfig extends SinkConfigBase {
  readonly type: 'redis';
  readonly url: string;
  /** A template (model/key-template.ts). */
  readonly key: string;
  readonly format: 'json' | 'hash';
  /** Null for rows that never expire. */
  readonly ttlMs: number | null;
  readonly maxAtomicRows: number;
  readonly numbers: Numbers;
}

export interface SearchSinkConfig extends SinkConfigBase {
  readonly type: 'opensearch' | 'elasticsearch';
  readonly url: string;
  readonly index: string;
  /** By field, in place of what the column's type gives; null for none. */
  readonly mapping: Readonly<Record<string, unknown>> | null;
  readonly settings: Readonly<Record<string, unknown>> | null;
  /** A column by its name in the sink; null for none. */
  readonly routing: string | null;
  /** A number of milliseconds: at most so often. */
  readonly refresh: 'commit' | 'engine' | number;
  readonly numbers: Numbers;
}

export interface HttpSinkConfig extends SinkConfigBase {
  readonly type: 'http';
  readonly url: string;
  /** Never to be shown; null for requests without a signature. */
  readonly secret: string | null;
  readonly batch: number;
  readonly numbers: Numbers;
}
