import type { FoundTable } from '../service/discover.ts';
import { formatCount } from '../telemetry/units.ts';

/** What is known of the database that a starter file is written for. */
export interface StarterSource {
  /** Name of the deployment and of its source. */
  readonly name: string;
  /** The URL with `PASSWORD` in place of its password. */
  readonly shownUrl: string;
  readonly tables: readonly FoundTable[];
}

const nameWidth = 42;

/** A commented file that passes `check --offline`. It holds no password: the URL comes from the environment. */
export function starterFile(source: StarterSource): string {
  const { name, shownUrl, tables } = source;
  const variable = variableOf(name);
  const keyed = tables.filter((table) => table.hasKey);
  const lines = [
    '# The configuration of tidemark. `tidemark check` looks at it, `tidemark schema` describes every key.',
    'version: 1',
    comment(`name: ${name}`, 'names the deployment; slot and publication are named after it'),
    comment('data_dir: ./data', "the log and the sinks' cursors; relative to this file"),
    '',
    'sources:',
    comment(`  ${name}:`, "the first part of its tables' names"),
    '    type: postgres',
    '    # The URL stays out of this file, for its password. Before the start:',
    `    #   export ${variable}='${shownUrl}'`,
    `    url: \${${variable}}`,
    '    tables:',
    ...tableLines(tables),
    '    # snapshot: { mode: initial, chunk_rows: 20000, parallel: 2 }',
    '    # heartbeat: 10s',
    '',
    ...sinkLines(name, keyed[0]),
    '',
    'http: { host: 127.0.0.1, port: 7070 }',
    '',
  ];
  return lines.join('\n');
}

/** The environment variable that holds the URL of a source: `SHOP_DATABASE_URL`. */
export function variableOf(name: string): string {
  return `${name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_')}_DATABASE_URL`;
}

/** A name as the file wants it, made from a database's. */
export function sourceNameOf(database: string): string {
  const name = database.replaceAll(/[^A-Za-z0-9_-]+/g, '_').slice(0, 40);
  return /^[A-Za-z]/.test(name) && name !== 'views' ? name : `db_${name}`.replace(/_+$/, '');
}

function tableLines(tables: readonly FoundTable[]): string[] {
  const keyed = tables.filter((table) => table.hasKey);
  const others = tables.filter((table) => !table.hasKey);
  const lines = keyed.map((table) =>
    comment(`      - ${tableName(table)}`, `about ${formatCount(table.rowsEstimated)} rows`),
  );
  if (keyed.length === 0) lines.push(comment("      - 'public.*'", 'a pattern takes in tables that come later, too'));
  if (others.length > 0) {
    lines.push('      # Without a primary key or a replica identity, only inserts can be followed:');
    for (const table of others) lines.push(`      # - { name: ${tableName(table)}, kind: stream }`);
  }
  return lines;
}

function sinkLines(source: string, table: FoundTable | undefined): string[] {
  const schema = table?.schema ?? 'public';
  const name = table?.name ?? 'customers';
  const search = (table?.columns ?? []).filter((column) => column.isText).map((column) => quoted(column.name));
  const from = `${source}.${part(schema)}.${part(name)}`;
  const lines = [
    'sinks:',
    comment('  search:', 'a local database that always equals one commit of the source'),
    '    type: sqlite',
    '    path: ./data/search.db',
    `    from: ${quoted(from)}`,
    `    table: ${quoted(name)}`,
    search.length === 0
      ? '    # search: [name]           # columns for full-text search'
      : comment(`    search: [${search.slice(0, 8).join(', ')}]`, 'columns for full-text search'),
    '  # changes:                    # every change as a line of JSON',
    '  #   type: ndjson',
    '  #   path: ./changes.ndjson',
    `  #   from: ${quoted(from)}`,
    '  # cache:                      # a key of Redis for each row',
    '  #   type: redis',
    '  #   url: ${REDIS_URL}         # redis://user:password@host:6379/0',
    `  #   from: ${quoted(from)}`,
    '  # index:                      # a document for each row; or elasticsearch',
    '  #   type: opensearch',
    '  #   url: ${SEARCH_URL}        # http://user:password@host:9200',
    `  #   from: ${quoted(from)}`,
  ];
  // Without a table to name there is nothing that `check` would accept.
  return table ? lines : lines.slice(0, 7).map((line) => `# ${line.replace('  # search:', '  search:')}`);
}

function tableName({ schema, name }: FoundTable): string {
  return quoted(`${part(schema)}.${part(name)}`);
}

/** One part of a name, quoted as SQL does when it holds what would mean something else. */
function part(name: string): string {
  return /^[A-Za-z0-9_$-]+$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** A YAML scalar. */
function quoted(text: string): string {
  return /^[A-Za-z][A-Za-z0-9_.$-]*$/.test(text) ? text : `'${text.replaceAll("'", "''")}'`;
}

function comment(text: string, about: string): string {
  return `${text.padEnd(nameWidth)}  # ${about}`;
}
