import { SqlError } from '../../sql/sql-error.ts';
import type { AggregateFunction, ScalarFunction } from '../expression.ts';
import type { SqlName, SqlType } from '../../type.ts';
import type { Value } from '../../value.ts';

/**
 * How functions, operators, casts and aggregates are defined: tables of definitions by topic in this folder (and ../aggregates), listed
 * in ../registry.ts. ../resolve.ts chooses among them as PostgreSQL does and binds the choice to the types at hand.
 *
 * Implementations get and give values in the *native form* of their declared types (../forms.ts):
 *
 *   bool                         boolean
 *   int2, int4                   number
 *   int8                         number where it is safe, else bigint (`integer` of ../../value.ts)
 *   float4, float8               number (a float4 is already rounded to single precision)
 *   numeric                      Numeric (../numeric.ts)
 *   date, time, interval …       what ../forms.ts says for them
 *   everything else              the Value of rows: its text. That is also the form of every pseudo type ('any', 'anyelement',
 *                                'anyarray', 'record'): such an argument comes exactly as it stands in a row
 *
 * NULL is null in every form. A strict function (the default) is never called with one.
 */
export type ArgType = SqlName | `${SqlName}[]` | PseudoType;

/**
 * `any`: each argument of any type, uncast. `anyelement`, `anynonarray`, `anyarray`: one type throughout the call, the arrays' element type being that of the
 * elements; `anycompatible…`: the same, after a cast to a common type.
 */
export type PseudoType =
  | 'any'
  | 'anyelement'
  | 'anynonarray'
  | 'anyarray'
  | 'anycompatible'
  | 'anycompatiblearray'
  | 'record';

export type Native = Value | object;

/** An implementation; written with the exact types of its parameters. Throws RowError for what PostgreSQL would refuse. */
export type Implementation = (...args: never[]) => Native;

export interface FunctionDefinition {
  /** In lower case; an operator's is its symbol, a unary one has one argument. */
  readonly name: string;
  readonly args: readonly ArgType[];
  readonly result: ArgType;
  /** The last of `args` may repeat, once or more. */
  readonly variadic: boolean;
  readonly strict: boolean;
  readonly mayFail: boolean;
  readonly isEquality: boolean;
  /** The implementation for the given actual types; called once for each call in a query. */
  readonly bind: (types: readonly SqlType[], result: SqlType) => Implementation;
  /**
   * JavaScript that computes it, from the names of variables that hold the arguments (each may be used several times), instead of a
   * call. For strict functions whose code is one short expression; it may use nothing but its arguments.
   */
  readonly inline: ((...args: string[]) => string) | null;
  /** The type of the result where `result` does not say it (records, say). */
  readonly resultOf: ((types: readonly SqlType[]) => SqlType) | null;
}

export interface DefinitionOptions {
  readonly variadic?: boolean;
  /** Default true: NULL as soon as an argument is. */
  readonly strict?: boolean;
  /** Default false. */
  readonly mayFail?: boolean;
  readonly isEquality?: boolean;
  readonly resultOf?: (types: readonly SqlType[]) => SqlType;
}

/** `define('lower', ['text'], 'text', (value: string) => value.toLowerCase())` */
export function define(
  name: string,
  args: readonly ArgType[],
  result: ArgType,
  implementation: Implementation,
  options: DefinitionOptions = {},
): FunctionDefinition {
  return complete(name, args, result, () => implementation, null, options);
}

/** A function whose implementation depends on the types of its arguments: `to_json(any)`. */
export function definePolymorphic(
  name: string,
  args: readonly ArgType[],
  result: ArgType,
  bind: FunctionDefinition['bind'],
  options: DefinitionOptions = {},
): FunctionDefinition {
  return complete(name, args, result, bind, null, options);
}

/** `defineInline('<', ['int4', 'int4'], 'bool', (a, b) => `${a} < ${b}`)` */
export function defineInline(
  name: string,
  args: readonly ArgType[],
  result: ArgType,
  inline: (...args: string[]) => string,
  options: DefinitionOptions = {},
): FunctionDefinition {
  return complete(name, args, result, neverCalled, inline, options);
}

/**
 * An overload that PostgreSQL has and views do not: without it a call that means it would be taken for another one.
 */
export function refuse(name: string, args: readonly ArgType[], result: ArgType, hint: string): FunctionDefinition {
  const bind = (): Implementation => {
    throw new SqlError(`function ${name}(${args.join(', ')}) is not supported in views`, null, hint);
  };
  return complete(name, args, result, bind, null, {});
}

function complete(
  name: string,
  args: readonly ArgType[],
  result: ArgType,
  bind: FunctionDefinition['bind'],
  inline: FunctionDefinition['inline'],
  options: DefinitionOptions,
): FunctionDefinition {
  return {
    name,
    args,
    result,
    variadic: options.variadic ?? false,
    strict: options.strict ?? true,
    mayFail: options.mayFail ?? false,
    isEquality: options.isEquality ?? false,
    bind,
    inline,
    resultOf: options.resultOf ?? null,
  };
}

function neverCalled(): Implementation {
  return () => null;
}

/** When a cast is made without being asked for: everywhere, when a value is stored into a column, or never. */
export type CastContext = 'implicit' | 'assignment' | 'explicit';

/**
 * A cast between two types, in native forms. Casts to and from text that no definition names go through the types' output and input
 * (../forms.ts), as in PostgreSQL: to text on assignment, from text when asked for.
 */
export interface CastDefinition {
  readonly from: SqlName;
  readonly to: SqlName;
  readonly context: CastContext;
  readonly mayFail: boolean;
  /** null: the native form is the same, nothing is to be done. */
  readonly convert: Implementation | null;
  readonly inline: ((arg: string) => string) | null;
}

export function defineCast(
  from: SqlName,
  to: SqlName,
  context: CastContext,
  convert: Implementation | null,
  options: { readonly mayFail?: boolean } = {},
): CastDefinition {
  return { from, to, context, convert, inline: null, mayFail: options.mayFail ?? false };
}

/**
 * How a value is made to fit a type modifier (`varchar(3)`, `numeric(5,2)`, `timestamp(0)`). `typmod` is packed as in pg_attribute.atttypmod:
 * n + 4 for characters, ((p << 16) | s) + 4 for numeric, the precision for times. Not explicit: too long a text is an error.
 */
export interface TypmodDefinition {
  readonly type: SqlName;
  readonly mayFail: boolean;
  readonly apply: (value: never, typmod: number, explicit: boolean) => Native;
}

/** Aggregates get and give Values as they stand in rows. */
export interface AggregateDefinition {
  readonly name: string;
  /** Empty for count(*). */
  readonly args: readonly ArgType[];
  readonly result: ArgType;
  readonly variadic?: boolean;
  readonly bind: (
    types: readonly SqlType[],
    result: SqlType,
  ) => Pick<AggregateFunction, 'skipsNull' | 'linear' | 'collect' | 'first'>;
  readonly resultOf?: (types: readonly SqlType[]) => SqlType;
}

/** A ScalarFunction with what compile.ts needs of it. */
export interface BoundFunction extends ScalarFunction {
  /** In native forms, as the definition says; null when there is only `inline`. */
  readonly implementation: Implementation | null;
  readonly inline: ((...args: string[]) => string) | null;
  /** For each argument, whether it comes in the native form of its type; else as it stands in a row. The last holds for repeated ones. */
  readonly nativeArgs: readonly boolean[];
  readonly nativeResult: boolean;
}
