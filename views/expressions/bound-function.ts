import type { Expression } from './expression.ts';
import type { BoundFunction, FunctionDefinition, Implementation } from './functions/definition.ts';
import type { Candidate } from './resolve-candidates.ts';
import { SqlError } from '../sql/sql-error.ts';
import type { SqlType } from '../type.ts';

/** Makes the call that a resolved overload and its arguments, already cast, are. */
export function callOf(
  candidate: Candidate<FunctionDefinition>,
  args: readonly Expression[],
  location: number,
  operator: boolean,
): Expression {
  const { overload, types } = candidate;
  const result = overload.resultOf?.(types) ?? candidate.result;
  const inline = overload.inline;
  const fn: BoundFunction = {
    id: operator ? operatorId(overload.name, types) : `${overload.name}(${types.map(typeId).join(', ')})`,
    args: types,
    result,
    variadic: overload.variadic,
    strict: overload.strict,
    mayFail: overload.mayFail,
    isEquality: overload.isEquality,
    implementation: inline === null ? bindAt(candidate, result, location) : null,
    inline,
    nativeArgs: candidate.declared.map(isNative),
    nativeResult: !pseudoResults.has(overload.result),
  };
  return { kind: 'call', fn, args, type: result, location };
}

function bindAt(candidate: Candidate<FunctionDefinition>, result: SqlType, location: number): Implementation {
  try {
    return candidate.overload.bind(candidate.types, result);
  } catch (error) {
    if (!(error instanceof SqlError) || error.location !== null) throw error;
    throw new SqlError(error.message, location, error.hint);
  }
}

function isNative(type: SqlType | null): boolean {
  return type !== null && type.kind === 'scalar';
}

const pseudoResults: ReadonlySet<string> = new Set([
  'any',
  'anyelement',
  'anynonarray',
  'anyarray',
  'anycompatible',
  'anycompatiblearray',
  'record',
]);

function operatorId(name: string, types: readonly SqlType[]): string {
  const [left, right] = types.map(typeId);
  return right === undefined ? `${name} ${left}` : `${left} ${name} ${right}`;
}

/** A call of a conversion that is in no table: a cast, or the fitting of a value to its type's modifier. */
export function conversionOf(
  arg: Expression,
  type: SqlType,
  location: number,
  conversion: {
    readonly id: string;
    /** null: the same value, of another type. */
    readonly implementation: Implementation | null;
    readonly native: boolean;
    /** Whether the result is in its native form, where that differs. */
    readonly nativeResult?: boolean;
    readonly mayFail: boolean;
  },
): Expression {
  const fn: BoundFunction = {
    id: conversion.id,
    args: [arg.type],
    result: type,
    variadic: false,
    strict: true,
    mayFail: conversion.mayFail,
    isEquality: false,
    implementation: conversion.implementation,
    inline: null,
    nativeArgs: [conversion.native],
    nativeResult: conversion.nativeResult ?? conversion.native,
  };
  return { kind: 'call', fn, args: [arg], type, location };
}

/** Tells any two types apart. */
export function typeId(type: SqlType): string {
  if (type.kind === 'array') return `${typeId(type.element)}[]`;
  if (type.kind === 'scalar') return type.declared ?? type.name;
  return `record(${type.fields.map((field) => `${JSON.stringify(field.name)} ${typeId(field.type)}`).join(', ')})`;
}
