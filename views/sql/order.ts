import { orderHint, unorderedIn } from '../expressions/resolve-order.ts';
import { typeName } from '../type.ts';
import { typed } from './constants.ts';
import { locationOf, textsOf, unsupported } from './node.ts';
import { SqlError } from './sql-error.ts';
import type { Expression, SortKey } from '../expressions/expression.ts';
import type { Node, SortBy } from 'libpg-query';

export function sortByOf(node: Node): SortBy {
  if ('SortBy' in node) return node.SortBy;
  throw unsupported('this ORDER BY is', locationOf(node));
}

/** One key of an ORDER BY; `bind` gives the expression for what is written. */
export function sortKey(node: Node, bind: (key: Node) => Expression): SortKey {
  const { node: key, sortby_dir, sortby_nulls, useOp } = sortByOf(node);
  if (key === undefined) throw unsupported('this ORDER BY is', undefined);
  const location = locationOf(key);
  if (sortby_dir === 'SORTBY_USING' && !['<', '>'].includes(textsOf(useOp).at(-1) ?? '')) {
    throw unsupported('ORDER BY … USING is', location, 'Write ASC or DESC.');
  }
  const descending = sortby_dir === 'SORTBY_DESC' || (sortby_dir === 'SORTBY_USING' && textsOf(useOp).at(-1) === '>');
  const nullsFirst = sortby_nulls === 'SORTBY_NULLS_FIRST' || (sortby_nulls !== 'SORTBY_NULLS_LAST' && descending);
  const expression = typed(bind(key), location);
  requireOrdering(expression, location);
  return { expression, descending, nullsFirst };
}

function requireOrdering({ type }: Expression, location: number): void {
  const unordered = unorderedIn(type);
  if (unordered === null) return;
  const what = type === unordered ? 'an ordering operator' : 'a comparison function';
  throw new SqlError(`could not identify ${what} for type ${typeName(unordered)}`, location, orderHint(unordered));
}
