import { present } from '../base/assert.ts';
import { Delta } from '../views/delta.ts';
import { buildEngine } from '../views/plan/lower.ts';
import { bindView, loadSqlParser } from '../views/sql/bind.ts';
import { catalogOf } from '../views/sql/catalog.ts';
import type { RelationColumn } from '../views/sql/catalog.ts';
import { MemoryStore } from '../views/state/memory.ts';
import { sqlScalar } from '../views/type.ts';
import type { Row } from '../views/value.ts';
import type { Figure } from './figure.ts';
import { figure, Stopwatch } from './figure.ts';

/** Rows of the table that the changes are made in; of ten thousand groups. */
const standardRows = 100_000;
const groups = 10_000;
const rowsPerStep = 1000;
const steps = 100;

/** One operator each, over `t(id, g, v, w)` and `u(g, name)`, which has a row for every group. */
const queries: Readonly<Record<string, string>> = {
  'filter-project': 'SELECT id, v + 1 AS v, w FROM t WHERE v >= 0',
  join: 'SELECT t.id, t.v, u.name FROM t JOIN u ON u.g = t.g',
  'left-join': 'SELECT t.id, t.v, u.name FROM t LEFT JOIN u ON u.g = t.g',
  semi: 'SELECT id, v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.g = t.g)',
  'aggregate-sum': 'SELECT g, count(*) AS n, sum(v) AS v FROM t GROUP BY g',
  'aggregate-max': 'SELECT g, max(v) AS v FROM t GROUP BY g',
  'aggregate-json': "SELECT g, json_agg(json_build_object('id', id, 'v', v) ORDER BY id) AS rows FROM t GROUP BY g",
  distinct: 'SELECT DISTINCT g, w FROM t',
  'top-3': 'SELECT u.g, x.id, x.v FROM u, LATERAL (SELECT id, v FROM t WHERE t.g = u.g ORDER BY v DESC, id LIMIT 3) x',
  union: 'SELECT id, v FROM t WHERE v >= 50 UNION ALL SELECT id, -v FROM t WHERE v < 50',
  except: 'SELECT id, g FROM t EXCEPT SELECT v, g FROM u',
};

/**
 * Nanoseconds for one changed row of `t`, by operator: steps of 1,000 changed rows (500 updates of `v`) over state in memory that holds
 * the whole table; the fastest step counts. Beside it what two look-ups and two writes in a Map of as many numbers take.
 */
export async function run(options: { scale: number }): Promise<Figure[]> {
  await loadSqlParser();
  const n = Math.max(2 * rowsPerStep, Math.round(standardRows * options.scale));
  const reference = { name: 'two gets and sets of a Map', value: mapCost(n) };
  return Object.entries(queries).map(([name, sql]) => {
    const measured = measure(sql, n);
    return figure(`operator-${name}`, 'ns/row', measured, reference);
  });
}

function measure(sql: string, n: number): { value: number; cpuMicros: number; n: number } {
  const catalog = catalogOf([
    { relation: 't', columns: ['id', 'g', 'v', 'w'].map(column), key: [0] },
    { relation: 'u', columns: ['g', 'name', 'v'].map(column), key: [0] },
  ]);
  const engine = buildEngine([bindView({ name: 'view', sql, key: [], catalog })], new MemoryStore());
  const input = (relation: string, rows: readonly Row[]): readonly Row[] => {
    const positions = engine.inputs.find((known) => known.relation === relation)?.positions ?? [];
    return rows.map((row) => positions.map((at) => row[at] ?? null));
  };
  const rowOf = (id: number, v: number): Row => [id, id % groups, v % 100, `text ${id % 1000}`];
  const table = Array.from({ length: n }, (_, id) => rowOf(id, id));
  const others = Array.from({ length: Math.min(groups, n) }, (_, g): Row => [g, `name ${g}`, g]);
  engine.step(
    new Map([
      ['t', Delta.insertions(input('t', table))],
      ['u', Delta.insertions(input('u', others))],
    ]),
  );
  const watch = new Stopwatch();
  let best = Infinity;
  for (let step = 0; step < steps; step++) {
    const delta = new Delta();
    for (let change = 0; change < rowsPerStep / 2; change++) {
      const id = (step * 7919 + change * 31) % n;
      const before = present(table[id], 'a row');
      const after = rowOf(id, (before[2] as number) + 1);
      table[id] = after;
      delta.push(before, -1);
      delta.push(after, 1);
    }
    const changed = new Delta();
    for (const [index, row] of input('t', delta.rows).entries()) changed.push(row, delta.weights[index] ?? 0);
    const inputs = new Map([['t', changed]]);
    const start = performance.now();
    engine.step(inputs);
    best = Math.min(best, performance.now() - start);
  }
  return { value: (best * 1e6) / rowsPerStep, cpuMicros: watch.cpuMicros, n: steps * rowsPerStep };
}

function column(name: string): RelationColumn {
  return { name, type: sqlScalar(name === 'w' || name === 'name' ? 'text' : 'int4'), nullable: name !== 'id' };
}

/** Nanoseconds. */
function mapCost(n: number): number {
  const map = new Map(Array.from({ length: n }, (_, index) => [index, index]));
  let best = Infinity;
  for (let step = 0; step < steps; step++) {
    const start = performance.now();
    for (let change = 0; change < rowsPerStep; change++) {
      const key = (step * 7919 + change * 31) % n;
      map.set(key, (map.get(key) ?? 0) + 1);
      map.set(key, (map.get(key) ?? 0) - 1);
    }
    best = Math.min(best, performance.now() - start);
  }
  return (best * 1e6) / rowsPerStep;
}
