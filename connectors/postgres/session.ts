import { Socket } from 'node:net';
import { Client } from 'pg';
import type { ClientConfig, QueryResult } from 'pg';
import { TidemarkError, isTidemarkError, messageOf, systemCodeOf } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { BulkSocket } from './bulk-socket.ts';
import { socketOf } from './copy-socket.ts';
import { defaultTimeouts } from './options.ts';
import type { PostgresTarget } from './options.ts';

/**
 * Settings under which every session prints values, so that the stream and the snapshot agree to the byte, whatever the server,
 * the role or the database default to. Timeouts that would cut a long read or an idle replication connection are off.
 */
const sessionSettings = {
  datestyle: 'ISO,MDY',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  xmlbinary: 'base64',
  row_security: 'off',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
};

/** A SQL_ASCII database holds bytes of any encoding, and refuses to convert what is not valid UTF-8: they are taken as they are. */
export const matchEncoding =
  "SELECT pg_catalog.set_config('client_encoding', 'SQL_ASCII', false) WHERE current_setting('server_encoding') = 'SQL_ASCII'";

export type Query = (sql: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;

/** A connected client of the source. `replication` asks for a walsender. Errors are TidemarkErrors. */
export async function connect(target: PostgresTarget, purpose: string, replication = false): Promise<Client> {
  const client = newClient(target, purpose, replication);
  // An error on an idle connection surfaces at the next query; without a listener it would end the process.
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query(matchEncoding);
  } catch (error) {
    void client.end().catch(() => {});
    throw sourceError(error, target.name);
  }
  return client;
}

/** The parameters under which pg (and pg-logical-replication) connect to the source. */
export function clientConfig(target: PostgresTarget, purpose: string): ClientConfig {
  let url: URL;
  try {
    url = new URL(target.url);
  } catch {
    throw new TidemarkError('CONFIG_INVALID', `the url of source ${target.name} is not a URL`, {
      hint: 'Write it as postgres://user:password@host:5432/database.',
    });
  }
  const set = Object.entries(sessionSettings).map(([name, value]) => `-c ${name}=${value}`);
  const asked = url.searchParams.get('options');
  url.searchParams.delete('options');
  const tls = target.tls;
  const ssl = tls && Object.keys(tls).length > 0 ? { ssl: { ...tls } } : {};
  return {
    connectionString: url.href,
    application_name: `tidemark ${target.name} ${purpose}`,
    options: [...(asked ? [asked] : []), ...set].join(' '),
    client_encoding: 'UTF8',
    connectionTimeoutMillis: (target.timeouts ?? defaultTimeouts).connectMs,
    keepAlive: true,
    // pg hands over its settings, in which everything that can ask for TLS has been looked at. TLS reads from its socket by itself.
    stream: (settings?: { ssl?: unknown }) => (settings?.ssl ? new Socket() : new BulkSocket()),
    ...ssl,
  };
}

function newClient(target: PostgresTarget, purpose: string, replication: boolean): Client {
  // `replication` is understood by pg and missing from its type declarations.
  const config: ClientConfig & { replication?: 'database' } = clientConfig(target, purpose);
  if (replication) config.replication = 'database';
  return new Client(config);
}

/**
 * Queries whose rows are objects and whose errors are TidemarkErrors; of several statements in one, the last one's rows. A query that
 * takes longer than `timeoutMs` fails, and closes the connection. Queries on one client wait for each other.
 */
export function queryOf(client: Client, target: Pick<PostgresTarget, 'name' | 'timeouts'>, timeoutMs?: number): Query {
  return async (sql, values) => {
    const before = lastQuery.get(client);
    const done = Promise.withResolvers<void>();
    lastQuery.set(client, done.promise);
    await before;
    try {
      const limitMs = timeoutMs ?? (target.timeouts ?? defaultTimeouts).queryMs;
      return await runQuery(client, { text: sql, values: values ?? [] }, limitMs, target.name);
    } catch (error) {
      throw sourceError(error, target.name);
    } finally {
      done.resolve();
    }
  };
}
/** Settles when the query asked for last on a client has ended. */
const lastQuery = new WeakMap<Client, Promise<void>>();

