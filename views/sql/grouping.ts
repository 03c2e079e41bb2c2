import { columnOf, rewrite, sameExpression, uses } from '../plan/expressions.ts';
import { freeColumns, idsOf, rewritePlan } from '../plan/columns.ts';
import { withSubqueries } from './context.ts';
import { quoted } from './nearest.ts';
import { SqlError } from './sql-error.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';
import type { Plan, PlanColumn } from '../plan/plan.ts';
import type { AggregateSink, Subquery } from './aggregate-sink.ts';
import type { ViewContext } from './context.ts';
import type { From, FromTable } from './scope.ts';

interface GroupKey {
  readonly expression: Expression;
  readonly column: PlanColumn;
}

/**
 * A grouped query's rows: its keys, then its aggregates. Expressions of SELECT, HAVING and ORDER BY are bound over the rows of FROM
 * first; `over` then says them over the groups, or that a column is neither grouped nor aggregated.
 */
export class Grouping {
  readonly #from: From;
  readonly #view: ViewContext;
  readonly #keys: GroupKey[] = [];
  /** Columns of FROM, which an expression over groups cannot use. */
  readonly #rows: Set<ColumnId>;

  constructor(from: From, input: Plan, keys: readonly Expression[], sink: AggregateSink, view: ViewContext) {
    this.#from = from;
    this.#view = view;
    this.#rows = idsOf(input);
    for (const { plan } of sink.subqueries) for (const { id } of plan.columns) this.#rows.add(id);
    for (const key of keys) this.#add(key);
  }

  #add(expression: Expression): void {
    if (this.#keys.some((key) => sameExpression(key.expression, expression))) return;
    const own = expression.kind === 'column' && this.#rows.has(expression.id);
    const column = own
      ? { id: expression.id, name: this.#nameOf(expression.id), type: expression.type }
      : this.#view.ids.column('key', expression.type);
    this.#keys.push({ expression, column });
  }

  over(e: Expression): Expression {
    return rewrite(e, (part) => {
      const key = this.#keys.find(({ expression }) => sameExpression(expression, part));
      if (key !== undefined && uses(key.expression, this.#rows)) return columnOf(key.column);
      if (part.kind !== 'column' || !this.#rows.has(part.id)) return undefined;
      return this.#dependent(part);
    });
  }

  /** The subquery with what it uses of the query's rows said over the groups. */
  overSubquery(subquery: Subquery): Subquery {
    const correlated = [...freeColumns(subquery.plan)].some((id) => this.#rows.has(id));
    const plan = correlated ? rewritePlan(subquery.plan, (e) => this.over(e)) : subquery.plan;
    return { ...subquery, plan, condition: this.over(subquery.condition) };
  }

  /** The groups of the rows of `input`. To be called last: `over` may add keys. */
  plan(input: Plan, { calls, subqueries }: AggregateSink): Plan {
    let rows = withSubqueries(input, subqueries);
    const computed = this.#keys.filter(({ column }) => !this.#rows.has(column.id));
    if (computed.length > 0) {
      rows = {
        kind: 'project',
        input: rows,
        expressions: [...rows.columns.map(columnOf), ...computed.map(({ expression }) => expression)],
        columns: [...rows.columns, ...computed.map(({ column }) => column)],
      };
    }
    const keys = this.#keys.map(({ column }) => column);
    return {
      kind: 'aggregate',
      input: rows,
      keys: keys.map(({ id }) => id),
      aggregates: calls,
      columns: [
        ...keys,
        ...calls.map((call) => ({ id: call.id, name: call.fn.id.split('(')[0] ?? '', type: call.type })),
      ],
    };
  }

  /** A column that follows from the grouped primary key of its table is a key as well. */
  #dependent(column: Extract<Expression, { kind: 'column' }>): Expression {
    const table = this.#tableOf(column.id);
    const grouped = (id: ColumnId): boolean => this.#keys.some((key) => key.column.id === id);
    if (table !== undefined && table.key.length > 0 && table.key.every(grouped)) {
      this.#add(column);
      return column;
    }
    const name = `${table === undefined || table.name === '' ? '' : `${quoted(table.name)}.`}${quoted(this.#nameOf(column.id))}`;
    throw new SqlError(
      `column "${name}" must appear in the GROUP BY clause or be used in an aggregate function`,
      this.#view.places.get(column) ?? null,
      `Add ${name} to GROUP BY, or write max(${name}).`,
    );
  }

  #tableOf(id: ColumnId): FromTable | undefined {
    return this.#from.tables.find(({ columns }) => columns.some((column) => column.id === id));
  }

  #nameOf(id: ColumnId): string {
    return this.#tableOf(id)?.columns.find((column) => column.id === id)?.name ?? 'column';
  }
}
