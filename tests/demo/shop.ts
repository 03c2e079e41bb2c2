import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { postgres, postgresMajors, startPostgres } from '../servers/postgres.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { connectTo } from './connection.ts';

/** The repository's top. */
export const root: string = join(import.meta.dirname, '../..');

const examples = join(root, 'docs/examples');

export const shopSql: string = readFileSync(join(examples, 'shop.sql'), 'utf8');

/** docs/examples/tidemark.yaml, listening on another port. */
export function exampleConfiguration(httpPort: number): string {
  return readFileSync(join(examples, 'tidemark.yaml'), 'utf8').replace('port: 7070', `port: ${httpPort}`);
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

/** Makes database `shop` and fills it with docs/examples/shop.sql. */
export async function makeShop(server: PostgresServer): Promise<void> {
  const admin = await connectTo(server.url());
  await admin.query('CREATE DATABASE shop');
  await admin.end();
  const shop = await connectTo(server.url('shop'));
  await shop.query(shopSql);
  await shop.end();
}
