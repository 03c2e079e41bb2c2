import { columnOf, sameExpression } from '../plan/expressions.ts';
import { idsOf } from '../plan/columns.ts';
import { rowCount } from './limit.ts';
import { SqlError } from './sql-error.ts';
import { requireEquality } from './subquery.ts';
import type { ColumnId, Expression, SortKey } from '../expressions/expression.ts';
import type { Plan, PlanColumn } from '../plan/plan.ts';
import type { BoundQuery, ViewContext } from './context.ts';
import type { Target } from './targets.ts';
import type { SelectStmt } from 'libpg-query';

export interface Unfinished {
  readonly select: SelectStmt;
  readonly input: Plan;
  readonly targets: readonly Target[];
  readonly order: readonly SortKey[];
  readonly distinctOn: readonly Expression[] | null;
  readonly view: ViewContext;
  /** An order that the input has already, which stays where nothing else is asked for. */
  readonly ordered: readonly SortKey[];
}

/** SELECT list, DISTINCT, ORDER BY and LIMIT over the rows of a query. */
export function finish({ select, input, targets, order, distinctOn, view, ordered }: Unfinished): BoundQuery {
  const projection = new Projection(input, view);
  const outputs = targets.map(({ name, expression }) => projection.output(name, expression));
  const untyped = new Map<number, Expression>();
  targets.forEach((target, index) => {
    if (target.untyped !== null) untyped.set(index, target.untyped);
  });
  const plainDistinct = distinctOn !== null && distinctOn.length === 0;
  const effective = order.length === 0 && distinctOn === null ? ordered : order;
  const sort = effective.map((key) => {
    const known = targets.findIndex(({ expression }) => sameExpression(expression, key.expression));
    if (known < 0 && plainDistinct) {
      throw new SqlError(
        'for SELECT DISTINCT, ORDER BY expressions must appear in select list',
        view.places.get(key.expression) ?? null,
      );
    }
    const output = outputs[known];
    return { ...key, expression: columnOf(output ?? projection.hidden(key.expression)) };
  });
  const partition = distinctOn?.map((e) => {
    const known = outputs[targets.findIndex(({ expression }) => sameExpression(expression, e))];
    return (known ?? projection.hidden(e)).id;
  });
  let plan = projection.plan();
  if (plainDistinct) {
    for (const { expression, location } of targets) requireEquality(expression, location);
    plan = { kind: 'distinct', input: plan, columns: plan.columns };
  } else if (partition !== undefined) {
    plan = { kind: 'topN', input: plan, partition, order: sort, limit: 1, offset: 0, columns: plan.columns };
  }
  return limited({ plan, outputs, order: sort, untyped }, select, view);
}

/** LIMIT and OFFSET; the order of the rows stays known. */
export function limited(query: BoundQuery, select: SelectStmt, view: ViewContext): BoundQuery {
  const limit = rowCount(select.limitCount, 'LIMIT', view);
  const offset = rowCount(select.limitOffset, 'OFFSET', view) ?? 0;
  if (select.limitOption === 'LIMIT_OPTION_WITH_TIES') {
    throw new SqlError(
      'WITH TIES is not supported in views',
      null,
      'Order by a unique column as well, and write LIMIT.',
    );
  }
  if (limit === null && offset === 0) return query;
  const { plan, order } = query;
  return { ...query, plan: { kind: 'topN', input: plan, partition: [], order, limit, offset, columns: plan.columns } };
}

/** A SELECT list being laid out: plain columns keep their ids, so that a projection of nothing but columns only narrows. */
export class Projection {
  readonly #input: Plan;
  readonly #view: ViewContext;
  readonly #free: Set<ColumnId>;
  readonly #expressions: Expression[] = [];
  readonly #columns: PlanColumn[] = [];

  constructor(input: Plan, view: ViewContext) {
    this.#input = input;
    this.#view = view;
    this.#free = idsOf(input);
  }

  output(name: string, expression: Expression): PlanColumn {
    const own = expression.kind === 'column' && this.#free.delete(expression.id);
    const id = own ? expression.id : this.#view.ids.next();
    const column = { id, name, type: expression.type };
    this.#expressions.push(expression);
    this.#columns.push(column);
    return column;
  }

  /** A column besides the outputs. */
  hidden(expression: Expression): PlanColumn {
    const known = this.#columns[this.#expressions.findIndex((e) => sameExpression(e, expression))];
    return known ?? this.output('sort', expression);
  }

  plan(): Plan {
    return { kind: 'project', input: this.#input, expressions: this.#expressions, columns: this.#columns };
  }
}
