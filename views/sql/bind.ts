import { TidemarkError } from '../../base/errors.ts';
import { Ids, idsOf } from '../plan/columns.ts';
import { columnsIn, within } from '../plan/expressions.ts';
import { optimise } from '../plan/optimise.ts';
import { catalogOf } from './catalog.ts';
import { noCtes } from './context.ts';
import { bindExpression } from './expression.ts';
import { didYouMean } from './nearest.ts';
import { locationOf, textsOf } from './node.ts';
import { loadParser, parseStatements } from './parse.ts';
import { bindQuery } from './query.ts';
import { SqlError } from './sql-error.ts';
import { exactly } from './subquery.ts';
import { textPlace } from './text-place.ts';
import type { BoundView, PlanColumn } from '../plan/plan.ts';
import type { Catalog, Relation } from './catalog.ts';
import type { BoundQuery, ViewContext } from './context.ts';
import type { Node, SelectStmt } from 'libpg-query';

/**
 * SQL of views → bound, typed plans. The parser is WebAssembly that loads asynchronously: `await loadSqlParser()` once before any
 * other call of this file.
 *
 * Whatever is wrong is thrown as a TidemarkError VIEW_INVALID: `view order_docs, 3:12: column "stauts" does not exist`, its hint what to
 * write, its cause a SqlError whose `location` is the byte offset in the SQL text (`textPlace` makes line and column of it).
 */
export interface ViewText {
  readonly name: string;
  readonly sql: string;
  /** Declared key: names of result columns; may be empty. */
  readonly key: readonly string[];
}

/** To be awaited once, before any other call of this file. */
export async function loadSqlParser(): Promise<void> {
  await loadParser();
}

/** One view over what the catalog holds. */
export function bindView(options: ViewText & { readonly catalog: Catalog }): BoundView {
  const { name, sql, key, catalog } = options;
  return placed(name, sql, () => bindSelect({ name, sql, select: onlySelect(sql), aliases: [], key, catalog }));
}

/** Views of one file, each of which may use the others, in any order; given back in an order in which each comes after those it uses. */
export function bindViews(views: readonly ViewText[], catalog: Catalog): readonly BoundView[] {
  const byName = new Map(views.map((view) => [view.name, view]));
  const bound = new Map<string, BoundView>();
  const under = new Set<string>();
  const bind = (view: ViewText): void => {
    if (bound.has(view.name)) return;
    under.add(view.name);
    const select = placed(view.name, view.sql, () => onlySelect(view.sql));
    for (const used of relationNames(select)) {
      const other = byName.get(used);
      if (other === undefined) continue;
      if (under.has(used)) throw cycle([...under], used);
      bind(other);
    }
    under.delete(view.name);
    const known = withViews(catalog, [...bound.values()]);
    bound.set(
      view.name,
      placed(view.name, view.sql, () => bindSelect({ ...view, select, aliases: [], catalog: known })),
    );
  };
  views.forEach(bind);
  return [...bound.values()];
}

/**
 * One SELECT (a view under `name`), or several CREATE VIEW; the last one is the result and has the key. With `ordered` its rows carry all
 * that they are ordered by (`BoundView.orderColumns`).
 */
export function bindScript(
  options: ViewText & { readonly catalog: Catalog; readonly ordered?: boolean },
): readonly BoundView[] {
  const { name, sql, key, catalog, ordered = false } = options;
  return placed(name, sql, () => {
    const statements = parseStatements(sql);
    const views: BoundView[] = [];
    statements.forEach(({ node, location }, index) => {
      const last = index === statements.length - 1;
      const known = withViews(catalog, views);
      if ('ViewStmt' in node && node.ViewStmt.query !== undefined && 'SelectStmt' in node.ViewStmt.query) {
        const { view, aliases, query } = node.ViewStmt;
        const viewName = view?.relname ?? name;
        if (views.some((earlier) => earlier.name === viewName)) {
          throw new SqlError(`relation "${viewName}" already exists`, view?.location ?? location);
        }
        views.push(
          bindSelect({
            name: viewName,
            sql,
            select: query.SelectStmt,
            aliases: textsOf(aliases),
            key: last ? key : [],
            catalog: known,
            ordered: ordered && last,
          }),
        );
      } else if ('SelectStmt' in node && last) {
        views.push(bindSelect({ name, sql, select: node.SelectStmt, aliases: [], key, catalog: known, ordered }));
      } else {
        throw notSelect(
          node,
          startOf(sql, location),
          'Write CREATE VIEW name AS SELECT …; the last statement may be a SELECT.',
        );
      }
    });
    return views;
  });
}

/** A view as other views see it. */
export function relationOfView(view: BoundView): Relation {
  return {
    relation: `views.${view.name}`,
    columns: view.columns.map(({ name, type }) => ({ name, type, nullable: true })),
    key: view.key,
  };
}

function withViews(catalog: Catalog, views: readonly BoundView[]): Catalog {
  if (views.length === 0) return catalog;
  const own = catalogOf(views.map(relationOfView));
  return {
    resolve: (name) => {
      const view = own.resolve(name);
      const table = catalog.resolve(name);
      return view !== null && table !== null ? 'ambiguous' : (view ?? table);
    },
    names: () => [...catalog.names(), ...own.names()],
  };
}

