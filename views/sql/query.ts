import { castTo, commonType } from '../expressions/resolve.ts';
import { columnOf } from '../plan/expressions.ts';
import { limited } from './output.ts';
import { locationOf, textsOf, unsupported } from './node.ts';
import { sortKey } from './order.ts';
import { bindSelectCore } from './select.ts';
import { bindSetOperation } from './set-operation.ts';
import { SqlError } from './sql-error.ts';
import type { Expression } from '../expressions/expression.ts';
import type { PlanColumn } from '../plan/plan.ts';
import type { BoundQuery, Ctes, QueryContext, ViewContext } from './context.ts';
import type { CommonTableExpr, Node, SelectStmt, WithClause } from 'libpg-query';

/** Any SELECT: with its CTEs, a set operation, VALUES, or a plain one. */
export function bindQuery(select: SelectStmt, context: QueryContext, view: ViewContext): BoundQuery {
  refuseClauses(select, view);
  const ctes = select.withClause === undefined ? context.ctes : bindCtes(select.withClause, context, view);
  const inner: QueryContext = { scope: context.scope, ctes };
  if (select.op !== undefined && select.op !== 'SETOP_NONE') {
    return orderedByOutputs(bindSetOperation(select, inner, view), select, view);
  }
  if (select.valuesLists !== undefined) {
    return orderedByOutputs(bindValues(select.valuesLists, inner, view), select, view);
  }
  return bindSelectCore(select, { view, ctes, outer: context.scope });
}

function refuseClauses(select: SelectStmt, view: ViewContext): void {
  if (select.intoClause !== undefined)
    throw unsupported('SELECT INTO is', select.intoClause.rel?.location, 'Leave INTO out.');
  if (select.lockingClause !== undefined) {
    const location = lockingPlace(view.sql);
    throw new SqlError(
      'FOR UPDATE and FOR SHARE are not supported in views',
      location,
      'Leave it out: a view does not lock rows.',
    );
  }
  const [window] = select.windowClause ?? [];
  if (window !== undefined)
    throw unsupported(
      'window functions (WINDOW) are',
      locationOf(window),
      'For the first rows of each group use DISTINCT ON.',
    );
}

/** The parser does not say where a locking clause stands. */
function lockingPlace(sql: string): number | null {
  const found = [...sql.matchAll(/\bfor\s+(no\s+key\s+|key\s+)?(update|share)\b/gi)].at(-1);
  return found === undefined ? null : Buffer.byteLength(sql.slice(0, found.index));
}

function bindCtes(clause: WithClause, context: QueryContext, view: ViewContext): Ctes {
  if (clause.recursive === true) {
    throw unsupported('WITH RECURSIVE is', clause.location, 'Join the table with itself, once for each level.');
  }
  const byName = new Map<string, BoundQuery>();
  const ctes: Ctes = { byName, parent: context.ctes };
  for (const node of clause.ctes ?? []) {
    if (!('CommonTableExpr' in node)) continue;
    const cte = node.CommonTableExpr;
    const name = cte.ctename ?? '';
    if (byName.has(name)) throw new SqlError(`WITH query name "${name}" specified more than once`, cte.location ?? 0);
    // It sees those before it only.
    const before: Ctes = { byName: new Map(byName), parent: context.ctes };
    byName.set(name, bindCte(cte, { scope: context.scope, ctes: before }, view));
  }
  return ctes;
}

function bindCte(cte: CommonTableExpr, context: QueryContext, view: ViewContext): BoundQuery {
  const { ctequery, location = 0 } = cte;
  if (ctequery === undefined || !('SelectStmt' in ctequery)) {
    throw unsupported('a WITH query that changes data is', location, 'Write a SELECT.');
  }
  const query = view.query(ctequery.SelectStmt, context);
  const names = textsOf(cte.aliascolnames);
  if (names.length > query.outputs.length) {
    throw new SqlError(
      `WITH query "${cte.ctename ?? ''}" has ${query.outputs.length} columns available but ${names.length} columns specified`,
      location,
    );
  }
  return {
    ...query,
    outputs: query.outputs.map((column, index) => ({ ...column, name: names[index] ?? column.name })),
  };
}

function bindValues(lists: readonly Node[], context: QueryContext, view: ViewContext): BoundQuery {
  const expression = {
    view,
    scope: { tables: [], columns: [], parent: context.scope },
    ctes: context.ctes,
    clause: 'VALUES',
    aggregates: null,
    subqueries: null,
  };
  const items = lists.map((list) => ('List' in list ? (list.List.items ?? []) : []));
  const rows = items.map((row) => row.map((item) => view.expression(item, expression)));
  const width = rows[0]?.length ?? 0;
  const odd = rows.findIndex((row) => row.length !== width);
  if (odd >= 0) throw new SqlError('VALUES lists must all be the same length', locationOf(items[odd]?.[0]));
  const outputs: PlanColumn[] = [];
  for (let at = 0; at < width; at++) {
    const column = rows.flatMap((row) => row[at] ?? []);
    outputs.push(view.ids.column(`column${at + 1}`, commonType(column, 'VALUES', locationOf(items[0]?.[at]))));
  }
  const cast = (e: Expression, at: number, place: Node | undefined): Expression => {
    const column = outputs[at];
    return column === undefined ? e : castTo(e, column.type, 'implicit', locationOf(place));
  };
  const typedRows = rows.map((row, line) => row.map((e, at) => cast(e, at, items[line]?.[at])));
  return { plan: { kind: 'values', rows: typedRows, columns: outputs }, outputs, order: [], untyped: new Map() };
}

/** ORDER BY of a set operation or of VALUES: by the name or the place of an output. */
function orderedByOutputs(query: BoundQuery, select: SelectStmt, view: ViewContext): BoundQuery {
  const order = (select.sortClause ?? []).map((node) =>
    sortKey(node, (key) => {
      const column = outputNamed(key, query);
      if (column !== undefined) return columnOf(column);
      throw new SqlError(
        'invalid UNION/INTERSECT/EXCEPT ORDER BY clause: only result column names can be used',
        locationOf(key),
        'Put the set operation into FROM, and order by the expression there.',
      );
    }),
  );
  return limited({ ...query, order }, select, view);
}

function outputNamed(key: Node, { outputs }: BoundQuery): PlanColumn | undefined {
  if ('A_Const' in key && key.A_Const.ival !== undefined) {
    const ordinal = key.A_Const.ival.ival ?? 0;
    const column = outputs[ordinal - 1];
    if (column === undefined) throw new SqlError(`ORDER BY position ${ordinal} is not in select list`, locationOf(key));
    return column;
  }
  if (!('ColumnRef' in key)) return undefined;
  const names = textsOf(key.ColumnRef.fields);
  return names.length === 1 ? outputs.find(({ name }) => name === names[0]) : undefined;
}
