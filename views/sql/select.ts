import { columnsIn, sameExpression } from '../plan/expressions.ts';
import { bindCondition, filtered } from './conditions.ts';
import { typed } from './constants.ts';
import { withSubqueries } from './context.ts';
import { bindFrom } from './from.ts';
import { Grouping } from './grouping.ts';
import { locationOf, sameTree, textsOf, unsupported } from './node.ts';
import { sortByOf, sortKey } from './order.ts';
import { finish } from './output.ts';
import { SqlError } from './sql-error.ts';
import { requireEquality } from './subquery.ts';
import { bindTargets, targetOfName, targetOfOrdinal } from './targets.ts';
import type { Expression, SortKey } from '../expressions/expression.ts';
import type { Plan } from '../plan/plan.ts';
import type { AggregateSink, Subquery } from './aggregate-sink.ts';
import type { BoundQuery, Ctes, ExpressionContext, ViewContext } from './context.ts';
import type { From, Scope } from './scope.ts';
import type { Target } from './targets.ts';
import type { Node, SelectStmt } from 'libpg-query';

export interface SelectContext {
  readonly view: ViewContext;
  readonly ctes: Ctes;
  readonly outer: Scope | null;
}

/** One SELECT … FROM … WHERE … GROUP BY … HAVING … with its ORDER BY and LIMIT. */
export function bindSelectCore(select: SelectStmt, context: SelectContext): BoundQuery {
  const from = bindFrom(select.fromClause, context);
  const scope: Scope = { tables: from.tables, columns: from.columns, parent: context.outer };
  const rows = bindWhere(select, from, scope, context);
  const sink: AggregateSink = { calls: [], subqueries: [], order: from.order ?? [] };
  const subqueries: Subquery[] = [];
  const base = { view: context.view, scope, ctes: context.ctes };
  const outputs: ExpressionContext = { ...base, clause: 'SELECT', aggregates: sink, subqueries };
  const targets = bindTargets(select.targetList, outputs);
  const keys = (select.groupClause ?? []).map((node) =>
    groupKey(node, targets, sink, { ...base, clause: 'GROUP BY', aggregates: null, subqueries: sink.subqueries }),
  );
  const having =
    select.havingClause === undefined ? null : bindCondition(select.havingClause, { ...outputs, clause: 'HAVING' });
  const order = (select.sortClause ?? []).map((node) => orderKey(node, targets, outputs));
  const distinctOn = distinctKeys(select, targets, outputs);

  if (keys.length === 0 && sink.calls.length === 0 && having === null) {
    const input = withSubqueries(rows, subqueries);
    return finish({ select, input, targets, order, distinctOn, view: context.view, ordered: from.order ?? [] });
  }
  moveBelow(subqueries, sink, keys);
  const grouping = new Grouping(from, rows, keys, sink, context.view);
  const over = (e: Expression): Expression => grouping.over(e);
  const grouped = {
    targets: targets.map((target) => ({ ...target, expression: over(target.expression) })),
    order: order.map((key) => ({ ...key, expression: over(key.expression) })),
    distinctOn: distinctOn?.map(over) ?? null,
    subqueries: subqueries.map((subquery) => grouping.overSubquery(subquery)),
    having:
      having === null
        ? null
        : {
            plain: having.plain.map(over),
            computed: having.computed.map(over),
            tests: having.tests.map((test) => grouping.overSubquery(test)),
            values: having.values.map((value) => grouping.overSubquery(value)),
          },
  };
  let input: Plan = grouping.plan(rows, sink);
  if (grouped.having !== null) input = filtered(input, grouped.having);
  return finish({
    select,
    input: withSubqueries(input, grouped.subqueries),
    targets: grouped.targets,
    order: grouped.order,
    distinctOn: grouped.distinctOn,
    view: context.view,
    ordered: [],
  });
}

/** Subqueries of the SELECT list by which rows are grouped have to be there before they are. */
function moveBelow(subqueries: Subquery[], sink: AggregateSink, keys: readonly Expression[]): void {
  const used = columnsIn(...keys);
  for (const subquery of subqueries.filter(({ plan }) => plan.columns.some(({ id }) => used.has(id)))) {
    subqueries.splice(subqueries.indexOf(subquery), 1);
    sink.subqueries.push(subquery);
  }
}

