import type { Client } from 'pg';
import { viewSinks, viewsSection } from './views.ts';

/** Tables of the crash run: one of every shape that a connector can get wrong. */
export const tables = [
  'items',
  'pairs',
  'docs',
  'fulls',
  'bulk',
  'savings',
  'checking',
  'journal',
  'counters',
] as const;
export type TableName = (typeof tables)[number];

export const keys: Readonly<Record<TableName, readonly string[]>> = {
  items: ['id'],
  pairs: ['kind', 'id'],
  docs: ['id'],
  fulls: ['id'],
  bulk: ['id'],
  savings: ['id'],
  checking: ['id'],
  journal: ['conn', 'n'],
  counters: ['conn'],
};

export const sourceName = 'shop';
export const connections = 4;
export const accounts = 60;

/** 6,400 characters that do not repeat within a page; their column is EXTERNAL, so they are neither compressed nor kept in the row. */
export const bigText = `(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 200))`;

/**
 * `savings` and `checking` together always sum to 0. Every transaction of the load writes one line of `journal`, numbered 1, 2, 3, …
 * for each connection, and its number into `counters`: whoever sees whole transactions only finds no gap and both the same.
 */
export const definitions = `
  CREATE TABLE items (id int PRIMARY KEY, name text, qty int, price numeric(12,2));
  CREATE TABLE pairs (kind text, id bigint, value text, at timestamptz, PRIMARY KEY (kind, id));
  CREATE TABLE docs (id uuid PRIMARY KEY, title text, body text, extra text, n int);
  ALTER TABLE docs ALTER body SET STORAGE EXTERNAL, ALTER extra SET STORAGE EXTERNAL;
  CREATE TABLE fulls (id int PRIMARY KEY, a text, b text);
  ALTER TABLE fulls REPLICA IDENTITY FULL, ALTER b SET STORAGE EXTERNAL;
  CREATE TABLE bulk (id bigint PRIMARY KEY, batch int, v text);
  CREATE TABLE savings (id int PRIMARY KEY, balance bigint NOT NULL);
  CREATE TABLE checking (id int PRIMARY KEY, balance bigint NOT NULL);
  CREATE TABLE journal (conn int, n bigint, what text, PRIMARY KEY (conn, n));
  CREATE TABLE counters (conn int PRIMARY KEY, n bigint NOT NULL);
`;

const statements = `
  ${definitions}
  CREATE PUBLICATION oracle FOR TABLE journal;
  INSERT INTO items SELECT g, 'item ' || g, g % 7, g * 1.25 FROM generate_series(1, 4000) g;
  INSERT INTO pairs SELECT 'k' || g % 5, g, md5(g::text), '2024-01-01 00:00:00.123456+00'::timestamptz + g * interval '1 minute'
    FROM generate_series(1, 4000) g;
  INSERT INTO docs SELECT md5(g::text)::uuid, 'doc ' || g, repeat(md5(g::text), 200), repeat(md5((-g)::text), 200), 0
    FROM generate_series(1, 150) g;
  INSERT INTO fulls SELECT g, 'a' || g, CASE WHEN g % 20 = 0 THEN repeat(md5(g::text), 200) END FROM generate_series(1, 2000) g;
  INSERT INTO bulk SELECT g, 0, md5(g::text) FROM generate_series(1, 20000) g;
  INSERT INTO savings SELECT g, g * 10 FROM generate_series(1, ${accounts}) g;
  INSERT INTO checking SELECT g, -g * 10 FROM generate_series(1, ${accounts}) g;
  INSERT INTO counters SELECT g, 0 FROM generate_series(1, ${connections}) g;
`;

/** Makes and fills the tables, and the second slot, which is the oracle for the order of commits. */
export async function createTables(client: Client): Promise<void> {
  await client.query(statements);
  await client.query(`SELECT pg_create_logical_replication_slot('oracle', 'pgoutput')`);
}

/** The deployment's file: every table into one SQLite file, the journal also into a feed of lines; and views over them. */
export function configuration(url: string): string {
  const sqlite = tables.map(
    (table) => `  ${table}: { type: sqlite, path: ./sink.db, from: ${sourceName}.public.${table}, table: ${table} }`,
  );
  return `version: 1
name: crash
data_dir: ./data
sources:
  ${sourceName}:
    type: postgres
    url: ${url}
    tables: [${tables.map((table) => `public.${table}`).join(', ')}]
    snapshot: { mode: initial, chunk_rows: 700, parallel: 2 }
    heartbeat: 1s
${viewsSection()}sinks:
${sqlite.join('\n')}
${viewSinks()}
  feed: { type: ndjson, path: ./feed.ndjson, from: ${sourceName}.public.journal }
http: { host: 127.0.0.1, port: 0 }
disk: { warn: 99%, stop: 100% }
log_level: debug
`;
}
