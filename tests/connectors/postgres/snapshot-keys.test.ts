import { beforeAll, expect, it } from 'vitest';
import type { Chunk } from '../../../snapshot/port.ts';
import { describePostgres } from '../../servers/suite.ts';
import { afterReadTransaction, aroundReads } from './harness-parts.ts';
import { TestPipeline } from './harness.ts';

const rows = 300;

/** Key columns with the SQL of the i-th value of each. */
const keys: Record<string, readonly (readonly [string, string])[]> = {
  smallint: [['smallint', '(i - 150)']],
  bigint: [
    [
      'bigint',
      `CASE i WHEN 1 THEN -9223372036854775808 WHEN 2 THEN 9223372036854775807 ELSE (i - 150) * 30000000000000000 END`,
    ],
  ],
  oid: [['oid', 'i::bigint * 14000000']],
  numeric: [
    [
      'numeric',
      `CASE i WHEN 1 THEN 'NaN' WHEN 2 THEN 'infinity' WHEN 3 THEN '-infinity' ELSE ((i - 150) * 1.10::numeric(10, 2))::numeric END`,
    ],
  ],
  'numeric(20,4)': [['numeric(20,4)', 'i * 1234567890.0001 - 200000000000']],
  'double precision': [
    [
      'double precision',
      `CASE i WHEN 1 THEN 'NaN' WHEN 2 THEN 'infinity' WHEN 3 THEN '-infinity' WHEN 4 THEN 1e-308 ELSE (i - 150) / 3.0::float8 END`,
    ],
  ],
  real: [['real', `(i - 150) / 7.0::real`]],
  uuid: [['uuid', `md5(i::text)::uuid`]],
  date: [
    [
      'date',
      `CASE i WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity' WHEN 3 THEN '0044-03-15 BC' ELSE date '2020-01-01' + i END`,
    ],
  ],
  timestamp: [
    [
      'timestamp',
      `CASE i WHEN 1 THEN 'infinity' WHEN 2 THEN '4000-01-01 00:00:00.000001 BC' ELSE timestamp '2020-01-01' + i * interval '1 day 0.000001 s' END`,
    ],
  ],
  'timestamptz(3)': [['timestamp(3) with time zone', `timestamptz '2020-01-01 00:00+05:30' + i * interval '0.001 s'`]],
  interval: [['interval', `make_interval(months => i % 7, days => i, secs => i / 1000.0)`]],
  bytea: [['bytea', `decode(md5(i::text), 'hex') || '\\x00'`]],
  inet: [['inet', `('10.0.' || i % 250 || '.' || i % 200 || CASE WHEN i % 3 = 0 THEN '/24' ELSE '' END)::inet`]],
  'char(8)': [['character(8)', `chr(97 + i % 26) || CASE WHEN i % 2 = 0 THEN '' ELSE ' ' || i END || i`]],
  varchar: [['character varying(30)', `'Key ' || i`]],
  name: [['name', `'n' || i`]],
  'bit varying': [['bit varying', 'i::bit(12)::varbit']],
  boolean: [
    ['boolean', 'i % 2 = 0'],
    ['integer', 'i'],
  ],
  enum: [
    ['mood', `(array['sad', 'O''K', 'very "good"\\', 'ok'])[1 + i % 4]::mood`],
    ['integer', 'i'],
  ],
  domain: [['positive', 'i']],
  'integer[]': [['integer[]', 'array[i % 10, NULL, i]']],
  'text[]': [['text[]', `array['a,b', NULL, '"' || i, '\\']`]],
  composite: [['pair', `ROW(i, 'x "y" ' || i)::pair`]],
  int4range: [['int4range', 'int4range(i, i + 5)']],
  jsonb: [['jsonb', `jsonb_build_object('k', i, 'q', 'a"b')`]],
  'text, default collation': [['text', `$text$`]],
  'text "C"': [['text COLLATE "C"', `$text$`]],
  'text "en-x-icu"': [['text COLLATE "en-x-icu"', `$text$`]],
  'text of a collation that takes cases for equal': [['text COLLATE caseless', `$text$ || i`]],
  'two texts and a number': [
    ['text COLLATE "en-x-icu"', `(array['a', 'A', 'ä', ''])[1 + i % 4]`],
    ['text', `'it''s \\ ' || i % 5`],
    ['bigint', 'i'],
  ],
  'a number falling and a uuid': [
    ['integer', '-(i / 50)'],
    ['uuid', 'md5(i::text)::uuid'],
    ['timestamptz', `timestamptz '2020-01-01' + i * interval '1 h'`],
  ],
};

/** Every chunk that is read until the test's end. */
const collect = (): Chunk[] => {
  const chunks: Chunk[] = [];
  aroundReads(async (_request, read) => {
    const chunk = await read();
    chunks.push(chunk);
    return chunk;
  });
  return chunks;
};

