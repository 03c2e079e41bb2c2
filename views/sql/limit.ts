import { castTo } from '../expressions/resolve.ts';
import { sqlScalar } from '../type.ts';
import { simplify } from '../plan/simplify.ts';
import { noCtes } from './context.ts';
import { locationOf, unsupported } from './node.ts';
import { SqlError } from './sql-error.ts';
import type { ViewContext } from './context.ts';
import type { Node } from 'libpg-query';

/** The constant of LIMIT or OFFSET; null for none (also LIMIT ALL and LIMIT NULL). */
export function rowCount(node: Node | undefined, clause: string, view: ViewContext): number | null {
  if (node === undefined) return null;
  const location = locationOf(node);
  if ('SubLink' in node) throw unsupported(`a subquery in ${clause} is`, location, 'Write a constant.');
  const bound = view.expression(node, {
    view,
    scope: { tables: [], columns: [], parent: null },
    ctes: noCtes,
    clause,
    aggregates: null,
    subqueries: null,
  });
  const value = simplify(castTo(bound, sqlScalar('int8'), 'assignment', location));
  if (value.kind !== 'literal') throw unsupported(`a computed ${clause} is`, location, 'Write a constant.');
  if (value.value === null) return null;
  const count = Number(value.value);
  if (count < 0) throw new SqlError(`${clause} must not be negative`, location);
  return count;
}
