import type { SqlName, SqlType } from '../../type.ts';
import { sqlScalar } from '../../type.ts';
import type { Value } from '../../value.ts';
import type { AggregateFunction, LinearAggregate } from '../expression.ts';

/** What an overload of an aggregate takes as an argument: a type, or any. An unknown literal becomes text under `any`. */
export type AggregateArgument = SqlType | 'any';

/** One overload of an aggregate, as resolve.ts chooses among them. */
export interface AggregateDefinition {
  readonly name: string;
  readonly args: readonly AggregateArgument[];
  /** The aggregate for the arguments' types once they have been cast to `args`; null when it does not take them after all (`min(json)`). */
  readonly make: (types: readonly SqlType[]) => AggregateFunction | null;
}

/** One argument row of a group, with how often it is there (> 0). */
export interface WeightedArgs {
  readonly args: readonly Value[];
  readonly weight: number;
}

export function scalarArgs(...names: readonly SqlName[]): SqlType[] {
  return names.map(sqlScalar);
}

/** An overload over given types, kept in a few values per group. */
export function linearAggregate(
  name: string,
  args: readonly SqlName[],
  result: SqlName,
  linear: LinearAggregate,
): AggregateDefinition {
  const types = scalarArgs(...args);
  const fn: AggregateFunction = {
    id: `${name}(${args.join(', ')})`,
    args: types,
    result: sqlScalar(result),
    skipsNull: true,
    linear,
    collect: null,
    first: null,
  };
  return { name, args: types, make: () => fn };
}
