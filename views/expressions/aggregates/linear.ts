import type { LinearAggregate } from '../expression.ts';
import type { AggregateDefinition, ArgType } from '../functions/definition.ts';
import { integer } from '../../value.ts';

/** An aggregate over given types that keeps a few values per group; rows whose first argument is NULL do not reach it. */
export function linear(
  name: string,
  args: readonly ArgType[],
  result: ArgType,
  aggregate: LinearAggregate,
): AggregateDefinition {
  return { name, args, result, bind: () => ({ skipsNull: true, linear: aggregate, collect: null, first: null }) };
}

/** `sum + value × weight`, exactly, in the canonical form of integers. */
export function addProduct(sum: number | bigint, value: number | bigint, weight: number): number | bigint {
  if (typeof sum === 'number' && typeof value === 'number') {
    const product = value * weight;
    const next = sum + product;
    // A product beyond 2^53 may be rounded, but then the sum of it and a safe number could be safe only by chance.
    if (Number.isSafeInteger(next) && Number.isSafeInteger(product)) return next;
  }
  return integer(BigInt(sum) + BigInt(value) * BigInt(weight));
}
