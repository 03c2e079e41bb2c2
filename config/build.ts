import { createHash } from 'node:crypto';
import { basename, dirname, resolve } from 'node:path';
import { present } from '../base/assert.ts';
import { parseColumnType } from '../model/column-type.ts';
import { formatLsn, parseLsn } from '../model/position.ts';
import type {
  Config,
  NdjsonSourceConfig,
  NdjsonTableConfig,
  PostgresSourceConfig,
  SourceConfig,
  TableConfig,
} from './config.ts';
import { buildSink } from './build-sink.ts';
import { parseDuration } from './duration.ts';
import type { FileContent } from './schema.ts';
import { parseName } from './table-name.ts';
import type { YamlTree } from './yaml-tree.ts';

type FileSource = FileContent['sources'][string];
type FilePostgres = Extract<FileSource, { type: 'postgres' }>;
type FileNdjson = Extract<FileSource, { type: 'ndjson' }>;
type FileTable = FilePostgres['tables'][number];

/** The checked content of `tree` as the program uses it. `file` is its absolute path. */
export function build(content: FileContent, file: string, tree: YamlTree): Config {
  const folder = dirname(file);
  return {
    file,
    name: content.name,
    dataDirectory: resolve(folder, content.data_dir),
    sources: Object.entries(content.sources).map(([name, source]) => buildSource(content.name, name, source, folder)),
    log: { type: content.log.type },
    views: Object.entries(content.views).map(([view, { sql, key, state }]) => ({
      name: view,
      sql,
      key: key ?? [],
      state,
      placeOf: (index) => {
        const path = ['views', view];
        const place = index === null ? tree.keyPlace(path) : tree.textPlace([...path, 'sql'], index);
        return place === null ? null : `${basename(file)}:${place.line}:${place.column}`;
      },
    })),
    sinks: Object.entries(content.sinks).map(([name, sink]) => buildSink(name, sink, folder)),
    http: { host: content.http.host, port: content.http.port, token: content.http.token ?? null },
    onError: content.on_error,
    disk: { warn: fraction(content.disk.warn), stop: fraction(content.disk.stop) },
    logLevel: content.log_level,
  };
}

/**
 * `tidemark_<deployment>_<source>` in the characters that PostgreSQL allows for a slot. Two names that would become the same,
 * or one that would be too long, are told apart by a hash.
 */
export function defaultSlot(deployment: string, source: string): string {
  const plain = `tidemark_${deployment}_${source}`;
  const allowed = plain.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_');
  return allowed.length <= 63
    ? allowed
    : `${allowed.slice(0, 54)}_${createHash('sha256').update(plain).digest('hex').slice(0, 8)}`;
}

function buildSource(deployment: string, name: string, source: FileSource, folder: string): SourceConfig {
  return source.type === 'ndjson' ? buildNdjson(name, source, folder) : buildPostgres(deployment, name, source, folder);
}

function buildNdjson(name: string, { path, tables }: FileNdjson, folder: string): NdjsonSourceConfig {
  return {
    type: 'ndjson',
    name,
    path: path === '-' ? '-' : resolve(folder, path),
    tables: Object.entries(tables).map(([table, { columns, key = [] }]): NdjsonTableConfig => ({
      schema: 'public',
      table,
      isPattern: false,
      kind: key.length > 0 ? 'table' : 'stream',
      columns: Object.entries(columns).map(([column, type]) => ({
        name: column,
        type: present(parseColumnType(type), "a column's type"),
      })),
      key,
    })),
  };
}

function buildPostgres(deployment: string, name: string, source: FilePostgres, folder: string): PostgresSourceConfig {
  const slot = source.slot ?? defaultSlot(deployment, name);
  const { ca, cert, key } = source.tls;
  const path = (text: string | undefined): string | null => (text === undefined ? null : resolve(folder, text));
  return {
    type: source.type,
    name,
    url: source.url,
    tables: source.tables.map(buildTable),
    slot,
    publication: source.publication ?? defaultSlot(deployment, name),
    snapshot: {
      mode: source.snapshot.mode,
      chunkRows: source.snapshot.chunk_rows,
      parallel: source.snapshot.parallel,
    },
    heartbeatMs: present(parseDuration(source.heartbeat), 'the heartbeat'),
    startAt: source.start_at === undefined ? null : formatLsn(parseLsn(source.start_at)),
    tls: { ca: path(ca), cert: path(cert), key: path(key) },
  };
}

function buildTable(table: FileTable): TableConfig {
  const entry = typeof table === 'string' ? null : table;
  const parts = present(parseName(typeof table === 'string' ? table : table.name), "a table's name");
  const schema = present(parts[0], "a table's schema");
  const own = present(parts[1], "a table's own name");
  return {
    schema: schema.text,
    table: own.text,
    isPattern: schema.isPattern || own.isPattern,
    kind: entry?.kind ?? 'table',
    key: entry?.key ?? null,
    exclude: entry?.exclude ?? [],
    onSchemaChange: entry?.on_schema_change ?? 'reread',
    where: entry?.where ?? null,
  };
}

function fraction(percentage: string): number {
  return Number(percentage.slice(0, -1)) / 100;
}