/** Text that is hard on quoting: quotes, backslashes, control characters, COPY's own escapes, letters of every width. */
const hardText = `(array['plain', 'it''s', '"q"', '\\N', '\\.', E'\\\\x', E'tab\\t', E'line\\n', E'cr\\r\\n', E'\\b\\f\\v', 'é', 'e\u0301', 'ß', 'ſ', '日本', '🙂', ' ', '', 'A', 'a', '$1', '%', '{"a"}', E'\\u007f'])[1 + i % 24] || CASE WHEN i > 24 THEN i::text ELSE '' END`;

describePostgres('a table is read whole by its key of type', (database) => {
  beforeAll(async () => {
    await database.query(
      `CREATE TYPE mood AS ENUM ('very "good"\\', 'ok', 'sad', 'O''K'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
       CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
    );
  });

  it.each(Object.entries(keys))('%s', async (title, columns) => {
    const table = `Key "${title.replaceAll(/\W/g, '')}"`;
    const quoted = `"${table.replaceAll('"', '""')}"`;
    const names = columns.map((_, index) => `"k ${index}' \\ ""q"""`);
    await database.query(
      `CREATE TABLE ${quoted} (v text, ${columns.map(([type], index) => `${names[index]} ${type}`).join(', ')}, PRIMARY KEY (${names.join(', ')}));
       INSERT INTO ${quoted} SELECT 'row ' || i, ${columns.map(([, sql]) => sql.replace('$text$', hardText)).join(', ')} FROM generate_series(1, ${rows}) i;
       ANALYZE ${quoted}`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: [`public.${table}`],
      snapshot: { chunkRows: 20, parallel: 3 },
    });
    const chunks = collect();
    let changed = false;
    afterReadTransaction(5, async () => {
      await database.query(
        `DELETE FROM ${quoted} WHERE v LIKE 'row %7'; UPDATE ${quoted} SET v = v || '!' WHERE v LIKE 'row %3'`,
      );
      changed = true;
    });
    await pipeline.start();
    await pipeline.settled(`public.${table}`);
    expect(changed).toBe(true);
    expect(chunks.length).toBeGreaterThan(rows / 20 - 1);
    // No row twice: the ranges do not overlap.
    expect(chunks.reduce((sum, chunk) => sum + chunk.rows, 0)).toBeLessThanOrEqual(rows);
  });
});

describePostgres('a snapshot of', (database) => {
  it('an empty table is consistent at once, and of one row holds it', async () => {
    await database.query(
      `CREATE TABLE nothing (id int PRIMARY KEY, v text); CREATE TABLE single (id int PRIMARY KEY); INSERT INTO single VALUES (7)`,
    );
    const pipeline = await TestPipeline.started({
      url: database.url,
      tables: ['public.nothing', 'public.single'],
      snapshot: { chunkRows: 1 },
    });
    await pipeline.settled('public.nothing', 'public.single');
    await database.query(`INSERT INTO nothing VALUES (1, ''), (2, NULL); DELETE FROM single`);
    await pipeline.settled('public.nothing', 'public.single');
  });

  it('as many rows as chunks have ends after an empty chunk', async () => {
    await database.query(
      `CREATE TABLE exact (id int PRIMARY KEY); INSERT INTO exact SELECT generate_series(1, 30); ANALYZE exact`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.exact'],
      snapshot: { chunkRows: 10, parallel: 1 },
    });
    const chunks = collect();
    await pipeline.start();
    await pipeline.settled('public.exact');
    expect(chunks.map((chunk) => chunk.rows)).toEqual([10, 10, 10, 0]);
  });

  it('rows that are large cuts chunks short, and reads each row once', async () => {
    await database.query(
      `CREATE TABLE large (id int PRIMARY KEY, body text); ALTER TABLE large ALTER body SET STORAGE EXTERNAL;
       INSERT INTO large SELECT i, CASE WHEN i <= 20 THEN 'small' WHEN i = 24 THEN repeat('x', 12000000) ELSE repeat('y', 3000000) END FROM generate_series(1, 30) i`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.large'],
      snapshot: { chunkRows: 1000, parallel: 1 },
    });
    const chunks = collect();
    await pipeline.start();
    await pipeline.consistent();
    expect(chunks.length).toBeGreaterThan(4);
    const sizes = chunks.map((chunk) => chunk.batches.reduce((sum, { bytes }) => sum + bytes.length, 0));
    // A chunk ends with the row that takes it over 8 MiB.
    expect(Math.max(...sizes)).toBeLessThan(8 * 1024 * 1024 + 12_100_000);
    expect(chunks.reduce((sum, chunk) => sum + chunk.rows, 0)).toBe(30);
    const replayed = [...(await pipeline.replay('public.large')).values()];
    expect(new Map(replayed.map((row) => [row.get(1), row.get(2)?.length]))).toEqual(
      new Map(
        Array.from({ length: 30 }, (_, index) => [
          String(index + 1),
          index < 20 ? 5 : index === 23 ? 12_000_000 : 3_000_000,
        ]),
      ),
    );
  });
});
