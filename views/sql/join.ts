import { castTo, commonType, equality } from '../expressions/resolve.ts';
import { sqlScalar } from '../type.ts';
import { and, columnOf, trueLiteral } from '../plan/expressions.ts';
import { freeColumns, idsOf } from '../plan/columns.ts';
import { bindCondition, filtered } from './conditions.ts';
import { textsOf, unsupported } from './node.ts';
import { SqlError } from './sql-error.ts';
import type { Expression } from '../expressions/expression.ts';
import type { Plan } from '../plan/plan.ts';
import type { Ctes, ViewContext } from './context.ts';
import type { From, FromColumn, FromTable, Scope } from './scope.ts';
import type { JoinExpr, Node } from 'libpg-query';

type JoinKind = 'inner' | 'left' | 'right' | 'full';

interface JoinContext {
  readonly view: ViewContext;
  readonly ctes: Ctes;
  readonly outer: Scope | null;
  /** Tables before the join, which its condition cannot use. */
  readonly hidden: readonly FromTable[];
}

export function bindJoin(join: JoinExpr, left: From, right: From, location: number, context: JoinContext): From {
  const kind = kindOf(join);
  refuseSameName(left, right, location);
  const merged = usingNames(join, left, right);
  let from: From;
  if (merged !== null) {
    from = joinUsing(kind, left, right, merged, join, location, context.view);
  } else if (join.quals === undefined) {
    from = combine(kind, left, right, trueLiteral, location, context.view);
  } else {
    from = joinOn(kind, left, right, join.quals, location, context);
  }
  return join.alias === undefined ? from : underAlias(from, join, context.view);
}

function kindOf({ jointype, isNatural }: JoinExpr): JoinKind {
  switch (jointype) {
    case 'JOIN_INNER':
      return 'inner';
    case 'JOIN_LEFT':
      return 'left';
    case 'JOIN_RIGHT':
      return 'right';
    case 'JOIN_FULL':
      return 'full';
    default:
      throw unsupported(isNatural === true ? 'this natural join is' : 'this join is', 0);
  }
}

function joinOn(kind: JoinKind, left: From, right: From, quals: Node, location: number, context: JoinContext): From {
  const scope: Scope = {
    tables: [...left.tables, ...right.tables],
    columns: [...left.columns, ...right.columns],
    parent: context.outer,
    hidden: context.hidden,
  };
  const condition = bindCondition(quals, {
    view: context.view,
    scope,
    ctes: context.ctes,
    clause: 'JOIN conditions',
    aggregates: null,
    subqueries: kind === 'inner' ? [] : null,
  });
  if (kind !== 'inner') return combine(kind, left, right, and(condition.plain), location, context.view);
  const joined = combine(kind, left, right, and(condition.plain), location, context.view);
  return { ...joined, plan: filtered(joined.plan, { ...condition, plain: [] }) };
}

/** Joins two parts of a FROM clause; every column of both stays visible. */
export function combine(
  kind: JoinKind,
  left: From,
  right: From,
  condition: Expression,
  location: number,
  view: ViewContext,
): From {
  refuseSameName(left, right, location);
  const l = kind === 'right' || kind === 'full' ? asNullable(left, view) : left;
  const r = kind === 'left' || kind === 'full' ? asNullable(right, view) : right;
  return {
    plan: joinPlan(kind, l.plan, r.plan, condition, location),
    tables: [...l.tables, ...r.tables],
    columns: [...l.columns, ...r.columns],
  };
}

function joinPlan(kind: JoinKind, left: Plan, right: Plan, condition: Expression, location: number): Plan {
  const columns = [...left.columns, ...right.columns];
  const leftIds = idsOf(left);
  if ([...freeColumns(right)].some((id) => leftIds.has(id))) {
    if (kind === 'right' || kind === 'full') {
      throw new SqlError('the combining JOIN type must be INNER or LEFT for a LATERAL reference', location);
    }
    return { kind: 'apply', type: kind, left, right, condition, columns };
  }
  if (left.kind === 'values' && left.columns.length === 0 && left.rows.length === 1 && kind === 'inner') return right;
  if (kind !== 'right') return { kind: 'join', type: kind, left, right, condition, columns };
  return {
    kind: 'join',
    type: 'left',
    left: right,
    right: left,
    condition,
    columns: [...right.columns, ...left.columns],
  };
}

