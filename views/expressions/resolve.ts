import { TidemarkError } from '../../base/errors.ts';
import type { AggregateCall, ColumnId, Expression, SortKey } from './expression.ts';
import type { CastContext } from './functions/definition.ts';
import type { SqlType } from '../type.ts';

/**
 * Resolution of calls, operators and casts as chapter 10 of PostgreSQL's manual describes it. Arguments are bound expressions, literals
 * without a type are of type `unknown`; results have every implicit cast inserted. Throws SqlError in PostgreSQL's words.
 */
export function callFunction(_name: string, _args: readonly Expression[], _location: number): Expression {
  throw new TidemarkError('INTERNAL', 'not written yet');
}

/** Binary, or unary when there is one argument (`-`, `+`, `~`). LIKE is `~~`, ILIKE `~~*`, with NOT `!~~` and `!~~*`. */
export function callOperator(_op: string, _args: readonly Expression[], _location: number): Expression {
  throw new TidemarkError('INTERNAL', 'not written yet');
}

export function castTo(
  _arg: Expression,
  _type: SqlType,
  _context: CastContext,
  _location: number,
  _typmod?: number,
): Expression {
  throw new TidemarkError('INTERNAL', 'not written yet');
}

/** The common type of CASE, COALESCE, UNION, VALUES, ARRAY (`what`, for messages: `CASE`, `UNION` …); the caller casts. */
export function commonType(_args: readonly Expression[], _what: string, _location: number): SqlType {
  throw new TidemarkError('INTERNAL', 'not written yet');
}

export interface AggregateOptions {
  readonly id: ColumnId;
  readonly distinct: boolean;
  readonly order: readonly SortKey[];
  readonly filter: Expression | null;
}

export function callAggregate(
  _name: string,
  _args: readonly Expression[],
  _options: AggregateOptions,
  _location: number,
): AggregateCall {
  throw new TidemarkError('INTERNAL', 'not written yet');
}

export function isAggregate(_name: string): boolean {
  throw new TidemarkError('INTERNAL', 'not written yet');
}

/** A type's name as the parser gives it (`pg_catalog`, `int4`), its modifiers as integers, and the number of `[]` after it. */
export function typeFromName(
  _names: readonly string[],
  _typmods: readonly number[],
  _dimensions: number,
  _location: number,
): { type: SqlType; typmod?: number } {
  throw new TidemarkError('INTERNAL', 'not written yet');
}

/** `left = right`, with the implicit casts of both. */
export function equality(left: Expression, right: Expression, location: number): Expression {
  return callOperator('=', [left, right], location);
}
