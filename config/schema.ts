import * as z from 'zod';
import { parseColumnType } from '../model/column-type.ts';
import { parseLsn } from '../model/position.ts';
import { durationForm, parseDuration } from './duration.ts';
import { columnNames, text } from './forms.ts';
import { sinkSchema } from './sink-schema.ts';
import { parseName } from './table-name.ts';

/**
 * The file's grammar: the keys, their values, defaults and descriptions. What the JSON Schema, the documentation's table and
 * the check of a file have in common comes from here. Conditions between several keys are in cross-checks.ts.
 */
const name = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9_-]{0,62}$/,
    'a name begins with a letter and holds letters, digits, _ and - only, 63 at most',
  );

/** More often would be a burden for the server, and later no heartbeat. */
const heartbeatMs = { least: 100, most: 24 * 3600 * 1000 };

const heartbeat = z
  .string()
  .regex(durationForm, 'a duration is a whole number and a unit: 250ms, 10s, 5m or 1h')
  .refine((value) => isBetween(parseDuration(value), heartbeatMs), {
    error: "'heartbeat' is from 100ms to 24h; write 10s",
  });

const percentage = z.string().regex(/^(100|[1-9]?[0-9])%$/, 'a share of the disk is a whole percentage: 80%');

const url = z.string().refine(isPostgresUrl, {
  error:
    'this is no PostgreSQL URL; write postgres://user:password@host:5432/database, with special characters in user and password percent-encoded',
});

const tableName = z.string().refine(isTableName, {
  error: 'a table is named by its schema and itself: public.orders, \'public.order_*\' or public."Order Lines"',
});

const tableEntry = z.union([
  tableName,
  z.strictObject({
    name: tableName.describe('Schema and table, each a name or a pattern with * and ?.'),
    kind: z
      .enum(['table', 'stream'])
      .default('table')
      .describe(
        '`table`: rows are inserted, changed and deleted. `stream`: rows are only ever inserted; no key is needed.',
      ),
    key: columnNames
      .min(1, 'name at least one column, or leave the key out')
      .optional()
      .describe('Columns that identify a row. The primary key, or else the replica identity, when absent.'),
    exclude: columnNames
      .default([])
      .describe('Columns that are left out of the log, and so of topics and sinks. Snapshots do not read them.'),
    on_schema_change: z
      .enum(['reread', 'stop'])
      .default('reread')
      .describe(
        'What to do after a change of the table that alters stored rows without telling: read the table again in the background, or stop with an error.',
      ),
    where: text.optional().describe('SQL condition that rows must meet.'),
  }),
]);

const tls = z.strictObject({
  ca: text.optional().describe("PEM file with the authorities to trust instead of the system's."),
  cert: text.optional().describe('PEM file with the certificate to present.'),
  key: text.optional().describe('PEM file with the private key of that certificate.'),
});

const snapshot = z.strictObject({
  mode: z
    .enum(['initial', 'never', 'when_needed'])
    .default('initial')
    .describe(
      '`initial`: the first start reads every table. `never`: only changes from the first start on (or from `start_at`). `when_needed`: as initial, and again whenever changes were lost with the slot.',
    ),
  chunk_rows: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(20_000)
    .describe('Rows of a table that are read and published together.'),
  parallel: z.int().min(1).max(32).default(2).describe('Connections that read tables at the same time.'),
});

