import type { ColumnType } from '../model/column-type.ts';
import type { SinkConfig } from './sink-config.ts';

/** The file as the program uses it: defaults filled in, paths absolute, durations in milliseconds. */
export interface Config {
  /** The file's absolute path. */
  readonly file: string;
  /** The deployment's name. */
  readonly name: string;
  readonly dataDirectory: string;
  /** At least one, in the file's order. */
  readonly sources: readonly SourceConfig[];
  readonly log: LogConfig;
  /** In the file's order. */
  readonly views: readonly ViewConfig[];
  readonly sinks: readonly SinkConfig[];
  readonly http: HttpConfig;
  readonly onError: 'dead_letter' | 'stop';
  /** Fractions of the disk under the data directory, 0 to 1, warn below stop. */
  readonly disk: { readonly warn: number; readonly stop: number };
  readonly logLevel: LogLevel;
}

export type SourceConfig = PostgresSourceConfig | NdjsonSourceConfig;
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export interface LogConfig {
  readonly type: 'embedded';
}

export interface PostgresSourceConfig {
  readonly type: 'postgres';
  readonly name: string;
  /** Holds the password: never to be shown except through `redactUrl`. */
  readonly url: string;
  readonly tables: readonly TableConfig[];
  readonly slot: string;
  readonly publication: string;
  readonly snapshot: {
    readonly mode: 'initial' | 'never' | 'when_needed';
    readonly chunkRows: number;
    readonly parallel: number;
  };
  readonly heartbeatMs: number;
  /** An LSN as PostgreSQL prints it; only with snapshot mode `never`. */
  readonly startAt: string | null;
  readonly tls: TlsConfig;
}

export interface NdjsonSourceConfig {
  readonly type: 'ndjson';
  readonly name: string;
  /** Absolute path, or `-` for standard input. */
  readonly path: string;
  /** At least one. */
  readonly tables: readonly NdjsonTableConfig[];
}

export interface NdjsonTableConfig {
  /** Sources without schemas of their own have this one. */
  readonly schema: 'public';
  readonly table: string;
  readonly isPattern: false;
  /** A stream where it has no key. */
  readonly kind: 'table' | 'stream';
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[];
  /** Names of columns; empty when none is declared. */
  readonly key: readonly string[];
}

/** One entry of `tables`: a table, or all tables that its patterns match. Where several entries match, the first counts. */
export interface TableConfig {
  /** Name or pattern (`*` any characters, `?` one) of the schema, unquoted. */
  readonly schema: string;
  /** Name or pattern of the table, unquoted. */
  readonly table: string;
  /** Whether `schema` or `table` is a pattern. A quoted name never is. */
  readonly isPattern: boolean;
  readonly kind: 'table' | 'stream';
  /** Column names; null for the primary key (or replica identity) of the table. */
  readonly key: readonly string[] | null;
  readonly exclude: readonly string[];
  readonly onSchemaChange: 'reread' | 'stop';
  /** SQL condition of the source, or null for all rows. */
  readonly where: string | null;
}

/** Absolute paths of PEM files. */
export interface TlsConfig {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

export interface ViewConfig {
  readonly name: string;
  readonly sql: string;
  /** Names of columns of the result; empty when none is declared. */
  readonly key: readonly string[];
  readonly state: 'disk' | 'memory';
  /**
   * `tidemark.yaml:14:8`, where a character of `sql` (counted in UTF-16) stands in the file, and where the view begins for null. Null where
   * that cannot be told, as behind a variable.
   */
  readonly placeOf?: (index: number | null) => string | null;
}

export interface HttpConfig {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly token: string | null;
}

export type Environment = Readonly<Record<string, string | undefined>>;
