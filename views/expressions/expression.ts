import type { SqlType } from '../type.ts';
import type { Value } from '../value.ts';

/** Identity of a column within one bound query; unique across its subqueries, so that a plan can be rearranged without renaming. */
export type ColumnId = number;

/**
 * A bound scalar expression: names are resolved to columns, overloads to functions, and every implicit cast is a call. What is NULL
 * under which conditions is said per kind; a `strict` function is NULL as soon as one argument is.
 */
export type Expression =
  | { readonly kind: 'column'; readonly id: ColumnId; readonly type: SqlType }
  | { readonly kind: 'literal'; readonly value: Value; readonly type: SqlType }
  | {
      readonly kind: 'call';
      readonly fn: ScalarFunction;
      readonly args: readonly Expression[];
      readonly type: SqlType;
      /** Place in the view's SQL, for errors of single rows. */
      readonly location?: number;
    }
  /** Three-valued: false (true) as soon as one is, else NULL if one is. `args` has two or more. */
  | { readonly kind: 'and' | 'or'; readonly args: readonly Expression[]; readonly type: SqlType }
  | { readonly kind: 'not'; readonly arg: Expression; readonly type: SqlType }
  /** IS NULL; for a record, whether every field is. Never NULL. */
  | { readonly kind: 'isNull'; readonly arg: Expression; readonly type: SqlType }
  /** The first branch whose `when` is true; later ones are not evaluated. */
  | {
      readonly kind: 'case';
      readonly branches: readonly { readonly when: Expression; readonly then: Expression }[];
      readonly otherwise: Expression;
      readonly type: SqlType;
    }
  /** The first argument that is not NULL; later ones are not evaluated. */
  | { readonly kind: 'coalesce'; readonly args: readonly Expression[]; readonly type: SqlType }
  /** ROW(…), and a whole row `t`. Its type is a record with the fields' names. */
  | {
      readonly kind: 'row';
      readonly fields: readonly Expression[];
      readonly type: SqlType;
      /** `t`: compared as one value, in which NULL equals NULL, where ROW(…) is compared field by field. */
      readonly isWhole?: boolean;
    }
  /** ARRAY[…]: one dimension of the element type, or of arrays. */
  | { readonly kind: 'array'; readonly items: readonly Expression[]; readonly type: SqlType };

/**
 * One overload of a function, operator or cast, with its implementation (functions/*.ts). Opaque to plans: they compare functions by
 * `id` alone.
 */
export interface ScalarFunction {
  /** `int4 + int4`, `lower(text)`: unique, for plans, `explain` and sharing. */
  readonly id: string;
  readonly args: readonly SqlType[];
  readonly result: SqlType;
  /** The last argument may repeat. */
  readonly variadic: boolean;
  readonly strict: boolean;
  /** Whether a row can make it fail (division by zero, overflow, a text that is no number …). */
  readonly mayFail: boolean;
  /** How it is told that two columns are equal: the `=` of a type, by which joins and groups find their partners. */
  readonly isEquality: boolean;
}

/** One call of an aggregate in a query. */
export interface AggregateCall {
  readonly id: ColumnId;
  readonly fn: AggregateFunction;
  readonly args: readonly Expression[];
  readonly distinct: boolean;
  readonly order: readonly SortKey[];
  readonly filter: Expression | null;
  readonly type: SqlType;
}

/**
 * One overload of an aggregate (aggregates/*.ts). Linear ones keep a few values per group; the others see the group's rows in order.
 */
export interface AggregateFunction {
  readonly id: string;
  readonly args: readonly SqlType[];
  readonly result: SqlType;
  /** Rows whose first argument is NULL do not count. */
  readonly skipsNull: boolean;
  readonly linear: LinearAggregate | null;
  /** Present when `linear` is not: renders the result from the group's argument rows, in order, each with its weight (> 0). */
  readonly collect: ((rows: Iterable<{ readonly args: readonly Value[]; readonly weight: number }>) => Value) | null;
  /** Non-linear ones that look only at the first row in order: `min` (ascending by its argument), `max` (descending). */
  readonly first: 'ascending' | 'descending' | null;
}

/** An accumulator in `slots` consecutive values of a group's state, which go to disk as they are. */
export interface LinearAggregate {
  readonly slots: number;
  init(into: Value[], at: number): void;
  /** Adds `weight` (may be negative) times one row. Exact: adding and taking out the same row leaves the state as it was. */
  add(state: Value[], at: number, args: readonly Value[], weight: number): void;
  /** Throws a RowError when the result overflows its type. */
  result(state: readonly Value[], at: number): Value;
}

export interface SortKey {
  readonly expression: Expression;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** What is wrong with one row: it goes to the view's dead letters, and the rest of the view goes on. */
export class RowError extends Error {
  override readonly name = 'RowError';
  /** PostgreSQL's SQLSTATE: 22012 division by zero, 22003 out of range, 22P02 not of the form of its type … */
  readonly sqlState: string;

  constructor(sqlState: string, message: string) {
    super(message);
    this.sqlState = sqlState;
  }
}
