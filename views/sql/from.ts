import { columnOf, trueLiteral } from '../plan/expressions.ts';
import { cteNames, findCte } from './context.ts';
import { bindJoin, combine } from './join.ts';
import { didYouMean, quoted } from './nearest.ts';
import { firstLocation, textsOf, unsupported } from './node.ts';
import { noFrom } from './scope.ts';
import { SqlError } from './sql-error.ts';
import { bindTableFunction } from './table-function.ts';
import type { Plan, PlanColumn, ScanPlan } from '../plan/plan.ts';
import type { BoundQuery, Ctes, ViewContext } from './context.ts';
import type { From, FromTable, Scope } from './scope.ts';
import type { Relation } from './catalog.ts';
import type { Alias, Node, RangeSubselect, RangeVar } from 'libpg-query';

/** What surrounds an item of FROM. */
export interface FromContext {
  readonly view: ViewContext;
  readonly ctes: Ctes;
  /** The queries around this one. */
  readonly outer: Scope | null;
}

export function bindFrom(items: readonly Node[] | undefined, context: FromContext): From {
  const [first, ...others] = items ?? [];
  if (first === undefined) return noFrom;
  let from = bindItem(first, noFrom, context);
  for (const item of others) {
    const right = bindItem(item, from, context);
    from = combine('inner', from, right, trueLiteral, locationOfItem(item), context.view);
  }
  return from;
}

/** One item; `left` is what LATERAL may refer to. */
function bindItem(item: Node, left: From, context: FromContext): From {
  if ('RangeVar' in item) return bindTable(item.RangeVar, context);
  if ('RangeSubselect' in item) return bindFromSubquery(item.RangeSubselect, left, context);
  if ('RangeFunction' in item) return bindTableFunction(item.RangeFunction, left, context);
  if ('JoinExpr' in item) {
    const { larg, rarg } = item.JoinExpr;
    if (larg === undefined || rarg === undefined) throw unsupported('this join is', 0);
    const l = bindItem(larg, left, context);
    const visible = left.tables.length === 0 ? l : beside(left, l);
    const r = bindItem(rarg, visible, context);
    return bindJoin(item.JoinExpr, l, r, locationOfItem(rarg), { ...context, hidden: left.tables });
  }
  if ('RangeTableSample' in item) {
    throw unsupported('TABLESAMPLE is', item.RangeTableSample.location, 'Filter by a condition on the key.');
  }
  if ('RangeTableFunc' in item || 'JsonTable' in item)
    throw unsupported('XMLTABLE and JSON_TABLE are', firstLocation(item), 'Use json_array_elements.');
  throw unsupported('this item of FROM is', 0);
}

function beside(a: From, b: From): From {
  return { plan: a.plan, tables: [...a.tables, ...b.tables], columns: [...a.columns, ...b.columns] };
}

/** A table, a view or a CTE. */
function bindTable(range: RangeVar, context: FromContext): From {
  const { catalogname, schemaname, relname = '', location = 0 } = range;
  const name = [catalogname, schemaname, relname].filter((part) => part !== undefined && part !== '') as string[];
  const cte = name.length === 1 ? findCte(context.ctes, relname) : undefined;
  if (cte !== undefined) return bindCte(cte, range.alias, relname, location, context);
  const relation = context.view.catalog.resolve(name);
  if (relation === 'ambiguous') {
    const full = context.view.catalog.names().filter((known) => known.endsWith(`.${name.join('.')}`));
    throw new SqlError(
      `relation "${name.join('.')}" is ambiguous`,
      location,
      `Write ${full.map(quoted).join(' or ')}.`,
    );
  }
  if (relation === null) throw unknownRelation(name, location, context);
  const plan = scan(relation, context.view);
  const key = relation.key.flatMap((position) => plan.columns[position]?.id ?? []);
  const notNull = new Set(plan.notNull);
  const witness = plan.columns.find(({ id }) => notNull.has(id)) ?? null;
  return aliased(plan, plan.columns, relname, range.alias, location, { witness, key });
}

