import { callAggregate, callOperator, equality } from '../expressions/resolve.ts';
import { sqlScalar } from '../type.ts';
import {
  caseWhen,
  columnOf,
  falseLiteral,
  isNull,
  isTrueValue,
  not,
  nullOf,
  trueLiteral,
} from '../plan/expressions.ts';
import { literal } from './constants.ts';
import { compareRows, isRow } from './rows.ts';
import { locationOf, textsOf, unsupported } from './node.ts';
import { SqlError } from './sql-error.ts';
import type { Expression } from '../expressions/expression.ts';
import type { Plan, PlanColumn } from '../plan/plan.ts';
import type { Subquery } from './aggregate-sink.ts';
import type { BoundQuery, ExpressionContext } from './context.ts';
import type { Node, SelectStmt, SubLink } from 'libpg-query';

/** A subquery in an expression: its value, as a column that the plan gets beside its own. */
export function bindSubquery(link: SubLink, context: ExpressionContext): Expression {
  const query = bindSelect(link, context);
  switch (link.subLinkType) {
    case 'EXISTS_SUBLINK':
      return exists(query.plan, context, link);
    case 'EXPR_SUBLINK':
      return scalar(query, context, link);
    case 'ARRAY_SUBLINK':
      return array(query, context, link);
    case 'ANY_SUBLINK':
      return any(link, query, context, operatorOf(link));
    case 'ALL_SUBLINK':
      return not(any(link, query, context, operatorOf(link), true));
    case 'ROWCOMPARE_SUBLINK': {
      const left = leftSide(link, query, context);
      sinkOf(context, link).push({ type: 'scalar', plan: exactly(query), condition: trueLiteral });
      return compareRows(operatorOf(link), left, query.outputs.map(columnOf), link.location ?? 0);
    }
    default:
      throw unsupported('this kind of subquery is', link.location);
  }
}

/**
 * A part of a conjunction that is `[NOT] EXISTS` or `[NOT] x op ANY/ALL (SELECT …)`: it keeps the rows of the plan for which it is true,
 * as a semi- or anti-join. Undefined for anything else.
 */
export function bindTestedSubquery(
  node: Node,
  context: ExpressionContext,
): { tests: Subquery[]; values: Subquery[] } | undefined {
  let inner: Node | undefined = node;
  let negated = false;
  while (inner !== undefined && 'BoolExpr' in inner && inner.BoolExpr.boolop === 'NOT_EXPR') {
    negated = !negated;
    inner = inner.BoolExpr.args?.[0];
  }
  if (inner === undefined || !('SubLink' in inner)) return undefined;
  const link = inner.SubLink;
  if (link.subLinkType === 'EXISTS_SUBLINK') {
    const { plan } = bindSelect(link, context);
    return { tests: [{ type: negated ? 'anti' : 'semi', plan, condition: trueLiteral }], values: [] };
  }
  if (link.subLinkType !== 'ANY_SUBLINK' && link.subLinkType !== 'ALL_SUBLINK') return undefined;
  const values: Subquery[] = [];
  const query = bindSelect(link, context);
  const left = leftSide(link, query, { ...context, subqueries: values });
  let operator = operatorOf(link);
  let all = link.subLinkType === 'ALL_SUBLINK';
  if (all && operator === '<>') {
    // NOT IN, in the form that plan/decorrelate.ts knows.
    operator = '=';
    all = false;
    negated = !negated;
  }
  const comparison = compareRows(operator, left, query.outputs.map(columnOf), link.location ?? 0);
  // ALL is true where no row compares false or NULL, NOT ANY where none compares true or NULL.
  const condition = all
    ? negated
      ? isTrueValue(not(comparison))
      : not(isTrueValue(comparison))
    : negated
      ? not(isTrueValue(not(comparison)))
      : comparison;
  return { tests: [{ type: all === negated ? 'semi' : 'anti', plan: exactly(query), condition }], values };
}

function bindSelect(link: SubLink, context: ExpressionContext): BoundQuery {
  const select = link.subselect;
  if (select === undefined || !('SelectStmt' in select)) throw unsupported('this subquery is', link.location);
  const scope = { ...context.scope, aggregates: context.aggregates };
  const tree = link.subLinkType === 'EXISTS_SUBLINK' ? withColumn(select.SelectStmt) : select.SelectStmt;
  return context.view.query(tree, { scope, ctes: context.ctes });
}

/** `EXISTS (SELECT FROM t)` asks for rows alone; they get a column. */
function withColumn(select: SelectStmt): SelectStmt {
  if (select.op !== undefined && select.op !== 'SETOP_NONE') {
    const { larg, rarg } = select;
    return { ...select, ...(larg && { larg: withColumn(larg) }), ...(rarg && { rarg: withColumn(rarg) }) };
  }
  if (select.targetList !== undefined || select.valuesLists !== undefined) return select;
  const one: Node = { ResTarget: { val: { A_Const: { ival: { ival: 1 } } } } };
  return { ...select, targetList: [one] };
}

