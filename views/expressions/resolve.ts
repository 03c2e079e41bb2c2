import { present } from '../../base/assert.ts';
import { SqlError } from '../sql/sql-error.ts';
import { sameType, sqlScalar, typeName } from '../type.ts';
import type { SqlType } from '../type.ts';
import { branch } from './branch.ts';
import { callOf, typeId } from './bound-function.ts';
import type { AggregateCall, ColumnId, Expression, SortKey } from './expression.ts';
import type { CastContext, FunctionDefinition } from './functions/definition.ts';
import { fuseJson, fuseJsonArguments } from './json-fusion.ts';
import { aggregatesNamed, functionsNamed, operatorsNamed } from './registry.ts';
import { selectOverload, widerOf } from './resolve-candidates.ts';
import type { Candidate, Overload } from './resolve-candidates.ts';
import { convertTo } from './resolve-cast.ts';
import { noFunction, noOperator, refusal } from './resolve-errors.ts';
import { readTypeName, scalarNamed } from './resolve-names.ts';
import { requireDistinctOrder, requireOrder } from './resolve-order.ts';
import { compareRowValues } from './resolve-rows.ts';
import { isUnknown } from './resolve-types.ts';

/**
 * Resolution of calls, operators and casts as chapter 10 of PostgreSQL's manual describes it. Arguments are bound expressions, literals
 * without a type are of type `unknown`; results have every implicit cast inserted. Throws SqlError in PostgreSQL's words.
 */
export function callFunction(qualified: string, args: readonly Expression[], location: number): Expression {
  const name = qualified.replace(/^pg_catalog\./, '');
  const special = specialCall(name, args, location);
  if (special !== null) return special;
  const overloads = functionsNamed(name);
  const types = args.map(({ type }) => type);
  requireOrder(name, types, location);
  const chosen = selectOverload(overloads, types);
  if (chosen === 'ambiguous') {
    throw new SqlError(
      `function ${name}(${types.map(typeName).join(', ')}) is not unique`,
      location,
      'Could not choose a best candidate function. Add explicit type casts to the arguments.',
    );
  }
  if (chosen !== null) return fuseJson(name, bindCall(chosen, args, location, false));
  const type = args.length === 1 ? scalarNamed(name) : null;
  if (type !== null) return castTo(present(args[0], 'argument'), type, 'explicit', location);
  throw noFunction(name, types, overloads, location);
}

/** What the grammar or the parser treat apart, and what would not give the same answer each time. */
function specialCall(name: string, args: readonly Expression[], location: number): Expression | null {
  const reason = refusal(name, args.length);
  if (reason !== null) throw new SqlError(reason.message, location, reason.hint);
  if ((name === 'greatest' || name === 'least' || name === 'coalesce') && args.length > 0) {
    const type = commonType(args, name.toUpperCase(), location);
    const cast = args.map((arg) => castTo(arg, type, 'implicit', location));
    requireOrder(name, [type], location);
    if (name === 'coalesce') return { kind: 'coalesce', args: cast, type };
    const chosen = selectOverload(
      functionsNamed(name),
      cast.map((arg) => arg.type),
    );
    if (chosen !== null && chosen !== 'ambiguous') return bindCall(chosen, cast, location, false);
  }
  const [left, right] = args;
  if (name === 'nullif' && left !== undefined && right !== undefined && args.length === 2) {
    return nullIf(left, right, location);
  }
  return null;
}

/** The result is the left argument as `=` takes it: nullif(int4, numeric) is a numeric. */
function nullIf(left: Expression, right: Expression, location: number): Expression {
  const when = equality(left, right, location);
  const compared = when.kind === 'call' ? present(when.args[0], 'argument') : left;
  const { type } = compared;
  return {
    kind: 'case',
    branches: [branch(when, { kind: 'literal', value: null, type })],
    otherwise: compared,
    type,
  };
}

/** Binary, or unary when there is one argument (`-`, `+`, `~`). LIKE is `~~`, ILIKE `~~*`, with NOT `!~~` and `!~~*`. */
export function callOperator(op: string, args: readonly Expression[], location: number): Expression {
  const [left, right] = args;
  if (left?.kind === 'row' && right?.kind === 'row' && left.isWhole !== true && right.isWhole !== true) {
    const compared = compareRowValues(op, left.fields, right.fields, location, callOperator);
    if (compared !== null) return compared;
  }
  const name = op === '!=' ? '<>' : op;
  const overloads = operatorsNamed(name).filter(({ args: parameters }) => parameters.length === args.length);
  const types = args.map(({ type }) => type);
  requireOrder(name, types, location);
  const chosen = sameOnBothSides(overloads, types) ?? selectOverload(overloads, types);
  if (chosen === 'ambiguous') {
    throw new SqlError(
      `operator is not unique: ${operatorText(op, types)}`,
      location,
      'Could not choose a best candidate operator. Add explicit type casts to the operands.',
    );
  }
  if (chosen === null) throw noOperator(op, operatorText(op, types), types, overloads, location);
  return bindCall(chosen, args, location, true);
}

