import * as z from 'zod';
import { parseKeyTemplate } from '../model/key-template.ts';
import { durationForm, parseDuration } from './duration.ts';
import { columnNames, text } from './forms.ts';
import { isIndexName } from './index-name.ts';
import { parseName } from './table-name.ts';

/** The grammar of `sinks`: one kind each. What sinks have to do with each other is in cross-checks.ts. */
const from = text
  .refine((value) => parseName(value) !== null, {
    error: 'a table is named like orders, public.orders or shop.public.orders',
  })
  .describe('View, or table, to take rows from: `shop.public.orders`, or as much of its end as is unambiguous.');

const columns = z
  .union([columnNames.min(1, 'name at least one column, or leave the key out'), z.record(text, text)])
  .optional()
  .describe(
    "Columns to write, all when absent: a list, or a mapping from the sink's name to the table's: `{ id: id, title: name }`.",
  );

const start = z
  .enum(['consistent', 'eager'])
  .default('consistent')
  .describe('`consistent`: begin when the first snapshot is complete. `eager`: write its chunks as they come.');

const numbers = z
  .enum(['exact', 'string'])
  .default('exact')
  .describe(
    '`exact`: numbers in JSON have all their digits. `string`: those that a double cannot hold are written in quotes, for readers that would round them.',
  );

/** What the engine is given as it is written. */
const anything = z.unknown();

/** A year of milliseconds fits every server's and every timer's arithmetic. */
const ttlMsMax = 366 * 24 * 3_600_000;

const ttl = z
  .string()
  .regex(durationForm, 'a duration is a whole number and a unit: 10s, 5m, 24h')
  .refine((value) => isBetween(parseDuration(value), 1_000, ttlMsMax), {
    error: "'ttl' is from 1s to 8784h (a year); write 24h",
  });

const refreshMsMax = 3_600_000;

const refresh = z
  .string()
  .refine(
    (value) => value === 'commit' || value === 'engine' || isBetween(parseDuration(value) ?? -1, 100, refreshMsMax),
    { error: "'refresh' is commit, engine, or a duration from 100ms to 1h; write 1s" },
  );

const sqliteSink = z.strictObject({
  type: z.literal('sqlite').describe('A table of an SQLite database.'),
  path: text.describe('The database file; several sinks may share one.'),
  from,
  table: text.optional().describe('Table to write. Default: the last part of `from`.'),
  search: columnNames.default([]).describe('Columns (by their name in the sink) to index for full-text search (FTS5).'),
  columns,
  start,
});

const ndjsonSink = z.strictObject({
  type: z.literal('ndjson').describe('One JSON object a line.'),
  path: text.describe('The file, or - for standard output.'),
  from,
  numbers,
  columns,
  start,
});

const redisSink = z.strictObject({
  type: z.literal('redis').describe('Keys of a Redis or Valkey server.'),
  url: z
    .string()
    .refine((value) => isUrl(value, ['redis:', 'rediss:']) && isRedisPath(value), {
      error:
        'this is no URL of Redis; write redis://user:password@host:6379/0 (rediss:// for TLS), with special characters percent-encoded',
    })
    .describe('`redis://` or `rediss://` (TLS), with user, password and number of the database.'),
  from,
  key: text
    .refine((value) => parseKeyTemplate(value) !== null, {
      error: 'braces enclose the name of a column, as in customer:{id}; write {{ and }} for braces themselves',
    })
    .optional()
    .describe(
      "What the keys are made of: `{column}` stands for a value of the row's key, `{*}` for all of them. Default: the last part of `from`, then the key: `orders:{*}`.",
    ),
  format: z
    .enum(['json', 'hash'])
    .default('json')
    .describe('`json`: a string with the row as JSON. `hash`: a hash with a field for each column.'),
  ttl: ttl.optional().describe('Rows that were not written for so long expire. Default: never.'),
  max_atomic_rows: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .describe(
      'Rows that are written in one atomic step at most; a larger transaction goes in parts, and the cursor key says `consistent: false` meanwhile.',
    ),
  numbers,
  columns,
  start,
});

function searchSink<Type extends 'opensearch' | 'elasticsearch'>(type: Type, about: string) {
  return z.strictObject({
    type: z.literal(type).describe(about),
    url: z
      .string()
      .refine((value) => isUrl(value, ['http:', 'https:']), {
        error: 'this is no URL of a search engine; write http://user:password@host:9200',
      })
      .describe('`http://` or `https://`, with user and password.'),
    from,
    index: z
      .string()
      .refine(isIndexName, {
        error:
          'an index is named in small letters, without spaces and \\ / * ? " < > | , # :, not beginning with - _ + or .; write orders',
      })
      .optional()
      .describe('Alias that readers use; indexes are named after it. Default: the last part of `from`.'),
    mapping: z
      .record(text, z.record(z.string(), anything))
      .optional()
      .describe(
        "Mapping of fields, each in place of the one derived from its column's type: `{ name: { type: text } }`.",
      ),
    settings: z
      .record(text, anything)
      .optional()
      .describe('Settings of the index, over the defaults: `{ number_of_replicas: 1 }`.'),
    routing: text.optional().describe('Column (by its name in the sink) whose value routes documents to shards.'),
    refresh: refresh
      .default('1s')
      .describe(
        "When searches see what was written. A duration: whole commits, at most so often. `commit`: each commit, before the sink's position moves. `engine`: by the index's own `refresh_interval`, which may show half a commit.",
      ),
    numbers,
    columns,
    start,
  });
}

const httpSink = z.strictObject({
  type: z.literal('http').describe('Requests to a web server.'),
  url: z
    .string()
    .refine((value) => isUrl(value, ['http:', 'https:']), {
      error: 'this is no URL of a web server; write http://host:8080/path',
    })
    .describe('Where batches of changes are sent by POST.'),
  from,
  secret: text
    .refine(
      (value) =>
        !value.startsWith('whsec_') || /^whsec_(?:[A-Za-z0-9+/]{4}){3,}(?:[A-Za-z0-9+/]{2,3}=?=?)?$/.test(value),
      {
        error: 'what follows whsec_ is no key in Base64; take the secret as it was given, whole',
      },
    )
    .optional()
    .describe(
      'Key of the HMAC-SHA256 that signs each request; what begins with `whsec_` is Base64 of the key. Default: none.',
    ),
  batch: z.int().min(1).max(100_000).default(500).describe('Changes in one request at most.'),
  numbers,
  columns,
  start,
});

export const sinkSchema = z.discriminatedUnion('type', [
  sqliteSink,
  ndjsonSink,
  redisSink,
  searchSink('opensearch', 'An index of OpenSearch 2 or 3.'),
  searchSink('elasticsearch', 'An index of Elasticsearch 7 to 9.'),
  httpSink,
]);

function isUrl(value: string, protocols: readonly string[]): boolean {
  if (!URL.canParse(value) || value.includes('%00')) return false;
  const { protocol, hostname } = new URL(value);
  return protocols.includes(protocol) && hostname !== '';
}

/** The path of a Redis URL is empty or the number of a database. */
function isRedisPath(value: string): boolean {
  return /^\/?([0-9]{1,4})?$/.test(new URL(value).pathname);
}

/** What has not the form of a duration has been told already. */
function isBetween(value: number | null, least: number, most: number): boolean {
  return value === null || (value >= least && value <= most);
}
