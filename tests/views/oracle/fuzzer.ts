import { makeCase } from './case.ts';
import type { Case, CaseStatistics } from './case.ts';
import { bindCase, runEngine } from './engine-side.ts';
import type { Failure, Mode } from './engine-side.ts';
import type { Answers, OracleServer } from './oracle-server.ts';
import { shrink } from './shrink.ts';
import { render } from './sql-tree.ts';
import { createTable } from './tables.ts';
import { Contents } from './transactions.ts';

export interface FuzzStatistics extends CaseStatistics {
  cases: number;
  queries: number;
  /** Answers compared with PostgreSQL's. */
  comparisons: number;
  rows: number;
  /** What the binder said to queries that PostgreSQL takes. */
  readonly refused: Map<string, { count: number; seed: number; sql: string }>;
}

export function newStatistics(): FuzzStatistics {
  return { tried: 0, refusals: new Map(), cases: 0, queries: 0, comparisons: 0, rows: 0, refused: new Map() };
}

/** In memory at all batch sizes, and on disk at one of them. */
export function modesOf(seed: number): Mode[] {
  const batches = [1, 7, 1000];
  const memory = batches.map((batch): Mode => ({ store: 'memory', batch }));
  // Every second one begins with a state that is built at once.
  return [...memory, { store: 'disk', batch: batches[seed % 3] ?? 1, built: seed % 2 === 0 ? 1 + (seed % 12) : 0 }];
}

/** Runs the case of a seed; null when every answer is right. */
export async function runSeed(
  seed: number,
  server: OracleServer,
  statistics: FuzzStatistics,
): Promise<{ readonly test: Case; readonly failure: Failure } | null> {
  const test = await makeCase(seed, server, statistics);
  const answers = await server.answers(test);
  const binding = bindCase(test, answers);
  statistics.cases++;
  statistics.queries += binding.views.length;
  for (const failure of binding.refused) {
    if (failure.kind !== 'refused') return { test, failure };
    const reason = plain(failure.message);
    const known = statistics.refused.get(reason);
    const sql = render(test.queries.find(({ name }) => name === failure.query)?.sql ?? '');
    if (known) known.count++;
    else statistics.refused.set(reason, { count: 1, seed, sql });
    if (known && sql.length < known.sql.length) Object.assign(known, { seed, sql });
  }
  for (const mode of modesOf(seed)) {
    const failure = await runEngine(test, answers, binding, mode);
    if (failure !== null) return { test, failure };
    statistics.comparisons += binding.views.length * Math.ceil(answers.transactions.length / mode.batch);
  }
  statistics.rows += rowsIn(answers);
  return null;
}

/** The message without the place and the names. */
function plain(message: string): string {
  return message
    .replace(/^view \w+, \d+:\d+: /, '')
    .replaceAll(/"[^"]*"/g, '""')
    .replaceAll(/\d+/g, '0');
}

function rowsIn({ queries }: Answers): number {
  let sum = 0;
  for (const { rows } of queries.values()) for (const answer of rows) sum += answer?.length ?? 0;
  return sum;
}

/** The smallest case that fails in the same way, as text. */
export async function explain(test: Case, failure: Failure, server: OracleServer): Promise<string> {
  const first = { ...test, transactions: test.transactions.slice(0, Math.max(1, failure.after)) };
  const fails = async (candidate: Case): Promise<Failure | null> => {
    try {
      const answers = await server.answers(candidate);
      const binding = bindCase(candidate, answers);
      const found =
        binding.refused.find(({ kind }) => kind === failure.kind) ??
        (binding.views.length === 0 ? null : await runEngine(candidate, answers, binding, failure.mode));
      if (found === null || found.kind !== failure.kind) return null;
      return found.kind === 'threw' && gist(found) !== gist(failure) ? null : found;
    } catch {
      return null;
    }
  };
  const smallest = await shrink(first, failure, fails, { tries: 3000, milliseconds: 20_000 });
  return `${script(smallest.test)}\n${describe(smallest.reason)}\n(seed ${test.seed}, ${smallest.tries} smaller cases tried)`;
}

function gist({ message }: Failure): string {
  return (
    message
      .split('\n', 1)[0]
      ?.replaceAll(/\d+/g, '0')
      .replaceAll(/"[^"]*"/g, '""') ?? ''
  );
}

function describe({ kind, mode, query, after, message }: Failure): string {
  return `-- ${kind}, ${query ?? 'all queries'}, after transaction ${after} (${mode.store}, batch ${mode.batch}, built ${mode.built ?? 0})\n${message}`;
}

/** The case as SQL: it can be pasted into psql. */
export function script(test: Case): string {
  const contents = new Contents(test.tables);
  const queries = test.queries.map(({ name, sql, isView }) =>
    isView ? `CREATE VIEW ${name} AS\n${render(sql)};` : '',
  );
  const transactions = test.transactions.map((operations, index) => {
    const { sql } = contents.apply(operations);
    return `-- transaction ${index + 1}\n${sql}`;
  });
  const asked = test.queries.map(({ name, sql, isView }) =>
    isView ? `SELECT * FROM ${name};` : `-- ${name}\n${render(sql)};`,
  );
  return [...test.tables.map(createTable), ...queries.filter((text) => text !== ''), ...transactions, ...asked].join(
    '\n',
  );
}
