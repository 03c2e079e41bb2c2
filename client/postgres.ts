import { TidemarkClientError } from './errors.ts';

/** What is needed of a client or pool of `pg`. */
export interface PgQueryable {
  query(text: string): Promise<{ readonly rows: readonly Record<string, unknown>[]; readonly command?: string }>;
}

/** A client that `pg`'s pool lends. */
export interface PgPoolClient extends PgQueryable {
  /** With an error, the connection is not used again. */
  release(error?: Error | boolean): void;
  on?(event: 'error', listener: (error: Error) => void): unknown;
  removeListener?(event: 'error', listener: (error: Error) => void): unknown;
}

/** What is needed of `pg`'s pool. */
export interface PgPool {
  connect(): Promise<PgPoolClient>;
}

/** What a pool lends; of `pg`'s own type, whose connect takes a callback too, with all that it can do. */
export type ClientOf<Pool> = Pool extends { connect: { (): Promise<infer Client>; (callback: never): unknown } }
  ? Client
  : PgPoolClient;

/** What is needed of `postgres` (postgres.js). */
export interface PostgresJs {
  unsafe(text: string): PromiseLike<readonly Record<string, unknown>[]>;
}

/** The same, with transactions. */
export interface PostgresJsBegin extends PostgresJs {
  /** `begin(async (transaction) => …)`: BEGIN, the work, COMMIT. */
  readonly begin: (...args: never[]) => unknown;
}

/** What `begin` hands to its callback; that of postgres.js takes options before it, too. */
export type TransactionOf<Sql> = Sql extends {
  begin: { (work: never): unknown; (options: string, work: (transaction: infer Transaction) => never): unknown };
}
  ? Transaction
  : Sql extends { begin: (work: (transaction: infer Transaction) => never) => unknown }
    ? Transaction
    : never;

/** The result of a transaction, and a position that covers it. */
export interface Committed<T> {
  readonly result: T;
  readonly position: string;
}

/**
 * A position that covers every transaction whose COMMIT was answered before the call, on whatever connection: for `waitFor`. Call it after
 * the COMMIT, not before.
 */
export async function pgPosition(client: PgQueryable | PostgresJs): Promise<string> {
  const rows = 'unsafe' in client ? await client.unsafe(positionSql) : (await client.query(positionSql)).rows;
  const position = rows[0]?.['position'];
  if (typeof position === 'string') return position;
  throw new TidemarkClientError('the database did not tell its position', { code: 'POSITION_INVALID' });
}

const positionSql = 'SELECT pg_current_wal_insert_lsn()::text AS position';

/**
 * Runs the work in a transaction, and returns its result with a position that covers it. When the work throws, the transaction is rolled
 * back and the error is thrown on.
 */
export async function withPosition<Pool extends PgPool, T>(
  pool: Pool,
  work: (client: ClientOf<Pool>) => Promise<T>,
): Promise<Committed<T>>;
export async function withPosition<Sql extends PostgresJsBegin, T>(
  sql: Sql,
  work: (transaction: TransactionOf<Sql>) => Promise<T>,
): Promise<Committed<T>>;
export async function withPosition<T>(
  pool: PgPool | PostgresJsBegin,
  work: (client: never) => Promise<T>,
): Promise<Committed<T>> {
  if ('begin' in pool) {
    const box: { result?: T } = {};
    const sql = pool as { begin(run: (transaction: never) => Promise<void>): PromiseLike<unknown> };
    await sql.begin(async (transaction) => {
      box.result = await work(transaction);
    });
    return { result: box.result as T, position: await pgPosition(pool) };
  }
  const client = await pool.connect();
  let broken: Error | undefined;
  // A connection that ends while it is lent says so by an event as well, which nobody else listens to.
  const onError = (error: Error): void => void (broken = error);
  client.on?.('error', onError);
  try {
    const result = await inTransaction(client, work).catch(async (error: unknown) => {
      await client.query('ROLLBACK').catch((failure: unknown) => {
        broken = failure instanceof Error ? failure : new TidemarkClientError('ROLLBACK failed', { code: 'INTERNAL' });
      });
      throw error;
    });
    return { result, position: await pgPosition(client) };
  } finally {
    client.removeListener?.('error', onError);
    client.release(broken);
  }
}

async function inTransaction<T>(client: PgPoolClient, work: (client: never) => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  const result = await work(client as never);
  const { command } = await client.query('COMMIT');
  if (command !== 'ROLLBACK') return result;
  // A statement failed and the work caught its error: PostgreSQL answers the COMMIT with a rollback, and without an error.
  throw new TidemarkClientError('the transaction was rolled back: one of its statements had failed', {
    code: 'TRANSACTION_ROLLED_BACK',
    hint: 'Let errors of statements leave the work, or use savepoints.',
  });
}