/** The side of an outer join that may be missing: each of its tables gets a column by which a missing row is told. */
function asNullable(from: From, view: ViewContext): From {
  let { plan } = from;
  let marker: Plan['columns'][number] | undefined;
  if (from.tables.some((table) => table.witness === null)) {
    marker = view.ids.column('present', sqlScalar('bool'));
    plan = {
      kind: 'project',
      input: plan,
      expressions: [...plan.columns.map(columnOf), trueLiteral],
      columns: [...plan.columns, marker],
    };
  }
  const tables = from.tables.map((table) => ({ ...table, nullable: true, witness: table.witness ?? marker ?? null }));
  return { ...from, plan, tables };
}

/** The names of USING and NATURAL; null for other joins. */
function usingNames(join: JoinExpr, left: From, right: From): string[] | null {
  if (join.isNatural === true) {
    const names = new Set(right.columns.map(({ name }) => name));
    return [...new Set(left.columns.map(({ name }) => name))].filter((name) => names.has(name));
  }
  return join.usingClause === undefined ? null : textsOf(join.usingClause);
}

function joinUsing(
  kind: JoinKind,
  left: From,
  right: From,
  names: readonly string[],
  join: JoinExpr,
  location: number,
  view: ViewContext,
): From {
  const pairs = names.map(
    (name) => [only(left, name, 'left', location), only(right, name, 'right', location)] as const,
  );
  const condition = and(pairs.map(([l, r]) => equality(l.expression, r.expression, location)));
  const joined = combine(kind, left, right, condition, location, view);
  const merged = pairs.map(([l, r]) => ({ name: l.name, expression: mergedColumn(kind, l, r, location) }));
  const isMerged = (name: string): boolean => names.includes(name);
  const rest = [...left.columns, ...right.columns].filter(({ name }) => !isMerged(name));
  const alias = join.join_using_alias?.aliasname;
  if (alias !== undefined) throw unsupported('an alias of USING is', location, 'Give the tables aliases.');
  return { ...joined, columns: [...merged, ...rest] };
}

function mergedColumn(kind: JoinKind, left: FromColumn, right: FromColumn, location: number): Expression {
  const type = commonType([left.expression, right.expression], 'JOIN/USING', location);
  const l = castTo(left.expression, type, 'implicit', location);
  const r = castTo(right.expression, type, 'implicit', location);
  if (kind === 'right') return r;
  return kind === 'full' ? { kind: 'coalesce', args: [l, r], type } : l;
}

function only(from: From, name: string, side: string, location: number): FromColumn {
  const found = from.columns.filter((column) => column.name === name);
  const [first] = found;
  if (first === undefined) {
    throw new SqlError(`column "${name}" specified in USING clause does not exist in ${side} table`, location);
  }
  if (found.length > 1)
    throw new SqlError(`common column name "${name}" appears more than once in ${side} table`, location);
  return first;
}

/** `(a JOIN b …) AS j`: one table, which hides those within. */
function underAlias(from: From, join: JoinExpr, view: ViewContext): From {
  const names = textsOf(join.alias?.colnames);
  const columns = from.columns.map(({ name, expression }, index) =>
    view.ids.column(names[index] ?? name, expression.type),
  );
  const plan: Plan = {
    kind: 'project',
    input: from.plan,
    expressions: from.columns.map(({ expression }) => expression),
    columns,
  };
  const name = join.alias?.aliasname ?? '';
  return {
    plan,
    tables: [{ name, columns, witness: null, nullable: false, key: [], scalar: false }],
    columns: columns.map((column) => ({ name: column.name, expression: columnOf(column) })),
  };
}

function refuseSameName(left: From, right: From, location: number): void {
  for (const { name } of right.tables) {
    if (name !== '' && left.tables.some((table) => table.name === name)) {
      throw new SqlError(
        `table name "${name}" specified more than once`,
        location,
        'Give one of them another name: FROM … AS other.',
      );
    }
  }
}
