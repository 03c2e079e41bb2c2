import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { postgres, postgresMajors, startPostgres } from '../servers/postgres.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { connectTo, valueOf } from './connection.ts';

/** The repository's top. */
export const root: string = join(import.meta.dirname, '../..');

const examples = join(root, 'docs/examples');

/** Customers of docs/examples/shop.sql. It has eight orders for every five of them. */
export const shopCustomers = 50_000;

/** docs/examples/tidemark.yaml, listening on another port. */
export function exampleConfiguration(httpPort: number): string {
  return readFileSync(join(examples, 'tidemark.yaml'), 'utf8').replace('port: 7070', `port: ${httpPort}`);
}

/** The SQL of a view of docs/examples/tidemark.yaml. */
export function exampleView(name: string): string {
  const file = parse(readFileSync(join(examples, 'tidemark.yaml'), 'utf8')) as {
    views: Record<string, { sql: string }>;
  };
  return file.views[name]?.sql ?? '';
}

/** Starts the newest PostgreSQL that can be had, empty. */
export async function startNewestPostgres(port?: number): Promise<PostgresServer> {
  const reasons: string[] = [];
  for (const major of postgresMajors.toReversed()) {
    const found = postgres.find({ major });
    if (found.found) return startPostgres({ major, ...(port === undefined ? {} : { port }) });
    reasons.push(found.reason);
  }
  throw new Error(`there is no PostgreSQL to start: run \`npm ci\`, or install one\n${reasons.join('\n')}`);
}

/**
 * Makes database `shop` and fills it with docs/examples/shop.sql, or with a smaller or larger one of its kind. Returns the number of
 * rows of the three tables that are followed.
 */
export async function makeShop(server: PostgresServer, customers: number = shopCustomers): Promise<number> {
  const admin = await connectTo(server.url());
  await admin.query('CREATE DATABASE shop');
  await admin.end();
  const shop = await connectTo(server.url('shop'));
  const sql = readFileSync(join(examples, 'shop.sql'), 'utf8')
    .replaceAll(/\b50000\b/g, String(customers))
    .replaceAll(/\b80000\b/g, String(ordersOf(customers)));
  await shop.query(sql);
  const rows = await valueOf(
    shop,
    'SELECT (SELECT count(*) FROM customers) + (SELECT count(*) FROM orders) + (SELECT count(*) FROM order_lines)',
  );
  await shop.end();
  return Number(rows);
}

export function ordersOf(customers: number): number {
  return Math.round((customers * 8) / 5);
}
