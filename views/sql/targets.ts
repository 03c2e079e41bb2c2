import { columnOf, sameExpression } from '../plan/expressions.ts';
import { isUntyped, typed } from './constants.ts';
import { functionName, locationOf, textOfNode, textsOf, unsupported } from './node.ts';
import { findTable, missingFrom } from './scope.ts';
import { SqlError } from './sql-error.ts';
import type { Expression } from '../expressions/expression.ts';
import type { ExpressionContext } from './context.ts';
import type { Node, ResTarget } from 'libpg-query';

/** One output of a SELECT. */
export interface Target {
  readonly name: string;
  readonly expression: Expression;
  /** The literal as written when it has no type of its own (`expression` is it as text). */
  readonly untyped: Expression | null;
  readonly location: number;
  /** As written; null for what `*` stands for. */
  readonly node: Node | null;
}

export function bindTargets(list: readonly Node[] | undefined, context: ExpressionContext): Target[] {
  const targets = (list ?? []).flatMap((node) => ('ResTarget' in node ? bindTarget(node.ResTarget, context) : []));
  if (targets.length === 0) throw unsupported('a SELECT without columns is', 0);
  return targets;
}

function bindTarget(target: ResTarget, context: ExpressionContext): Target[] {
  const { val, location = 0 } = target;
  const stars = val === undefined ? undefined : starOf(val, context, location);
  if (stars !== undefined) return stars;
  const bound = context.view.expression(val, context);
  const name = target.name ?? (val === undefined ? '?column?' : (nameOf(val) ?? '?column?'));
  return [
    { name, expression: typed(bound, location), untyped: isUntyped(bound) ? bound : null, location, node: val ?? null },
  ];
}

/** `*`, `t.*` and `(t).*`. */
function starOf(node: Node, context: ExpressionContext, location: number): Target[] | undefined {
  const { scope } = context;
  const make = (name: string, expression: Expression): Target => {
    const own = { ...expression };
    context.view.places.set(own, location);
    return { name, expression: own, untyped: null, location, node: null };
  };
  let names: string[];
  if ('A_Indirection' in node && node.A_Indirection.indirection?.some((step) => 'A_Star' in step) === true) {
    const { arg } = node.A_Indirection;
    if (arg === undefined || !('ColumnRef' in arg))
      throw unsupported('row expansion of an expression is', location, 'Name the fields.');
    names = textsOf(arg.ColumnRef.fields);
  } else if ('ColumnRef' in node && node.ColumnRef.fields?.some((field) => 'A_Star' in field) === true) {
    names = textsOf(node.ColumnRef.fields.filter((field) => !('A_Star' in field)));
  } else {
    return undefined;
  }
  const tableName = names.at(-1);
  if (tableName === undefined) {
    if (scope.tables.length === 0) throw new SqlError('SELECT * with no tables specified is not valid', location);
    return scope.columns.map(({ name, expression }) => make(name, expression));
  }
  const table = findTable(scope, tableName, location);
  if (table === undefined) throw missingFrom(tableName, scope, location);
  return table.columns.map((column) => make(column.name, columnOf(column)));
}

/** The name that PostgreSQL gives to an output without AS. */
function nameOf(node: Node): string | undefined {
  if ('ColumnRef' in node) return textsOf(node.ColumnRef.fields).at(-1);
  if ('A_Indirection' in node) {
    const field = (node.A_Indirection.indirection ?? []).map(textOfNode).findLast((name) => name !== '');
    return field ?? (node.A_Indirection.arg === undefined ? undefined : nameOf(node.A_Indirection.arg));
  }
  if ('FuncCall' in node) return functionName(node.FuncCall).split('.').at(-1);
  if ('A_Expr' in node) return node.A_Expr.kind === 'AEXPR_NULLIF' ? 'nullif' : undefined;
  if ('TypeCast' in node) {
    const { arg, typeName } = node.TypeCast;
    return (arg === undefined ? undefined : strongName(arg)) ?? textsOf(typeName?.names).at(-1);
  }
  if ('CollateClause' in node) return node.CollateClause.arg === undefined ? undefined : nameOf(node.CollateClause.arg);
  if ('SubLink' in node) return nameOfSubquery(node.SubLink.subLinkType, node.SubLink.subselect);
  if ('CaseExpr' in node) {
    const { defresult } = node.CaseExpr;
    return (defresult === undefined ? undefined : strongName(defresult)) ?? 'case';
  }
  if ('A_ArrayExpr' in node) return 'array';
  if ('RowExpr' in node) return 'row';
  if ('CoalesceExpr' in node) return 'coalesce';
  if ('MinMaxExpr' in node) return node.MinMaxExpr.op === 'IS_LEAST' ? 'least' : 'greatest';
  return undefined;
}

/** Names that a cast or CASE around the expression keeps. */
function strongName(node: Node): string | undefined {
  if ('TypeCast' in node || 'CaseExpr' in node) {
    const inner = 'TypeCast' in node ? node.TypeCast.arg : node.CaseExpr.defresult;
    return inner === undefined ? undefined : strongName(inner);
  }
  return nameOf(node);
}

function nameOfSubquery(kind: string | undefined, select: Node | undefined): string | undefined {
  if (kind === 'EXISTS_SUBLINK') return 'exists';
  if (kind === 'ARRAY_SUBLINK') return 'array';
  if (kind !== 'EXPR_SUBLINK' || select === undefined || !('SelectStmt' in select)) return undefined;
  let statement = select.SelectStmt;
  while (statement.larg !== undefined) statement = statement.larg;
  const [first] = statement.targetList ?? [];
  if (first === undefined || !('ResTarget' in first)) return undefined;
  const { name, val } = first.ResTarget;
  return name ?? (val === undefined ? undefined : nameOf(val));
}

/** The target that an integer in GROUP BY or ORDER BY names. */
export function targetOfOrdinal(node: Node, targets: readonly Target[], clause: string): Target | undefined {
  if (!('A_Const' in node)) return undefined;
  if (node.A_Const.ival === undefined) throw new SqlError(`non-integer constant in ${clause}`, locationOf(node));
  const ordinal = node.A_Const.ival.ival ?? 0;
  const target = targets[ordinal - 1];
  if (target === undefined) throw new SqlError(`${clause} position ${ordinal} is not in select list`, locationOf(node));
  return target;
}

export function targetOfName(
  name: string,
  targets: readonly Target[],
  clause: string,
  location: number,
): Target | undefined {
  const found = targets.filter((target) => target.name === name);
  const [first] = found;
  if (first !== undefined && found.some((target) => !sameExpression(target.expression, first.expression))) {
    throw new SqlError(`${clause} "${name}" is ambiguous`, location);
  }
  return first;
}