interface Definition extends ViewText {
  readonly select: SelectStmt;
  /** Names of the first columns, as CREATE VIEW gives them. */
  readonly aliases: readonly string[];
  readonly catalog: Catalog;
  readonly ordered?: boolean;
}

function bindSelect({ name, sql, select, aliases, key, catalog, ordered = false }: Definition): BoundView {
  const view: ViewContext = {
    sql,
    catalog,
    ids: new Ids(0),
    places: new WeakMap(),
    expression: bindExpression,
    query: (inner, context) => bindQuery(inner, context, view),
  };
  const query = view.query(select, { scope: null, ctes: noCtes });
  const shown = named(query, aliases, select);
  const hidden = ordered ? orderColumns(query) : [];
  const columns = [...shown, ...hidden];
  const plan = optimise(exactly({ ...query, outputs: [...query.outputs, ...hidden] }));
  const ids = idsOf(plan);
  const beyond = query.order.findIndex(({ expression }) => !within(expression, ids));
  return {
    name,
    plan,
    columns,
    key: key.map((column) => keyPosition(column, shown)),
    order: beyond < 0 ? query.order : query.order.slice(0, beyond),
    ...(hidden.length === 0 ? {} : { orderColumns: hidden.length }),
  };
}

/** What a query is ordered by and does not give. */
function orderColumns({ plan, outputs, order }: BoundQuery): PlanColumn[] {
  const own = new Set(outputs.map(({ id }) => id));
  const wanted = order.flatMap(({ expression }) => [...columnsIn(expression)]).filter((id) => !own.has(id));
  return plan.columns.filter(({ id }) => wanted.includes(id));
}

function named({ outputs }: BoundQuery, aliases: readonly string[], select: SelectStmt): PlanColumn[] {
  if (aliases.length > outputs.length) throw new SqlError('CREATE VIEW specifies more column names than columns', null);
  const columns = outputs.map((column, at) => ({ ...column, name: aliases[at] ?? column.name }));
  columns.forEach(({ name }, at) => {
    if (columns.findIndex((column) => column.name === name) === at) return;
    const targets = select.targetList ?? [];
    // With a `*` before it, places in the list are not places among the columns.
    const star = targets.find(isStar);
    const target = star ?? targets[at];
    throw new SqlError(
      `column "${name}" specified more than once`,
      target === undefined ? null : locationOf(target),
      star === undefined
        ? 'Give one of them another name with AS.'
        : 'Name the columns instead of writing *, and give one of them another name with AS.',
    );
  });
  return columns;
}

function isStar(target: Node): boolean {
  const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
  return (
    value !== undefined && 'ColumnRef' in value && value.ColumnRef.fields?.some((field) => 'A_Star' in field) === true
  );
}

function keyPosition(name: string, columns: readonly PlanColumn[]): number {
  const position = columns.findIndex((column) => column.name === name);
  if (position >= 0) return position;
  const names = columns.map((column) => column.name);
  const hint = didYouMean(name, names) ?? `Its columns are ${names.join(', ')}.`;
  throw new SqlError(`the key names "${name}", which is not a column of the view`, null, hint);
}

function onlySelect(sql: string): SelectStmt {
  const [first, second] = parseStatements(sql);
  if (first === undefined) throw new SqlError('the SQL is empty', null, 'Write one SELECT.');
  if (second !== undefined)
    throw new SqlError('a view is one SELECT', startOf(sql, second.location), 'Make a view of each.');
  if ('SelectStmt' in first.node) return first.node.SelectStmt;
  throw notSelect(first.node, startOf(sql, first.location), 'Write the SELECT alone.');
}

function notSelect(node: object, location: number, hint: string): SqlError {
  const [kind = ''] = Object.keys(node);
  const words = kind
    .replace(/Stmt$/, '')
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toUpperCase();
  return new SqlError(`a view is a SELECT, not ${words === 'VIEW' ? 'CREATE VIEW' : words}`, location, hint);
}

/** The parser gives the end of the statement before: white space and comments come first. */
function startOf(sql: string, location: number): number {
  const text = Buffer.from(sql).subarray(location).toString();
  const skipped = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/.exec(text)?.[0] ?? '';
  return location + Buffer.byteLength(skipped);
}

/** Names without a schema that the query's FROM clauses use, and that are no CTE of it. */
function relationNames(node: unknown): Set<string> {
  const names = new Set<string>();
  const ctes = new Set<string>();
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('relname' in value && typeof value.relname === 'string' && !('schemaname' in value)) names.add(value.relname);
    if ('ctename' in value && typeof value.ctename === 'string') ctes.add(value.ctename);
    Object.values(value).forEach(walk);
  };
  walk(node);
  for (const name of ctes) names.delete(name);
  return names;
}

function cycle(path: readonly string[], back: string): TidemarkError {
  const names = [...path.slice(path.indexOf(back)), back];
  return new TidemarkError('VIEW_INVALID', `views use one another in a circle: ${names.join(' → ')}`, {
    hint: 'Take one of the views out of the circle.',
    place: { view: back },
  });
}

function placed<T>(name: string, sql: string, bind: () => T): T {
  try {
    return bind();
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    const place = error.location === null ? null : textPlace(sql, error.location);
    const where = place === null ? '' : `, ${place.line}:${place.column}`;
    throw new TidemarkError('VIEW_INVALID', `view ${name}${where}: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      place: { view: name },
      cause: error,
    });
  }
}