/** Whether the subquery gives a row, as a value. */
function exists(plan: Plan, context: ExpressionContext, link: SubLink): Expression {
  const { ids } = context.view;
  const location = link.location ?? 0;
  const count = callAggregate('count', [], { id: ids.next(), distinct: false, order: [], filter: null }, location);
  const counted: PlanColumn = { id: count.id, name: 'count', type: count.type };
  const aggregate: Plan = { kind: 'aggregate', input: plan, keys: [], aggregates: [count], columns: [counted] };
  const some = callOperator('>', [columnOf(counted), literal(0, 'int8')], location);
  const column = ids.column('exists', sqlScalar('bool'));
  const right: Plan = { kind: 'project', input: aggregate, expressions: [some], columns: [column] };
  sinkOf(context, link).push({ type: 'scalar', plan: right, condition: trueLiteral });
  return columnOf(column);
}

function scalar(query: BoundQuery, context: ExpressionContext, link: SubLink): Expression {
  const column = onlyColumn(query, link);
  sinkOf(context, link).push({ type: 'scalar', plan: exactly(query), condition: trueLiteral });
  return columnOf(column);
}

function array(query: BoundQuery, context: ExpressionContext, link: SubLink): Expression {
  const { ids } = context.view;
  const item = columnOf(onlyColumn(query, link));
  const options = { id: ids.next(), distinct: false, order: query.order, filter: null };
  const collected = callAggregate('array_agg', [item], options, link.location ?? 0);
  const column: PlanColumn = { id: collected.id, name: 'array', type: collected.type };
  const plan: Plan = { kind: 'aggregate', input: query.plan, keys: [], aggregates: [collected], columns: [column] };
  sinkOf(context, link).push({ type: 'scalar', plan, condition: trueLiteral });
  const empty: Expression = { kind: 'literal', value: '{}', type: column.type };
  return { kind: 'coalesce', args: [columnOf(column), empty], type: column.type };
}

/**
 * `x op ANY (…)` as a value: true when a row compares true, else NULL when one compares NULL, else false. With `negatedOperator` of the
 * negated comparison: NOT of that is ALL.
 */
function any(
  link: SubLink,
  query: BoundQuery,
  context: ExpressionContext,
  operator: string,
  negatedComparison = false,
): Expression {
  const location = link.location ?? 0;
  const left = leftSide(link, query, context);
  const right = query.outputs.map(columnOf);
  const plain = compareRows(operator, left, right, location);
  const comparison = negatedComparison ? not(plain) : plain;
  const input = exactly(query);
  const someTrue = exists(where(input, comparison), context, link);
  const [x] = left;
  const [y] = right;
  // Told apart, so that the rows of the subquery are not compared with each x: NULL = y is NULL for any y, x = NULL for any x.
  const someNull =
    left.length === 1 && x !== undefined && y !== undefined && isStrictComparison(plain)
      ? caseWhen(isNull(x), exists(input, context, link), exists(where(input, isNull(y)), context, link))
      : exists(where(input, isNull(comparison)), context, link);
  const nullOrFalse = caseWhen(someNull, nullOf(sqlScalar('bool')), falseLiteral);
  return caseWhen(someTrue, trueLiteral, nullOrFalse);
}

function isStrictComparison(e: Expression): boolean {
  return e.kind === 'call' && e.fn.strict;
}

function where(input: Plan, condition: Expression): Plan {
  return { kind: 'filter', input, condition, columns: input.columns };
}

function leftSide(link: SubLink, query: BoundQuery, context: ExpressionContext): Expression[] {
  const { testexpr } = link;
  const bound = context.view.expression(testexpr, context);
  const left = isRow(bound) ? [...bound.fields] : [bound];
  if (left.length !== query.outputs.length) {
    const few = query.outputs.length < left.length ? 'few' : 'many';
    throw new SqlError(`subquery has too ${few} columns`, locationOf(testexpr));
  }
  return left;
}

function operatorOf(link: SubLink): string {
  return textsOf(link.operName).at(-1) ?? '=';
}

function onlyColumn(query: BoundQuery, link: SubLink): PlanColumn {
  const [column] = query.outputs;
  if (column === undefined || query.outputs.length !== 1) {
    throw new SqlError('subquery must return only one column', link.location ?? 0);
  }
  return column;
}

function sinkOf(context: ExpressionContext, link: SubLink): Subquery[] {
  if (context.subqueries !== null) return context.subqueries;
  throw unsupported(
    `a subquery in ${context.clause} is`,
    link.location,
    'Put it into FROM, or compute it in a CTE and join that.',
  );
}

/** The query's plan with exactly its outputs as columns. */
export function exactly(query: BoundQuery): Plan {
  const { plan, outputs } = query;
  if (plan.columns.length === outputs.length) return plan;
  return { kind: 'project', input: plan, expressions: outputs.map(columnOf), columns: outputs };
}

/** Fails as PostgreSQL does for types that have no `=`. */
export function requireEquality(e: Expression, location: number): void {
  try {
    equality(e, e, location);
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    const type = e.type.kind === 'scalar' ? e.type.name : e.type.kind;
    const hint = type === 'json' ? 'Cast it to jsonb or to text.' : undefined;
    throw new SqlError(`could not identify an equality operator for type ${type}`, location, hint);
  }
}