function bindWhere(select: SelectStmt, from: From, scope: Scope, { view, ctes }: SelectContext): Plan {
  if (select.whereClause === undefined) return from.plan;
  const context = { view, scope, ctes, clause: 'WHERE', aggregates: null, subqueries: [] };
  return filtered(from.plan, bindCondition(select.whereClause, context));
}

/** PostgreSQL's rule: an integer is a place in the SELECT list; a name is a column first, then an output's name. */
function groupKey(node: Node, targets: readonly Target[], sink: AggregateSink, context: ExpressionContext): Expression {
  if ('GroupingSet' in node) {
    throw unsupported(
      'grouping sets, ROLLUP and CUBE are',
      node.GroupingSet.location,
      'Write one GROUP BY for each grouping, joined by UNION ALL.',
    );
  }
  const location = locationOf(node);
  const before = sink.calls.length;
  const bound = ordinalOrName(node, targets, context) ?? typed(context.view.expression(node, context), location);
  if (sink.calls.length > before || sink.calls.some(({ id }) => bound.kind === 'column' && bound.id === id)) {
    throw new SqlError('aggregate functions are not allowed in GROUP BY', location);
  }
  requireEquality(bound, location);
  return bound;
}

function ordinalOrName(node: Node, targets: readonly Target[], context: ExpressionContext): Expression | undefined {
  const ordinal = targetOfOrdinal(node, targets, 'GROUP BY');
  if (ordinal !== undefined) return ordinal.expression;
  const name = simpleName(node);
  // The same expression written again, which for a subquery can be told from the text alone.
  if (name === undefined)
    return targets.find(({ node: target }) => target !== null && sameTree(target, node))?.expression;
  if (context.scope.columns.some((column) => column.name === name)) return undefined;
  return targetOfName(name, targets, 'GROUP BY', locationOf(node))?.expression;
}

/** ORDER BY looks for an output's name first. */
function orderKey(node: Node, targets: readonly Target[], context: ExpressionContext): SortKey {
  return sortKey(
    node,
    (key) => outputOf(key, targets, 'ORDER BY') ?? context.view.expression(key, { ...context, clause: 'ORDER BY' }),
  );
}

function outputOf(node: Node, targets: readonly Target[], clause: string): Expression | undefined {
  const ordinal = targetOfOrdinal(node, targets, clause);
  if (ordinal !== undefined) return ordinal.expression;
  const name = simpleName(node);
  return name === undefined ? undefined : targetOfName(name, targets, clause, locationOf(node))?.expression;
}

function simpleName(node: Node): string | undefined {
  if (!('ColumnRef' in node)) return undefined;
  const names = textsOf(node.ColumnRef.fields);
  return names.length === 1 && names[0] !== '' ? names[0] : undefined;
}

/** The expressions of DISTINCT ON; empty for plain DISTINCT, null without DISTINCT. */
function distinctKeys(
  select: SelectStmt,
  targets: readonly Target[],
  context: ExpressionContext,
): readonly Expression[] | null {
  const clause = select.distinctClause;
  if (clause === undefined) return null;
  // Plain DISTINCT is a list of one empty node.
  const expressions = clause.filter((node) => Object.keys(node).length > 0);
  const keys = expressions.map((node) => {
    const bound =
      outputOf(node, targets, 'DISTINCT ON') ??
      typed(context.view.expression(node, { ...context, clause: 'DISTINCT ON' }), locationOf(node));
    requireEquality(bound, locationOf(node));
    return bound;
  });
  if (keys.length > 0) checkInitialOrder(select, keys, targets, context);
  return keys;
}

function checkInitialOrder(
  select: SelectStmt,
  keys: readonly Expression[],
  targets: readonly Target[],
  context: ExpressionContext,
): void {
  const sorts = (select.sortClause ?? []).slice(0, keys.length);
  for (const sort of sorts) {
    const { node } = sortByOf(sort);
    if (node === undefined) continue;
    const bound = outputOf(node, targets, 'ORDER BY') ?? context.view.expression(node, context);
    if (!keys.some((key) => sameExpression(key, typed(bound, 0)))) {
      throw new SqlError('SELECT DISTINCT ON expressions must match initial ORDER BY expressions', locationOf(node));
    }
  }
}
