import { callFunction, callOperator, castTo, commonType, equality } from '../expressions/resolve.ts';
import { sqlScalar } from '../type.ts';
import { not, or, and, nullOf } from '../plan/expressions.ts';
import { isUntyped } from './constants.ts';
import { locationOf, textsOf, unsupported } from './node.ts';
import { bindNotDistinct, compareRows, isRow } from './rows.ts';
import { SqlError } from './sql-error.ts';
import type { Expression } from '../expressions/expression.ts';
import type { ExpressionContext } from './context.ts';
import type { A_Expr, Node, SubLink } from 'libpg-query';

export function bindOperator(expression: A_Expr, context: ExpressionContext): Expression {
  const location = expression.location ?? 0;
  const operator = textsOf(expression.name).at(-1) ?? '';
  const right = (): Expression => context.view.expression(expression.rexpr, context);
  const left = (): Expression => context.view.expression(expression.lexpr, context);
  switch (expression.kind) {
    case 'AEXPR_OP':
      if (isRowOfSubquery(expression)) return rowOfSubquery(expression, context);
      if (expression.lexpr === undefined) return callOperator(operator, [right()], location);
      return binary(operator, left(), right(), location);
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return callOperator(operator, [left(), right()], location);
    case 'AEXPR_DISTINCT':
      return not(bindNotDistinct(left(), right(), location));
    case 'AEXPR_NOT_DISTINCT':
      return bindNotDistinct(left(), right(), location);
    case 'AEXPR_NULLIF':
      return nullIf(left(), right(), location);
    case 'AEXPR_IN':
      return bindIn(left(), itemsOf(expression.rexpr, context), operator === '<>', location);
    case 'AEXPR_BETWEEN':
    case 'AEXPR_NOT_BETWEEN':
    case 'AEXPR_BETWEEN_SYM':
    case 'AEXPR_NOT_BETWEEN_SYM':
      return between(expression.kind, left(), itemsOf(expression.rexpr, context), location);
    case 'AEXPR_OP_ANY':
    case 'AEXPR_OP_ALL':
      return overArray(expression, operator, left(), context);
    case 'AEXPR_SIMILAR':
      throw unsupported('SIMILAR TO is', location, 'Use LIKE, or a regular expression with ~.');
    default:
      throw unsupported('this operator is', location);
  }
}

/** `(a, b) = (SELECT …)`. */
function isRowOfSubquery({ lexpr, rexpr }: A_Expr): boolean {
  return (
    lexpr !== undefined &&
    'RowExpr' in lexpr &&
    rexpr !== undefined &&
    'SubLink' in rexpr &&
    rexpr.SubLink.subLinkType === 'EXPR_SUBLINK'
  );
}

function rowOfSubquery({ lexpr, rexpr, name, location }: A_Expr, context: ExpressionContext): Expression {
  if (lexpr === undefined || rexpr === undefined || !('SubLink' in rexpr))
    throw unsupported('this operator is', location);
  const link: SubLink = {
    ...rexpr.SubLink,
    subLinkType: 'ROWCOMPARE_SUBLINK',
    testexpr: lexpr,
    ...(name === undefined ? {} : { operName: name }),
  };
  return context.view.expression({ SubLink: link }, context);
}

function binary(operator: string, left: Expression, right: Expression, location: number): Expression {
  if (isRow(left) && isRow(right)) return compareRows(operator, left.fields, right.fields, location);
  return operator === '=' ? equality(left, right, location) : callOperator(operator, [left, right], location);
}

/** NULLIF's type is that of its first argument as `=` takes it. */
function nullIf(left: Expression, right: Expression, location: number): Expression {
  const when = equality(left, right, location);
  const value = when.kind === 'call' ? (when.args[0] ?? left) : left;
  return { kind: 'case', branches: [{ when, then: nullOf(value.type) }], otherwise: value, type: value.type };
}

function itemsOf(node: Node | undefined, context: ExpressionContext): Expression[] {
  const items = node !== undefined && 'List' in node ? (node.List.items ?? []) : [];
  return items.map((item) => context.view.expression(item, context));
}

/** As PostgreSQL: all compared as one common type when there is one, else each by its own operator. */
function bindIn(left: Expression, items: readonly Expression[], negated: boolean, location: number): Expression {
  let list = items;
  const plain = !isRow(left) && items.every((item) => !isRow(item));
  if (plain && items.length > 1) {
    const type = tryCommonType([left, ...items], location);
    if (type !== undefined) list = items.map((item) => castTo(item, type, 'implicit', location));
  }
  const parts = list.map((item) => binary(negated ? '<>' : '=', left, item, location));
  return negated ? and(parts) : or(parts);
}

function tryCommonType(args: readonly Expression[], location: number): Expression['type'] | undefined {
  if (args.every(isUntyped)) return undefined;
  try {
    return commonType(args, 'IN', location);
  } catch (error) {
    if (error instanceof SqlError) return undefined;
    throw error;
  }
}

function between(kind: string, value: Expression, bounds: readonly Expression[], location: number): Expression {
  const [low, high] = bounds;
  if (low === undefined || high === undefined) throw unsupported('this BETWEEN is', location);
  const inside = (a: Expression, b: Expression): Expression =>
    and([callOperator('>=', [value, a], location), callOperator('<=', [value, b], location)]);
  const outside = (a: Expression, b: Expression): Expression =>
    or([callOperator('<', [value, a], location), callOperator('>', [value, b], location)]);
  switch (kind) {
    case 'AEXPR_BETWEEN':
      return inside(low, high);
    case 'AEXPR_NOT_BETWEEN':
      return outside(low, high);
    case 'AEXPR_BETWEEN_SYM':
      return or([inside(low, high), inside(high, low)]);
    default:
      return and([outside(low, high), outside(high, low)]);
  }
}

/** `x op ANY (array)`, `x op ALL (array)`. */
function overArray(expression: A_Expr, operator: string, left: Expression, context: ExpressionContext): Expression {
  const location = expression.location ?? 0;
  const any = expression.kind === 'AEXPR_OP_ANY';
  const { rexpr } = expression;
  if (rexpr !== undefined && 'A_ArrayExpr' in rexpr) {
    const elements = rexpr.A_ArrayExpr.elements ?? [];
    const items = elements.map((element) => context.view.expression(element, context));
    const nested = items.some((item) => item.type.kind === 'array');
    if (!nested && items.length > 0) {
      const type = items.every(isUntyped) ? undefined : commonType(items, 'ARRAY', location);
      const cast = type === undefined ? items : items.map((item) => castTo(item, type, 'implicit', location));
      const parts = cast.map((item) => binary(operator, left, item, location));
      return any
        ? or(parts)
        : {
            kind: 'and',
            args: parts.length === 1 ? [...parts, ...parts] : parts,
            type: { kind: 'scalar', name: 'bool' },
          };
    }
  }
  let array = context.view.expression(rexpr, context);
  if (isUntyped(array)) {
    const element = isUntyped(left) ? sqlScalar('text') : left.type;
    array = castTo(array, { kind: 'array', element }, 'implicit', location);
  }
  if (array.type.kind !== 'array') {
    throw new SqlError('op ANY/ALL (array) requires array on right side', locationOf(rexpr));
  }
  return callFunction(`${operator} ${any ? 'any' : 'all'}`, [left, array], location);
}
