import type { Expression, SortKey } from '../expressions/expression.ts';
import type { Ids } from '../plan/columns.ts';
import type { Plan, PlanColumn } from '../plan/plan.ts';
import type { Catalog } from './catalog.ts';
import type { AggregateSink, Subquery } from './aggregate-sink.ts';
import type { Scope } from './scope.ts';
import type { Node, SelectStmt } from 'libpg-query';

/** What binding one view shares, and the two functions by which its files call one another. */
export interface ViewContext {
  readonly sql: string;
  readonly catalog: Catalog;
  readonly ids: Ids;
  /** Where columns were written, for errors that are found later. */
  readonly places: WeakMap<Expression, number>;
  expression(node: Node | undefined, context: ExpressionContext): Expression;
  query(select: SelectStmt, context: QueryContext): BoundQuery;
}

/** Around a query: the names of outer queries, and CTEs. */
export interface QueryContext {
  readonly scope: Scope | null;
  readonly ctes: Ctes;
}

export interface BoundQuery {
  /** Its columns are `outputs`, then those that `order` needs besides. */
  readonly plan: Plan;
  readonly outputs: readonly PlanColumn[];
  /** ORDER BY; without LIMIT it is not part of the plan. */
  readonly order: readonly SortKey[];
  /** Outputs that are literals without a type, by position: as text in the plan, for UNION to give them another one. */
  readonly untyped: ReadonlyMap<number, Expression>;
}

export interface Ctes {
  readonly byName: ReadonlyMap<string, BoundQuery>;
  readonly parent: Ctes | null;
}

/** Around an expression. */
export interface ExpressionContext {
  readonly view: ViewContext;
  readonly scope: Scope;
  readonly ctes: Ctes;
  /** For messages: `WHERE`, `JOIN conditions` … */
  readonly clause: string;
  /** Takes the aggregates; null where there can be none. */
  readonly aggregates: AggregateSink | null;
  /** Takes the subqueries, to be applied to the plan whose rows the expression sees; null where there can be none. */
  readonly subqueries: Subquery[] | null;
}

export function findCte(ctes: Ctes, name: string): BoundQuery | undefined {
  for (let level: Ctes | null = ctes; level !== null; level = level.parent) {
    const found = level.byName.get(name);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function cteNames(ctes: Ctes): string[] {
  return [...ctes.byName.keys(), ...(ctes.parent === null ? [] : cteNames(ctes.parent))];
}

export const noCtes: Ctes = { byName: new Map(), parent: null };

/** `plan` with the subqueries' columns beside its own. */
export function withSubqueries(plan: Plan, subqueries: readonly Subquery[]): Plan {
  return subqueries.reduce<Plan>((left, { type, plan: right, condition }) => {
    const columns = type === 'semi' || type === 'anti' ? left.columns : [...left.columns, ...right.columns];
    return { kind: 'apply', type, left, right, condition, columns };
  }, plan);
}