/** A literal without a type beside a typed operand is first tried as of that type. */
function sameOnBothSides(
  overloads: readonly FunctionDefinition[],
  types: readonly SqlType[],
): Candidate<FunctionDefinition> | null {
  const [left, right] = types;
  if (left === undefined || right === undefined || isUnknown(left) === isUnknown(right)) return null;
  const type = isUnknown(left) ? right : left;
  const chosen = selectOverload(overloads, [type, type]);
  if (chosen === null || chosen === 'ambiguous') return null;
  return chosen.types.every((own, index) => sameType(own, type) && chosen.declared[index] !== null) ? chosen : null;
}

function operatorText(op: string, types: readonly SqlType[]): string {
  const [left, right] = types.map(typeName);
  return right === undefined ? `${op} ${left}` : `${left} ${op} ${right}`;
}

function bindCall(
  candidate: Candidate<FunctionDefinition>,
  args: readonly Expression[],
  location: number,
  operator: boolean,
): Expression {
  return callOf(candidate, castAll(candidate, args, location), location, operator);
}

function castAll(candidate: Candidate<Overload>, args: readonly Expression[], location: number): Expression[] {
  return args.map((arg, index) => castTo(arg, present(candidate.types[index], 'type'), 'implicit', location));
}

/** `left = right`, with the implicit casts of both. */
export function equality(left: Expression, right: Expression, location: number): Expression {
  return callOperator('=', [left, right], location);
}

/**
 * `arg` as a value of `type`; the same expression where nothing is to be done. A literal without a type is read as the type's input function reads it, and
 * becomes a literal of the type. `typmod` is what typeFromName gave.
 */
export function castTo(
  arg: Expression,
  type: SqlType,
  context: CastContext,
  location: number,
  typmod?: number,
): Expression {
  return convertTo(arg, type, context, location, typmod);
}

/**
 * A type's name as the parser gives it (`pg_catalog`, `int4`), its modifiers as integers, and the number of `[]` after it. `typmod` is for
 * castTo.
 */
export function typeFromName(
  qualified: readonly string[],
  typmods: readonly number[],
  dimensions: number,
  location: number,
): { type: SqlType; typmod?: number } {
  return readTypeName(qualified, typmods, dimensions, location);
}

/** The common type of CASE, COALESCE, UNION, VALUES, ARRAY (`what`, for messages: `CASE`, `UNION` …); the caller casts. */
export function commonType(args: readonly Expression[], what: string, location: number): SqlType {
  let common: SqlType = sqlScalar('unknown');
  for (const { type } of args) {
    const wider = widerOf(common, type);
    if (wider === null) {
      throw new SqlError(
        `${what} types ${typeName(common)} and ${typeName(type)} cannot be matched`,
        location,
        `Cast one of them: CAST(… AS ${typeName(common)}).`,
      );
    }
    common = wider;
  }
  return isUnknown(common) ? sqlScalar('text') : common;
}

export interface AggregateOptions {
  readonly id: ColumnId;
  readonly distinct: boolean;
  readonly order: readonly SortKey[];
  readonly filter: Expression | null;
}

export function callAggregate(
  called: string,
  given: readonly Expression[],
  options: AggregateOptions,
  location: number,
): AggregateCall {
  const { name, args } = options.distinct ? { name: called, args: given } : fuseJsonArguments(called, given);
  const types = args.map(({ type }) => type);
  requireOrder(name, types, location);
  if (options.distinct) requireDistinctOrder(name, types, location);
  const overloads = aggregatesNamed(name);
  const chosen = selectOverload(overloads, types);
  if (chosen === null || chosen === 'ambiguous') throw noFunction(name, types, overloads, location);
  const { overload } = chosen;
  const result = overload.resultOf?.(chosen.types) ?? chosen.result;
  const fn = {
    id: `${name}(${chosen.types.map(typeId).join(', ')})`,
    args: chosen.types,
    result,
    ...overload.bind(chosen.types, result),
  };
  return { ...options, fn, args: castAll(chosen, args, location), type: result };
}

export function isAggregate(name: string): boolean {
  return aggregatesNamed(name).length > 0;
}
