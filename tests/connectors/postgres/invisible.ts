import type { Client } from 'pg';
import { onTestFinished } from 'vitest';
import type { PostgresOptions } from '../../servers/postgres.ts';
import { until } from '../../servers/process.ts';
import { connectTo } from '../../servers/suite.ts';

/**
 * A server on which a session with `synchronous_commit = on` hangs in its COMMIT, after the commit record is written and before
 * the transaction is visible: it waits for a standby that never comes. All other sessions commit as usual.
 */
export const invisibleCommits: PostgresOptions = {
  settings: { synchronous_standby_names: 'nobody', synchronous_commit: 'local' },
};

export interface InvisibleCommit {
  readonly xid: string;
  /** Lets the commit become visible. */
  release(): Promise<void>;
}

/** A transaction that can be committed without becoming visible. */
export class Session {
  readonly #client: Client;
  readonly #watcher: Client;
  readonly #pid: string;

  private constructor(client: Client, watcher: Client, pid: string) {
    this.#client = client;
    this.#watcher = watcher;
    this.#pid = pid;
  }

  static async open(url: string): Promise<Session> {
    const client = await connectTo(url);
    const watcher = await connectTo(url);
    const { rows } = await client.query<{ pid: string }>('SELECT pg_backend_pid() AS pid');
    const session = new Session(client, watcher, rows[0]?.pid ?? '');
    onTestFinished(async () => {
      await watcher.query(`SELECT pg_terminate_backend(${session.#pid})`);
      await Promise.allSettled([client.end(), watcher.end()]);
    });
    return session;
  }

  /** Begins a transaction that has its number. */
  async begin(sql = ''): Promise<string> {
    await this.#client.query('SET synchronous_commit = on');
    await this.#client.query('BEGIN');
    if (sql !== '') await this.#client.query(sql);
    const { rows } = await this.#client.query<{ xid: string }>('SELECT pg_current_xact_id() AS xid');
    return rows[0]?.xid ?? '';
  }

  async query(sql: string): Promise<void> {
    await this.#client.query(sql);
  }

  /** Commits so that everybody sees it. */
  async commit(): Promise<void> {
    await this.#client.query('SET LOCAL synchronous_commit = local');
    await this.#client.query('COMMIT');
  }

  /** Commits in the WAL, and no more for the moment. */
  async commitInvisibly(): Promise<InvisibleCommit> {
    const { rows } = await this.#client.query<{ xid: string }>('SELECT pg_current_xact_id() AS xid');
    const ended = this.#client.query('COMMIT');
    ended.catch(() => undefined);
    await until('the commit to wait for a standby', async () => {
      const { rows: waiting } = await this.#watcher.query(
        `SELECT FROM pg_stat_activity WHERE pid = ${this.#pid} AND wait_event = 'SyncRep'`,
      );
      return waiting.length > 0;
    });
    return {
      xid: rows[0]?.xid ?? '',
      release: async () => {
        await this.#watcher.query(`SELECT pg_cancel_backend(${this.#pid})`);
        await ended;
      },
    };
  }
}

/** Runs SQL as one transaction that is committed in the WAL and not yet visible. */
export async function commitInvisibly(url: string, sql: string): Promise<InvisibleCommit> {
  const session = await Session.open(url);
  await session.begin(sql);
  return session.commitInvisibly();
}
