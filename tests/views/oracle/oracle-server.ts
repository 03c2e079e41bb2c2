import type { Client, QueryArrayResult } from 'pg';
import { messageOf } from '../../../base/errors.ts';
import type { Case } from './case.ts';
import { render } from './sql-tree.ts';
import { createTable } from './tables.ts';
import { Contents } from './transactions.ts';
import type { AppliedTransaction } from './transactions.ts';

export interface QueryAnswers {
  /** Column names and types as PostgreSQL has them. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** After each transaction the rows, as text; null from the transaction on at which PostgreSQL fails. */
  readonly rows: (readonly (readonly (string | null)[])[] | null)[];
  /** Why it failed. */
  failure: string | null;
}

export interface Answers {
  readonly transactions: readonly AppliedTransaction[];
  readonly queries: ReadonlyMap<string, QueryAnswers>;
}

/** Queries with more rows are left out: they cost the time of hundreds of others. */
const rowsMax = 4000;
export const tooLarge = 'more rows than are compared';

/**
 * PostgreSQL as the oracle. A case lives in one transaction that is rolled back: nothing is ever committed or vacuumed. Each of the
 * case's transactions is one round trip, with the executions of all queries behind its statements.
 */
export class OracleServer {
  readonly #client: Client;
  readonly #types: ReadonlyMap<number, string>;

  private constructor(client: Client, types: ReadonlyMap<number, string>) {
    this.#client = client;
    this.#types = types;
  }

  static async on(client: Client): Promise<OracleServer> {
    await client.query(
      `SET jit = off; SET plan_cache_mode = force_generic_plan; SET TimeZone = 'UTC'; SET synchronous_commit = off; SET statement_timeout = '5s'`,
    );
    // Row types of the case's own tables are not among them: a whole row.
    const { rows } = await client.query<{ oid: string; name: string }>(
      `SELECT oid::text, format_type(oid, NULL) AS name FROM pg_type`,
    );
    return new OracleServer(client, new Map(rows.map(({ oid, name }) => [Number(oid), name])));
  }

  async begin(sql: string): Promise<void> {
    await this.#client.query(`BEGIN; ${sql} SAVEPOINT accepts`);
  }

  async rollback(): Promise<void> {
    await this.#client.query('ROLLBACK; DEALLOCATE ALL');
  }

  /** Null when PostgreSQL takes the query (as a view of that name, if there is one), else what it says. */
  async accepts(text: string, view: string | null): Promise<string | null> {
    const statement =
      view === null ? `PREPARE probe AS ${wrapped(text)}; DEALLOCATE probe` : `CREATE VIEW ${view} AS ${text}`;
    try {
      await this.#client.query(`${statement}; SAVEPOINT accepts`);
      return null;
    } catch (error) {
      await this.#client.query('ROLLBACK TO accepts');
      return messageOf(error);
    }
  }

  /** Throws where PostgreSQL refuses one of the queries. */
  async answers(test: Case): Promise<Answers> {
    const contents = new Contents(test.tables);
    const transactions = test.transactions.map((operations) => contents.apply(operations));
    const queries = new Map<string, QueryAnswers>();
    try {
      await this.#client.query(setUp(test));
      for (const transaction of transactions) await this.#step(test, transaction, queries);
    } finally {
      await this.rollback();
    }
    return { transactions, queries };
  }

  async #step(test: Case, { sql }: AppliedTransaction, queries: Map<string, QueryAnswers>): Promise<void> {
    await this.#client.query(`${sql}SAVEPOINT step`);
    const running = test.queries.filter(({ name }) => (queries.get(name)?.failure ?? null) === null);
    try {
      const results = await this.#all(running.map(({ name }) => `EXECUTE ${name}`).join('; '));
      for (const [index, { name }] of running.entries()) this.#add(queries, name, results[index]);
    } catch {
      for (const { name } of running) {
        await this.#client.query('ROLLBACK TO step');
        try {
          const results = await this.#all(`EXECUTE ${name}`);
          this.#add(queries, name, results[0]);
        } catch (error) {
          const answers = queries.get(name) ?? { columns: [], rows: [], failure: null };
          queries.set(name, answers);
          answers.failure = messageOf(error);
          await this.#client.query('ROLLBACK TO step');
        }
      }
    }
  }

  #add(
    queries: Map<string, QueryAnswers>,
    name: string,
    result: QueryArrayResult<(string | null)[]> | undefined,
  ): void {
    if (!result) throw new Error(`no answer for ${name}`);
    let answers = queries.get(name);
    if (!answers) {
      const columns = result.fields.map((field) => ({
        name: field.name,
        type: this.#types.get(field.dataTypeID) ?? 'record',
      }));
      answers = { columns, rows: [], failure: null };
      queries.set(name, answers);
    }
    answers.rows.push(result.rows);
    if (result.rows.length > rowsMax) answers.failure = tooLarge;
  }

  async #all(text: string): Promise<QueryArrayResult<(string | null)[]>[]> {
    if (text === '') return [];
    const result: QueryArrayResult<(string | null)[]> | QueryArrayResult<(string | null)[]>[] =
      await this.#client.query({ text, rowMode: 'array' });
    return Array.isArray(result) ? result : [result];
  }
}

function wrapped(text: string): string {
  return `SELECT * FROM (${text}) q`;
}

function setUp(test: Case): string {
  const views = test.queries.map(({ name, sql, isView }) => {
    const text = render(sql);
    return isView
      ? `CREATE VIEW ${name} AS ${text}; PREPARE ${name} AS SELECT * FROM ${name}`
      : `PREPARE ${name} AS ${wrapped(text)}`;
  });
  return ['BEGIN', ...test.tables.map((table) => createTable(table).replace(/;$/, '')), ...views].join(';\n');
}