async function runQuery(
  client: Client,
  { text, values }: { text: string; values: unknown[] },
  timeoutMs: number,
  source: string,
): Promise<Record<string, unknown>[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      // The server may be fine and the network dead: nothing on this connection can be trusted any more.
      destroy(client);
      const message = `PostgreSQL did not answer for ${timeoutMs / 1000} s`;
      reject(new TidemarkError('SOURCE_UNREACHABLE', message, { place: { source } }));
    }, timeoutMs);
  });
  try {
    // pg answers several statements with a list, which its type declarations do not say.
    const asked = values.length > 0 ? client.query<Row>(text, values) : client.query<Row>(text);
    const result: QueryResult<Row> | QueryResult<Row>[] = await Promise.race([asked, late]);
    return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? [];
  } finally {
    clearTimeout(timer);
  }
}
type Row = Record<string, unknown>;

/** Closes a connection without asking the server. */
export function destroy(client: Client): void {
  socketOf(client).destroy();
}

/** SQLSTATEs (https://www.postgresql.org/docs/current/errcodes-appendix.html) and system codes that have a meaning of their own here. */
const codeOfState: Record<string, ErrorCode> = {
  '28P01': 'SOURCE_AUTH',
  '28000': 'SOURCE_AUTH',
  '3D000': 'SOURCE_AUTH',
  '42501': 'SOURCE_PRIVILEGE',
  '55006': 'SLOT_IN_USE',
  '53400': 'SLOTS_EXHAUSTED',
  '08P01': 'SOURCE_UNREACHABLE',
};

const hints: Partial<Record<ErrorCode, string>> = {
  SOURCE_AUTH:
    'Check user, password and database in the url, and pg_hba.conf on the server (replication needs an entry for the database).',
  SOURCE_PRIVILEGE: 'Run `tidemark check`: it prints the statement that grants what is missing.',
  SLOT_IN_USE:
    'Another tidemark (or another consumer) is reading from this slot: stop it, or give this deployment a slot of its own.',
  SLOTS_EXHAUSTED: 'Raise max_replication_slots or max_wal_senders on the server, or drop slots that nobody uses.',
  SOURCE_UNREACHABLE:
    'Check that the server runs and that host and port in the url are right; tidemark goes on trying.',
};

/** Whatever pg threw, as a TidemarkError. Never carries the url. */
export function sourceError(error: unknown, source: string): TidemarkError {
  if (isTidemarkError(error)) return error;
  const message = messageOf(error);
  const state = systemCodeOf(error);
  if (/unsupported startup parameter|pgbouncer/i.test(message)) {
    return new TidemarkError('SOURCE_POOLER', `a connection pooler answers instead of PostgreSQL: ${message}`, {
      place: { source },
      hint: 'Give the url of the server itself; replication and sessions with settings do not pass through pgbouncer.',
      cause: error,
    });
  }
  if (/number of requested standby connections exceeds|all replication slots are in use/.test(message)) {
    return told('SLOTS_EXHAUSTED', message, source, error);
  }
  const code = state === undefined ? undefined : codeOfState[state];
  if (code !== undefined) return told(code, message, source, error);
  if (/could not map filenum/.test(message)) {
    return new TidemarkError('SOURCE_PROTOCOL', `PostgreSQL cannot decode what the slot holds: ${message}`, {
      place: { source },
      hint: 'A fault of some servers with a table truncated while the slot was being made. Drop the slot (tidemark drop --source NAME), remove data_dir, and start again.',
      cause: error,
    });
  }
  // 57P0x: shut down or starting; 08: connection; 53: resources; the rest are the system's (ECONNREFUSED …) or pg's own.
  const transient = state === undefined || /^(57P0[1-5]|08|53|E[A-Z]+$|40)/.test(state);
  return told(transient ? 'SOURCE_UNREACHABLE' : 'SOURCE_PROTOCOL', message, source, error);
}

function told(code: ErrorCode, message: string, source: string, cause: unknown): TidemarkError {
  const hint = hints[code];
  return new TidemarkError(code, `PostgreSQL: ${message}`, {
    place: { source },
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Quotes an identifier for SQL. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes a string for SQL, whatever standard_conforming_strings says. */
export function literal(value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
