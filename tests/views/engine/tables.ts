import { Delta } from '../../../views/delta.ts';
import type { Engine } from '../../../views/engine.ts';
import type { BoundView } from '../../../views/plan/plan.ts';
import { bindViews } from '../../../views/sql/bind.ts';
import { catalogOf } from '../../../views/sql/catalog.ts';
import { sqlScalar } from '../../../views/type.ts';
import type { SqlName } from '../../../views/type.ts';
import type { Row, Value } from '../../../views/value.ts';

/** The tables of the tests: columns by name; the first `key` ones are the key. */
const tables: Record<string, { columns: Record<string, SqlName>; key: number }> = {
  'shop.public.customers': { columns: { id: 'int4', name: 'text' }, key: 1 },
  'shop.public.orders': { columns: { id: 'int4', customer_id: 'int4', status: 'text', note: 'text' }, key: 1 },
  'shop.public.order_lines': { columns: { order_id: 'int4', line_no: 'int4', sku: 'text', qty: 'int4' }, key: 2 },
};

/** The views bound over the tables, by name; `loadSqlParser` has been called. A name may have its key behind it: `docs(id)`. */
export function bind(sql: Record<string, string>): readonly BoundView[] {
  const catalog = catalogOf(
    Object.entries(tables).map(([relation, { columns, key }]) => ({
      relation,
      columns: Object.entries(columns).map(([name, type], at) => ({
        name,
        type: sqlScalar(type),
        nullable: at >= key,
      })),
      key: Array.from({ length: key }, (_, at) => at),
    })),
  );
  const views = Object.entries(sql).map(([head, text]) => {
    const [name = '', key] = head.split(/[()]/);
    return { name, sql: text, key: key === undefined ? [] : key.split(',') };
  });
  return bindViews(views, catalog);
}

export type Change = readonly [table: string, weight: 1 | -1, ...row: Value[]];

/** Steps the engine with rows of whole tables (`orders`), and gives each changed view's rows as `+1 [row]`, sorted. */
export function step(engine: Engine, changes: readonly Change[]): Record<string, string[]> {
  const deltas = new Map<string, Delta>();
  for (const [table, weight, ...row] of changes) {
    const input = engine.inputs.find(({ relation }) => relation.endsWith(`.${table}`));
    if (input === undefined) continue;
    const delta = deltas.get(input.relation) ?? new Delta();
    deltas.set(input.relation, delta);
    delta.push(
      input.positions.map((at) => row[at] ?? null),
      weight,
    );
  }
  const changed = engine.step(deltas);
  return Object.fromEntries([...changed].map(([view, delta]) => [view, print(delta)]));
}

function print({ rows, weights }: Delta): string[] {
  return rows
    .map((row: Row, index) => `${(weights[index] ?? 0) > 0 ? '+' : ''}${weights[index]} ${JSON.stringify(row)}`)
    .toSorted();
}