const identifier = z
  .string()
  .regex(/^[^\0"]{1,63}$/, 'a name in PostgreSQL has 1 to 63 bytes and no quotes')
  .refine((value) => Buffer.byteLength(value) <= 63, { error: 'a name in PostgreSQL has 1 to 63 bytes and no quotes' });

const postgresSource = z.strictObject({
  type: z.literal('postgres').describe('PostgreSQL 13 or newer.'),
  url: url.describe('Connection URL of the server itself, not of a pooler.'),
  tables: z
    .array(tableEntry)
    .min(1, 'name at least one table')
    .describe('Tables to follow; the first entry that matches a table counts.'),
  slot: z
    .string()
    .regex(/^[a-z0-9_]{1,63}$/, 'a slot is named with small letters, digits and _, 63 at most')
    .optional()
    .describe('Replication slot; made when it is not there. Default: `tidemark_<name>_<source>`.'),
  publication: identifier
    .optional()
    .describe(
      'Publication; made and kept in step with `tables` when privileges allow. Default: `tidemark_<name>_<source>`.',
    ),
  snapshot: snapshot.prefault({}).describe('How tables are read at first.'),
  heartbeat: heartbeat.default('10s').describe("How often an idle database's slot is moved on."),
  start_at: z
    .string()
    .refine(isLsn, {
      error: 'this is no PostgreSQL position; write it as pg_current_wal_insert_lsn() prints it: 16/B374D848',
    })
    .optional()
    .describe('Position (LSN) to begin at, with `snapshot: { mode: never }` only.'),
  tls: tls.prefault({}).describe("TLS files. Whether TLS is used, and what is verified, says the URL's `sslmode`."),
});

const ndjsonTable = z.strictObject({
  columns: z
    .record(
      text,
      z.string().refine((value) => parseColumnType(value) !== null, {
        error: 'this is no type of SQL that values can be read into; write bigint, text, numeric(12,2), timestamptz …',
      }),
    )
    .refine((columns) => Object.keys(columns).length > 0, { error: 'name at least one column' })
    .describe('Members of the line (or of its `row`) with their types in SQL: `{ id: bigint, at: timestamptz }`.'),
  key: columnNames
    .min(1, 'name at least one column, or leave the key out')
    .optional()
    .describe(
      'Columns that identify a row: a later line takes the place of an earlier one. Without it lines are only ever added.',
    ),
});

const ndjsonSource = z.strictObject({
  type: z.literal('ndjson').describe('One JSON object a line, each line a transaction.'),
  path: text.describe('The file, which is followed as it grows, or - for standard input.'),
  tables: z
    .record(
      z
        .string()
        .regex(
          /^[^\s."*?\0]{1,63}$/,
          'a table of lines is named without dots, quotes, spaces, * and ?, by 63 characters at most',
        ),
      ndjsonTable,
    )
    .refine((tables) => Object.keys(tables).length > 0, { error: 'name at least one table' })
    .describe('One table: a line is a row of it. Several: a line is `{"table": …, "row": {…}, "op": "c"|"u"|"d"}`.'),
});

const view = z.strictObject({
  key: columnNames
    .min(1, 'name at least one column, or leave the key out')
    .optional()
    .describe(
      'Columns of the result that tell its rows apart; checked. Sinks that hold one row a key need it. Default: what the query makes certain (its GROUP BY, or the keys of its tables).',
    ),
  sql: text.describe('One SELECT over tables and other views, in the SQL of PostgreSQL (see docs/sql.md).'),
  state: z
    .enum(['disk', 'memory'])
    .default('disk')
    .describe(
      'Where what is needed to keep the view up to date is held: on disk (LMDB), or in memory and made anew from the log at every start. The same for all views of a file.',
    ),
});

const http = z.strictObject({
  host: text.default('127.0.0.1').describe('Address to listen on.'),
  port: z.int().min(0).max(65_535).default(7070).describe('Port to listen on; 0 takes any free one.'),
  token: z
    .string()
    .refine((value) => /^[\x21-\x7e]+$/.test(value), {
      error: 'a token holds letters, digits and signs of ASCII and no spaces, as it travels in a header',
    })
    .optional()
    .describe('Bearer token that every request but health needs. Required when `host` is not a loopback address.'),
});

export const fileSchema = z.strictObject({
  version: z.literal(1).describe("Version of the file's format."),
  name: name.describe('Names the deployment; slot and publication are named after it.'),
  data_dir: text.default('./data').describe('Folder of the log and the cursors. One running process at a time.'),
  sources: z
    .record(name, z.discriminatedUnion('type', [postgresSource, ndjsonSource]))
    .describe("Databases and files to follow, by name; the name is the first part of its tables' names.")
    .refine((sources) => Object.keys(sources).length > 0, { error: 'name at least one source' }),
  log: z
    .strictObject({ type: z.literal('embedded').default('embedded').describe('Segment files under `data_dir`.') })
    .prefault({})
    .describe('Where changes are kept.'),
  views: z
    .record(name, view)
    .default({})
    .describe('Queries over the tables whose results are kept up to date, by name; sinks take rows from them.'),
  sinks: z.record(name, sinkSchema).default({}).describe('What is kept in step with the tables, by name.'),
  http: http.prefault({}).describe('Status, health, metrics and the API.'),
  on_error: z
    .enum(['dead_letter', 'stop'])
    .default('dead_letter')
    .describe('What to do with a row that a sink refuses: set it aside and go on, or stop the sink.'),
  disk: z
    .strictObject({
      warn: percentage.default('80%').describe('Fill level of the disk under `data_dir` at which to warn.'),
      stop: percentage.default('95%').describe('Fill level at which the sources stop, before the disk is full.'),
    })
    .prefault({})
    .describe('Watermarks of the disk.'),
  log_level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('Least severity of what is logged.'),
});

export type FileContent = z.infer<typeof fileSchema>;

function isPostgresUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  if (/%00/.test(value)) return false;
  const { protocol, hostname, searchParams } = new URL(value);
  return (protocol === 'postgres:' || protocol === 'postgresql:') && (hostname !== '' || searchParams.has('host'));
}

function isTableName(value: string): boolean {
  return parseName(value)?.length === 2 && !value.includes('\0');
}

function isBetween(value: number | null, { least, most }: { least: number; most: number }): boolean {
  return value === null || (value >= least && value <= most);
}

function isLsn(value: string): boolean {
  try {
    parseLsn(value);
    return true;
  } catch {
    return false;
  }
}
