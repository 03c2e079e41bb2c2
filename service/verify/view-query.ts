import { present } from '../../base/assert.ts';
import { isTidemarkError } from '../../base/errors.ts';
import type { SourceQuery } from '../../model/source.ts';
import type { ViewConfig } from '../../config/config.ts';
import { viewTopic } from '../../views/port.ts';
import { relationsIn, visit } from '../../views/plan/columns.ts';
import type { BoundView, Plan } from '../../views/plan/plan.ts';
import { loadSqlParser } from '../../views/sql/bind.ts';
import { viewTable } from '../../views/stage/view-topic.ts';
import { bindAll } from '../bind-views.ts';
import type { Pipeline } from '../pipeline.ts';
import type { SourceUnit } from '../source-unit.ts';
import { loggedTables, newestTables } from '../view-catalog.ts';
import { SqlNames } from './sql-names.ts';

/** The SQL of a view, to be run at the one source that all of its tables are of. */
export interface ViewQuery {
  readonly source: SourceUnit;
  readonly query: SourceQuery;
  /** It puts rows together in an order that the SQL does not determine. */
  readonly dependsOnOrder: boolean;
}

/** How the SQL of a view can be run at its source; a sentence that says why not, when it cannot. */
export async function viewQuery(pipeline: Pipeline, name: string): Promise<ViewQuery | string> {
  const bound = await boundViews(pipeline, name);
  const topics = tablesOf(bound);
  const sources = new Set(topics.map((topic) => pipeline.sourceOfTopic(topic)));
  const [source, another] = sources;
  if (source === undefined) return `view ${name} reads no table`;
  if (another !== undefined) {
    const names = [...sources].map((each) => each.name).join(', ');
    return `view ${name} is made of several sources (${names}), whose tables cannot be read at one moment`;
  }
  if (source.reader() === null) return `source ${source.name} cannot be read again`;
  const why = undetermined(bound);
  if (why !== null) return `view ${name} ${why}`;
  const table = versionOfView(
    pipeline,
    present(
      bound.find((view) => view.name === name),
      `view ${name}`,
    ),
  );
  const sql = sqlOf(pipeline, bound);
  if (typeof sql === 'string') return sql;
  return { source, query: { topics, sql, ...table }, dependsOnOrder: bound.some(({ plan }) => collects(plan)) };
}

/** The tables that a view is made of, through other views too. */
export async function topicsOfView(pipeline: Pipeline, name: string): Promise<readonly string[]> {
  return tablesOf(await boundViews(pipeline, name));
}

/** The view and those that it uses, each after those it uses itself. */
export async function boundViews(pipeline: Pipeline, name: string): Promise<readonly BoundView[]> {
  await loadSqlParser();
  const sources = pipeline.sources.map((source) => source.name);
  const { views, failures } = bindAll(definitions(pipeline), newestTables(pipeline.log, sources));
  const failure = failures.get(name);
  if (failure) throw failure;
  const wanted = new Set([viewTopic(name)]);
  return views
    .toReversed()
    .filter((view) => {
      if (!wanted.has(viewTopic(view.name))) return false;
      for (const relation of relationsIn(view.plan)) wanted.add(relation);
      return true;
    })
    .toReversed();
}

function definitions(pipeline: Pipeline): readonly ViewConfig[] {
  return pipeline.views?.definitions ?? [];
}

function tablesOf(bound: readonly BoundView[]): string[] {
  const views = new Set(bound.map(({ name }) => viewTopic(name)));
  return [...new Set(bound.flatMap(({ plan }) => relationsIn(plan)))].filter((relation) => !views.has(relation));
}

/**
 * The version of the view's table that its rows are written with: the newest, or an older one that a view has come back to. While a
 * changed view is made anew, and has no version of its own yet, the newest that the log knows.
 */
export function versionOfView({ log }: Pipeline, view: BoundView): Pick<SourceQuery, 'table' | 'schemaId'> {
  const tables = loggedTables(log);
  const wanted = viewTable(view, log);
  const own = tables.indexOf(wanted);
  const index = own >= 0 ? own : tables.findLastIndex(({ topic }) => topic === wanted.topic);
  return { table: present(tables[index], `the table of view ${view.name}`), schemaId: index + 1 };
}

/** The text of the view with those that it uses in front, the tables named as the source wants them; a sentence when that cannot be. */
function sqlOf(pipeline: Pipeline, bound: readonly BoundView[]): SourceQuery['sql'] | string {
  const byName = new Map(definitions(pipeline).map((view) => [view.name, view.sql]));
  const tables = newestTables(
    pipeline.log,
    pipeline.sources.map((source) => source.name),
  );
  const relations = [...tables.keys(), ...bound.map(({ name }) => viewTopic(name))];
  const texts = bound.map(({ name }) => {
    try {
      return new SqlNames(present(byName.get(name), `view ${name}`), relations);
    } catch (error) {
      if (isTidemarkError(error, 'VIEW_INVALID')) return error.message;
      throw error;
    }
  });
  const failed = texts.find((text) => typeof text === 'string');
  if (failed !== undefined) return failed;
  const names = bound.map(({ name }, index): [string, string] => [viewTopic(name), `"__tidemark_view_${index}"`]);
  const views = new Map(names.map(([topic, sql]) => [topic, { sql, isTable: false }]));
  return (from) => {
    const all = new Map([...from, ...views]);
    const queries = texts.map((text) => (typeof text === 'string' ? text : text.replaced(all)));
    const last = queries.pop() ?? '';
    if (queries.length === 0) return last;
    const ctes = queries.map((query, index) => `${names[index]?.[1]} AS (${query}\n)`);
    return `WITH ${ctes.join(', ')} SELECT * FROM (${last}\n) AS "__tidemark_result"`;
  };
}

/** Why the result of the SQL is not determined by the tables, if it is not. */
function undetermined(bound: readonly BoundView[]): string | null {
  let why: string | null = null;
  for (const { plan } of bound) {
    visit(plan, (node) => {
      if (node.kind === 'topN' && node.single !== true) {
        why = 'takes the first rows of an order (LIMIT, DISTINCT ON), and among equals PostgreSQL may take others';
      }
      if (node.kind !== 'aggregate') return;
      const isFloat = node.aggregates.some(
        ({ fn, type }) => fn.linear !== null && type.kind === 'scalar' && /^float[48]$/.test(type.name),
      );
      if (isFloat) why = 'sums floating point numbers, whose last digits depend on the order in which they are added';
    });
  }
  return why;
}

/** Whether rows are put together (json_agg, string_agg …): where ORDER BY is missing, or leaves rows equal, any order is right. */
function collects(plan: Plan): boolean {
  let found = false;
  visit(plan, (node) => {
    if (node.kind === 'aggregate') found ||= node.aggregates.some(({ fn }) => fn.collect !== null && fn.first === null);
  });
  return found;
}
