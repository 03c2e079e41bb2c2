import { Chance } from './chance.ts';
import { QueryMaker } from './queries.ts';
import type { Source } from './from.ts';
import type { OracleServer } from './oracle-server.ts';
import { render } from './sql-tree.ts';
import type { Sql } from './sql-tree.ts';
import { createTable, randomTables } from './tables.ts';
import type { TestTable } from './tables.ts';
import { randomTransactions } from './transactions.ts';
import type { Operation } from './transactions.ts';

/** A query under test; later queries of the case may name it as a view. */
export interface TestQuery {
  readonly name: string;
  readonly sql: Sql;
  /** Whether it exists as a view, so that others can use it. */
  readonly isView: boolean;
}

export interface Case {
  readonly seed: number;
  readonly tables: readonly TestTable[];
  readonly queries: readonly TestQuery[];
  readonly transactions: readonly (readonly Operation[])[];
}

export interface CaseStatistics {
  tried: number;
  /** What PostgreSQL said to the queries that it refused. */
  readonly refusals: Map<string, number>;
}

/** The case of a seed: tables, queries that PostgreSQL accepts over them, transactions. */
export async function makeCase(
  seed: number,
  server: OracleServer,
  statistics: CaseStatistics,
  wanted = 6,
): Promise<Case> {
  const chance = new Chance(seed);
  const tables = randomTables(chance);
  const big = chance.maybe(0.06);
  const sources: Source[] = tables.map(({ name, columns, key }) => ({
    name,
    columns,
    key: key.map((position) => columns[position]?.name ?? ''),
  }));
  const queries: TestQuery[] = [];
  await server.begin(tables.map(createTable).join('\n'));
  try {
    for (let tries = 0; queries.length < wanted && tries < wanted * 6; tries++) {
      const maker = new QueryMaker(chance, big);
      const made = maker.query({
        sources,
        outer: [],
        depth: chance.weighted({ '0': 3, '1': 5, '2': 3 }) === '0' ? 0 : chance.between(1, 2),
      });
      const text = render(made.sql);
      if (text.length > 3000) continue;
      const isView = chance.maybe(0.25);
      const name = `v${queries.length}`;
      statistics.tried++;
      const refusal = await server.accepts(text, isView ? name : null);
      if (refusal !== null) {
        const reason = refusal.replaceAll(/"[^"]*"/g, '""');
        statistics.refusals.set(reason, (statistics.refusals.get(reason) ?? 0) + 1);
        continue;
      }
      queries.push({ name, sql: made.sql, isView });
      if (isView) sources.push({ name, columns: made.columns, key: [] });
    }
  } finally {
    await server.rollback();
  }
  return { seed, tables, queries, transactions: randomTransactions(chance, tables, big) };
}
