import type { AggregateCall, ColumnId, Expression, SortKey } from '../expressions/expression.ts';
import type { SqlType } from '../type.ts';

/**
 * The typed relational plan of a query: what it means, not how it is kept up to date. Every node gives a bag of rows with the columns
 * of `columns`, in that order; columns are named by ids that are unique within the query. A subplan under `apply` may use
 * columns of its left side (free columns); plans handed to the operators (plan/lower.ts) have neither `apply` nor free columns.
 */
export type Plan =
  | ScanPlan
  | ValuesPlan
  | FilterPlan
  | ProjectPlan
  | JoinPlan
  | ApplyPlan
  | AggregatePlan
  | DistinctPlan
  | TopNPlan
  | UnionPlan
  | SetDifferencePlan
  | ExpandPlan;

export interface PlanColumn {
  readonly id: ColumnId;
  /** As the query names it; for the view's own columns and for `explain`. */
  readonly name: string;
  readonly type: SqlType;
}

interface PlanBase {
  readonly columns: readonly PlanColumn[];
}

/** A table of a source, or another view. */
export interface ScanPlan extends PlanBase {
  readonly kind: 'scan';
  /** Topic of the table (`shop.public.orders`), or `views.<view>`. */
  readonly relation: string;
  /** For each of `columns`, its position in the relation's columns. */
  readonly positions: readonly number[];
  /** Ids of the columns that identify a row, where all of them are among `columns`; empty otherwise. */
  readonly key: readonly ColumnId[];
  /** Ids of columns that are never NULL. */
  readonly notNull?: readonly ColumnId[];
}

/** Rows of constants. */
export interface ValuesPlan extends PlanBase {
  readonly kind: 'values';
  readonly rows: readonly (readonly Expression[])[];
}

export interface FilterPlan extends PlanBase {
  readonly kind: 'filter';
  readonly input: Plan;
  readonly condition: Expression;
}

/** Exactly `columns`, each computed by the expression at its place. */
export interface ProjectPlan extends PlanBase {
  readonly kind: 'project';
  readonly input: Plan;
  readonly expressions: readonly Expression[];
}

/** Columns: left's, then right's (semi, anti: left's only). A right join is a left join with its sides exchanged. */
export interface JoinPlan extends PlanBase {
  readonly kind: 'join';
  readonly type: 'inner' | 'left' | 'full' | 'semi' | 'anti';
  readonly left: Plan;
  readonly right: Plan;
  /** Over the columns of both sides; a literal true for a cross join. */
  readonly condition: Expression;
}

/** For each row of `left`, `right` evaluated with the row's columns. Taken out by plan/decorrelate.ts. */
export interface ApplyPlan extends PlanBase {
  readonly kind: 'apply';
  /** `scalar`: as left, but more than one row of `right` is an error of the row of `left`. */
  readonly type: 'inner' | 'left' | 'semi' | 'anti' | 'scalar';
  readonly left: Plan;
  readonly right: Plan;
  readonly condition: Expression;
}

/** Columns: the keys, then one for each aggregate. Without keys there is always one row, of an empty input too. */
export interface AggregatePlan extends PlanBase {
  readonly kind: 'aggregate';
  readonly input: Plan;
  readonly keys: readonly ColumnId[];
  readonly aggregates: readonly AggregateCall[];
}

export interface DistinctPlan extends PlanBase {
  readonly kind: 'distinct';
  readonly input: Plan;
}

/** The rows `offset` to `offset + limit` of each partition in its order, ties broken by the whole row. `limit` null: all. */
export interface TopNPlan extends PlanBase {
  readonly kind: 'topN';
  readonly input: Plan;
  readonly partition: readonly ColumnId[];
  readonly order: readonly SortKey[];
  readonly limit: number | null;
  readonly offset: number;
  /** The partition may hold one row at most; a second is an error of that partition (a scalar subquery). */
  readonly single?: boolean;
}

/** UNION ALL: column i of each input under `columns[i]`. */
export interface UnionPlan extends PlanBase {
  readonly kind: 'union';
  readonly inputs: readonly Plan[];
}

/** EXCEPT [ALL] and INTERSECT [ALL], by position. */
export interface SetDifferencePlan extends PlanBase {
  readonly kind: 'except' | 'intersect';
  readonly left: Plan;
  readonly right: Plan;
  readonly all: boolean;
}

/** A set-returning function for each row of the input: columns are the input's, then the function's. `left`: a row of NULLs when it gives none. */
export interface ExpandPlan extends PlanBase {
  readonly kind: 'expand';
  readonly input: Plan;
  readonly fn:
    | 'generate_series'
    | 'unnest'
    | 'json_array_elements'
    | 'jsonb_array_elements'
    | 'json_array_elements_text'
    | 'jsonb_array_elements_text';
  readonly args: readonly Expression[];
  readonly ordinality: boolean;
  readonly left: boolean;
}

/** A view as the operators are given it. */
export interface BoundView {
  readonly name: string;
  readonly plan: Plan;
  /** The result's columns: those of `plan`, with the names users see, each different. */
  readonly columns: readonly PlanColumn[];
  /** Positions in `columns` of the declared key; empty when there is none. */
  readonly key: readonly number[];
  /** Ties between rows that `plan.order` leaves open are broken by it; the order of the whole view, for `pipe --final`. */
  readonly order: readonly SortKey[];
  /** So many of the last columns are none of the result: the rows are ordered by them. */
  readonly orderColumns?: number;
}
