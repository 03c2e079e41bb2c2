import { SqlError } from '../sql/sql-error.ts';
import { typeName } from '../type.ts';
import type { SqlType } from '../type.ts';

/**
 * Types whose values views can carry and tell apart, and not put in order: json has none, and that of an enum's labels, of networks or
 * ranges is the database's own. What needs an order is refused, so that it is never the order of their texts by mistake.
 */

const ordering: ReadonlySet<string> = new Set(['<', '<=', '>', '>=', 'greatest', 'least', 'min', 'max', 'array_sort']);
/** Aggregates that put what is DISTINCT in order. */
const collecting: ReadonlySet<string> = new Set([
  'array_agg',
  'json_agg',
  'jsonb_agg',
  'json_object_agg',
  'jsonb_object_agg',
]);

/** The type in `type`, or itself, whose order is not known; null when there is none. */
export function unorderedIn(type: SqlType): SqlType | null {
  if (type.kind === 'array') return unorderedIn(type.element);
  if (type.kind === 'scalar') return type.name === 'json' || type.name === 'other' ? type : null;
  for (const field of type.fields) {
    const found = unorderedIn(field.type);
    if (found !== null) return found;
  }
  return null;
}

/** What to write instead of an order of `type`. */
export function orderHint(type: SqlType): string {
  return type.kind === 'scalar' && type.name === 'json'
    ? 'Cast it to jsonb or to text.'
    : `Views do not know the order of ${typeName(type)}, as of an enum's labels: order and compare its text (x::text), or numbers that a CASE gives.`;
}

/** SqlError where a function or operator would compare values whose order is not known. `x < ANY (array)` is called `< any`. */
export function requireOrder(name: string, types: readonly SqlType[], location: number): void {
  if (!ordering.has(name.replace(/ (any|all)$/, ''))) return;
  refuseUnordered(types, location);
}

/** SqlError for DISTINCT in an aggregate whose result would be in that order. */
export function requireDistinctOrder(aggregate: string, types: readonly SqlType[], location: number): void {
  if (collecting.has(aggregate)) refuseUnordered(types, location);
}

function refuseUnordered(types: readonly SqlType[], location: number): void {
  for (const type of types) {
    const unordered = unorderedIn(type);
    // json in a call that does not take it is told of in PostgreSQL's words.
    if (unordered === null || (type === unordered && type.kind === 'scalar' && type.name === 'json')) continue;
    throw new SqlError(
      `could not identify a comparison function for type ${typeName(unordered)}`,
      location,
      orderHint(unordered),
    );
  }
}
