import { smaller } from './sql-tree.ts';
import type { Case } from './case.ts';
import type { Operation } from './transactions.ts';

export interface Shrunk<Reason> {
  readonly test: Case;
  readonly reason: Reason;
  readonly tries: number;
}

/**
 * The smallest case that still fails, as far as dropping one thing after another leads: queries, transactions, operations, columns, parts
 * of a query. `fails` says whether (and how) a case fails; cases that are none (PostgreSQL refuses them) do not.
 */
export async function shrink<Reason>(
  test: Case,
  reason: Reason,
  fails: (test: Case) => Promise<Reason | null>,
  limits: { readonly tries: number; readonly milliseconds: number },
): Promise<Shrunk<Reason>> {
  const deadline = performance.now() + limits.milliseconds;
  let current = { test, reason, tries: 0 };
  for (;;) {
    let progress = false;
    for (const ways of [withoutQueries, withoutTransactions, withoutOperations, withSmallerQueries, withoutColumns]) {
      let again = true;
      while (again) {
        again = false;
        for (const candidate of ways(current.test)) {
          if (current.tries >= limits.tries || performance.now() > deadline) return current;
          const found = await fails(candidate);
          current = { ...current, tries: current.tries + 1 };
          if (found === null) continue;
          current = { ...current, test: candidate, reason: found };
          again = true;
          progress = true;
          break;
        }
      }
    }
    if (!progress) return current;
  }
}

function* withoutQueries(test: Case): Generator<Case> {
  for (const index of test.queries.keys()) {
    if (test.queries.length > 1) yield { ...test, queries: test.queries.toSpliced(index, 1) };
  }
  for (const [index, query] of test.queries.entries()) {
    if (query.isView) yield { ...test, queries: test.queries.with(index, { ...query, isView: false }) };
  }
}

function* withoutTransactions(test: Case): Generator<Case> {
  const { transactions } = test;
  for (let size = transactions.length >> 1; size >= 1; size >>= 1) {
    for (let from = transactions.length - size; from >= 0; from -= size) {
      yield { ...test, transactions: transactions.toSpliced(from, size) };
    }
  }
}

function* withoutOperations(test: Case): Generator<Case> {
  for (const [index, operations] of test.transactions.entries()) {
    for (let size = (operations.length + 1) >> 1; size >= 1; size >>= 1) {
      for (let from = 0; from < operations.length; from += size) {
        const fewer = operations.toSpliced(from, size);
        yield { ...test, transactions: test.transactions.with(index, fewer) };
      }
    }
  }
}

function* withSmallerQueries(test: Case): Generator<Case> {
  for (const [index, query] of test.queries.entries()) {
    for (const sql of smaller(query.sql)) yield { ...test, queries: test.queries.with(index, { ...query, sql }) };
  }
}

function* withoutColumns(test: Case): Generator<Case> {
  for (const [at, table] of test.tables.entries()) {
    if (test.tables.length > 1) yield withoutTable(test, at);
    for (const position of table.columns.keys()) {
      if (!table.key.includes(position)) yield withoutColumn(test, at, position);
    }
  }
}

function withoutTable(test: Case, at: number): Case {
  const transactions = test.transactions.map((operations) =>
    operations
      .filter(({ table }) => table !== at)
      .map((operation) => ({ ...operation, table: operation.table - (operation.table > at ? 1 : 0) })),
  );
  return { ...test, tables: test.tables.toSpliced(at, 1), transactions };
}

function withoutColumn(test: Case, at: number, position: number): Case {
  const table = test.tables[at];
  if (!table) return test;
  const fewer = {
    ...table,
    columns: table.columns.toSpliced(position, 1),
    key: table.key.map((key) => (key > position ? key - 1 : key)),
  };
  const changed = (operation: Operation): Operation =>
    operation.table !== at || operation.kind === 'delete'
      ? operation
      : { ...operation, row: operation.row.toSpliced(position, 1) };
  return {
    ...test,
    tables: test.tables.with(at, fewer),
    transactions: test.transactions.map((operations) => operations.map(changed)),
  };
}