function scan(relation: Relation, view: ViewContext): ScanPlan {
  const columns = relation.columns.map(({ name, type }) => view.ids.column(name, type));
  const idsAt = (positions: readonly number[]): number[] =>
    positions.flatMap((position) => columns[position]?.id ?? []);
  return {
    kind: 'scan',
    relation: relation.relation,
    columns,
    positions: columns.map((_, position) => position),
    key: idsAt(relation.key),
    notNull: columns.filter((_, at) => relation.columns[at]?.nullable === false).map(({ id }) => id),
  };
}

/** A CTE is bound once; each use has columns of its own over the same plan. */
function bindCte(
  cte: BoundQuery,
  alias: Alias | undefined,
  name: string,
  location: number,
  { view }: FromContext,
): From {
  const columns = cte.outputs.map((column) => view.ids.column(column.name, column.type));
  const plan: Plan = { kind: 'project', input: cte.plan, expressions: cte.outputs.map(columnOf), columns };
  return aliased(plan, columns, name, alias, location, { witness: null, key: [] });
}

function bindFromSubquery({ subquery, alias, lateral }: RangeSubselect, left: From, context: FromContext): From {
  if (subquery === undefined || !('SelectStmt' in subquery)) throw unsupported('this subquery is', 0);
  const scope: Scope | null =
    lateral === true
      ? { tables: left.tables, columns: left.columns, parent: context.outer }
      : { tables: [], columns: [], parent: context.outer, hidden: left.tables };
  const query = context.view.query(subquery.SelectStmt, { scope, ctes: context.ctes });
  const from = aliased(query.plan, query.outputs, '', alias, 0, { witness: null, key: [] });
  return query.order.length === 0 ? from : { ...from, order: query.order };
}

/** The columns under the table's name or alias, renamed by the alias' list. */
export function aliased(
  plan: Plan,
  given: readonly PlanColumn[],
  name: string,
  alias: Alias | undefined,
  location: number,
  about: { readonly witness: PlanColumn | null; readonly key: readonly number[]; readonly scalar?: boolean },
): From {
  const names = textsOf(alias?.colnames);
  const tableName = alias?.aliasname ?? name;
  if (names.length > given.length) {
    throw new SqlError(
      `table "${tableName}" has ${given.length} columns available but ${names.length} columns specified`,
      location,
    );
  }
  const columns = given.map((column, index) => ({ ...column, name: names[index] ?? column.name }));
  const table: FromTable = {
    name: tableName,
    columns,
    witness: about.witness,
    nullable: false,
    key: about.key,
    scalar: about.scalar ?? false,
    ...(name === '' || name === tableName ? {} : { origin: name }),
  };
  return {
    plan,
    tables: [table],
    columns: columns.map((column) => ({ name: column.name, expression: columnOf(column) })),
  };
}

function unknownRelation(name: readonly string[], location: number, { view, ctes }: FromContext): SqlError {
  const written = name.join('.');
  const candidates = new Set(cteNames(ctes));
  for (const full of view.catalog.names()) {
    const parts = full.split('.');
    candidates.add(parts.slice(-name.length).join('.'));
  }
  const hint = didYouMean(written, candidates) ?? tablesHint(view.catalog.names());
  return new SqlError(`relation "${written}" does not exist`, location, hint);
}

function tablesHint(names: readonly string[]): string | undefined {
  if (names.length === 0) return 'No source has tables; list them under `tables` of a source.';
  return `There is ${names.slice(0, 8).map(quoted).join(', ')}${names.length > 8 ? ', …' : ''}.`;
}

export function locationOfItem(item: Node): number {
  if ('RangeVar' in item) return item.RangeVar.location ?? 0;
  if ('JoinExpr' in item && item.JoinExpr.larg !== undefined) return locationOfItem(item.JoinExpr.larg);
  return firstLocation(item);
}
