import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { Client } from 'pg';
import type { QueryResult } from 'pg';
import { postgres, startPostgres } from './postgres.ts';
import type { PostgresOptions, PostgresServer } from './postgres.ts';
import { until } from './process.ts';
import { serversAreRequired } from './server.ts';

/** What tests/global-setup.ts tells the test files about the PostgreSQL that they share. */
export type SharedPostgres =
  | { readonly running: true; readonly port: number; readonly major: number; readonly socketDirectory: string }
  | { readonly running: false; readonly reason: string };

declare module 'vitest' {
  interface ProvidedContext {
    postgres: SharedPostgres;
  }
}

/** A database of its own on the shared server, made before the suite's tests and dropped, with its slots, after them. */
export interface TestDatabase {
  readonly name: string;
  /** As superuser `postgres`, over TCP. */
  readonly url: string;
  readonly major: number;
  readonly socketDirectory: string;
  /** The same database as another user, whose password is its name. */
  urlAs(user: string): string;
  /** Runs SQL (several statements when there are no values) and returns the rows of the last. Values arrive as text. */
  query(sql: string, values?: readonly unknown[]): Promise<Record<string, string | null>[]>;
  /** A connection of its own, closed after the suite. Values arrive as text. */
  connect(user?: string): Promise<Client>;
}

/**
 * A suite on the shared PostgreSQL, with a fresh database. Skipped, and the reason told in its title, when there is no
 * server; a failure then with TIDEMARK_REQUIRE_SERVERS=all.
 */
export function describePostgres(title: string, body: (database: TestDatabase) => void): void {
  const shared = inject('postgres');
  if (!shared.running) {
    withoutServer(title, shared.reason, () => {
      body(databaseOn({ running: true, port: 0, major: 0, socketDirectory: '' }));
    });
    return;
  }
  describe(title, () => {
    body(databaseOn(shared));
  });
}

/** A suite with a PostgreSQL of its own, started before its tests and stopped after them. `server()` is valid inside tests and hooks. */
export function describePostgresServer(
  title: string,
  options: PostgresOptions,
  body: (server: () => PostgresServer) => void,
): void {
  let server: PostgresServer | null = null;
  const current = (): PostgresServer => {
    if (server === null) throw new Error('the server is not running yet: call server() inside a test or a hook');
    return server;
  };
  const found = postgres.find(options);
  if (!found.found) {
    withoutServer(title, found.reason, () => {
      body(current);
    });
    return;
  }
  describe(title, () => {
    beforeAll(async () => {
      server = await startPostgres(options);
    });
    afterAll(async () => {
      await server?.stop('immediate');
    });
    body(current);
  });
}

/** A connection whose values arrive as the text that the server printed. */
export async function connectTo(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, types: { getTypeParser: () => (text: string) => text } });
  // An idle connection that the server ends (a restart in a test) must not end the test process.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** The suite as skipped, for that reason, or as a failure where servers are required. */
export function withoutServer(title: string, reason: string, body: () => void): void {
  if (serversAreRequired()) {
    describe(title, () => {
      it('has its server', () => {
        throw new Error(`${reason}, and TIDEMARK_REQUIRE_SERVERS=all`);
      });
    });
    return;
  }
  // The runner lists skipped tests with what stands in the brackets.
  describe.skip(`${title} [skipped: ${reason}]`, body);
}

let databases = 0;

function databaseOn(shared: SharedPostgres & { running: true }): TestDatabase {
  const name = `test_${process.pid}_${++databases}`;
  const urlOf = (database: string, user: string): string =>
    `postgres://${encodeURIComponent(user)}:${encodeURIComponent(user)}@127.0.0.1:${shared.port}/${database}`;
  const clients: Client[] = [];
  let client: Client | null = null;
  const connect = async (user = 'postgres'): Promise<Client> => {
    const opened = await connectTo(urlOf(name, user));
    clients.push(opened);
    return opened;
  };
  beforeAll(async () => {
    await onServer(urlOf('postgres', 'postgres'), async (server) => {
      await server.query(`CREATE DATABASE ${name} TEMPLATE template0`);
    });
  });
  afterAll(async () => {
    await Promise.allSettled(clients.map(async (opened) => opened.end()));
    await onServer(urlOf('postgres', 'postgres'), async (server) => dropDatabase(server, name));
  });
  return {
    name,
    url: urlOf(name, 'postgres'),
    major: shared.major,
    socketDirectory: shared.socketDirectory,
    urlAs: (user) => urlOf(name, user),
    connect,
    query: async (sql, values) => {
      client ??= await connect();
      const result: QueryResult | QueryResult[] = await client.query(sql, values ? [...values] : undefined);
      return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? [];
    },
  };
}

async function onServer(url: string, work: (server: Client) => Promise<void>): Promise<void> {
  const server = await connectTo(url);
  try {
    await work(server);
  } finally {
    await server.end();
  }
}

/** A slot keeps its database from being dropped, and a walsender its slot. */
async function dropDatabase(server: Client, name: string): Promise<void> {
  await until(`the slots of ${name} to go`, async () => {
    await server.query(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = $1 AND active`,
      [name],
    );
    const { rows } = await server.query<{ slot_name: string; active: string }>(
      `SELECT slot_name, active FROM pg_replication_slots WHERE database = $1`,
      [name],
    );
    for (const { slot_name: slot } of rows) {
      await server.query(`SELECT pg_drop_replication_slot($1)`, [slot]).catch(() => undefined);
    }
    return rows.length === 0;
  });
  await server.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
}
