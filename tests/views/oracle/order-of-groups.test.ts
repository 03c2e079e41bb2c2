import { beforeAll, expect, it } from 'vitest';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { describePostgres } from '../../servers/suite.ts';
import { Chance } from './chance.ts';
import { bindScriptCase, runScript } from './script-run.ts';
import { parseScript } from './script-case.ts';
import type { ScriptCase } from './script-case.ts';

const seed = Number(process.env['TIDEMARK_VIEWS_SEED'] ?? 1);

const tables = `--- tables
CREATE TABLE t (id int, no text, g int, v numeric(10,1), s text NOT NULL, PRIMARY KEY (id, no));
CREATE TABLE u (id int PRIMARY KEY, g int, w text NOT NULL);
`;

/** The aggregates of a query without an ORDER BY, and with the one that it must have. */
const queries: readonly (readonly [from: string, order: string])[] = [
  ['FROM t GROUP BY t.g', 'ORDER BY t.id, t.no'],
  ['FROM (SELECT * FROM t WHERE v > 1) t GROUP BY t.g', 'ORDER BY t.id, t.no'],
  ['FROM t JOIN u ON u.g = t.g GROUP BY t.g', 'ORDER BY t.id, t.no, u.id'],
  ['FROM t LEFT JOIN u ON u.id = t.id GROUP BY t.g', 'ORDER BY t.id, t.no'],
  ['FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.g = t.g) GROUP BY t.g', 'ORDER BY t.id, t.no'],
];

function script(transactions: readonly string[], ordered: boolean): ScriptCase {
  const views = queries.map(([from, order], index) => {
    const by = ordered ? ` ${order}` : '';
    return `--- view v${index}\nSELECT t.g, array_agg(t.v${by}) AS a, string_agg(t.s, ','${by}) AS s, json_agg(t.s${by}) AS j ${from}\n`;
  });
  const steps = transactions.map((sql) => `--- transaction\n${sql}\n`);
  return parseScript([tables, ...views, ...steps].join(''));
}

function randomStatements(chance: Chance): string[] {
  return Array.from({ length: 12 }, () => {
    const id = chance.below(6);
    const row = `${id}, '${chance.of(['a', 'b', 'B', 'é'])}', ${chance.below(3)}, ${chance.below(40) / 10}, '${chance.of(['x', 'y', 'z'])}'`;
    const kind = chance.weighted({ insert: 6, update: 2, delete: 1, other: 3 });
    if (kind === 'insert')
      return `INSERT INTO t VALUES (${row}) ON CONFLICT (id, no) DO UPDATE SET g = excluded.g, s = excluded.s`;
    if (kind === 'update') return `UPDATE t SET g = (g + 1) % 3, v = v + 0.5 WHERE id = ${id}`;
    if (kind === 'delete') return `DELETE FROM t WHERE id = ${id}`;
    return `INSERT INTO u VALUES (${id}, ${chance.below(3)}, 'w') ON CONFLICT (id) DO UPDATE SET g = excluded.g`;
  });
}

describePostgres('groups without an ORDER BY', (database) => {
  beforeAll(loadSqlParser);

  it(`are in the order of the tables' keys, however their rows came (seed ${seed})`, async () => {
    const client = await database.connect();
    for (let at = 0; at < 8; at++) {
      const statements = randomStatements(new Chance(seed + at));
      const expected = await runScript(script(statements, true), client);
      const last = await runScript(script([statements.join(';')], true), client);
      for (const transactions of [
        statements,
        [statements.join(';')],
        statements.map((_, index) => (index % 4 === 3 ? statements.slice(index - 3, index + 1).join(';') : 'SELECT 1')),
      ]) {
        const { changes } = await runScript(script(transactions, false), client, { compare: false });
        expect(finalRows(changes)).toEqual(finalRows(expected.changes));
      }
      expect(finalRows(last.changes)).toEqual(finalRows(expected.changes));
    }
    expect((await bindScriptCase(script([], false))).views).toHaveLength(queries.length);
  });
});

/** What is left of all changes, by view. */
function finalRows(changes: Awaited<ReturnType<typeof runScript>>['changes']): Record<string, string[]> {
  const rows = new Map<string, number>();
  for (const change of changes) {
    for (const [view, delta] of change) {
      for (const { row, weight } of delta) {
        const text = `${view}: ${JSON.stringify(row)}`;
        rows.set(text, (rows.get(text) ?? 0) + weight);
      }
    }
  }
  const left = [...rows].filter(([, weight]) => weight !== 0).map(([text]) => text);
  return { rows: left.toSorted() };
}
