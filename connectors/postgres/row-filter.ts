import { TidemarkError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { keyOf } from './catalog.ts';
import type { CapturedTable } from './relations.ts';
import { identifier } from './session.ts';
import type { Query } from './session.ts';

/** Why a table's `where` cannot be the publication's row filter. */
export interface FilterProblem {
  readonly code: ErrorCode;
  readonly message: string;
  /** The statement to run, or what else to do. */
  readonly fix: string;
}

/** The first PostgreSQL that has row filters. */
const rowFilterVersion = 150_000;

/**
 * What stands against a table's `where`; null when nothing does. The server takes a filter on any column and refuses the application's
 * updates afterwards, so the columns are looked at here.
 */
export async function filterProblem(table: CapturedTable, query: Query): Promise<FilterProblem | null> {
  const { catalog, selection } = table;
  if (selection.where === null) return null;
  const [server = {}] = await query(`SELECT current_setting('server_version_num')::int AS number`);
  if (Number(server['number']) < rowFilterVersion) {
    return {
      code: 'SOURCE_VERSION',
      message: `its \`where\` needs PostgreSQL 15, which can leave rows out of a publication`,
      fix: 'Upgrade the server, or take `where` out and leave the rows out where they are used.',
    };
  }
  const wrong = await refusal(table, '*', query);
  if (wrong !== null) {
    return {
      code: 'CONFIG_INVALID',
      message: `its \`where\` is no condition on its rows: ${wrong}`,
      fix: 'Correct `where`; it is what would stand after WHERE in a SELECT from this table alone.',
    };
  }
  // Inserts alone need no identity.
  if (selection.kind === 'stream' || catalog.replicaIdentity === 'f') return null;
  const outside = await refusal(table, (keyOf(catalog) ?? []).map(identifier).join(', '), query);
  if (outside === null) return null;
  return {
    code: 'TABLE_NO_KEY',
    message: `its \`where\` names columns outside the replica identity, and the application's own UPDATE and DELETE would fail (${outside})`,
    fix: `ALTER TABLE ${identifier(catalog.schema)}.${identifier(catalog.name)} REPLICA IDENTITY FULL;`,
  };
}

/** Fails with what stands against a table's `where`. */
export async function requireFilter(source: string, table: CapturedTable, query: Query): Promise<void> {
  const problem = await filterProblem(table, query);
  if (problem === null) return;
  const name = `${table.catalog.schema}.${table.catalog.name}`;
  throw new TidemarkError(problem.code, `table ${name} cannot be captured: ${problem.message}`, {
    place: { source, table: name },
    hint: problem.fix,
  });
}

/** Answers of `isSameFilter`, so that a quiet table is not asked for at every heartbeat. */
const answers = new WeakMap<CapturedTable, Map<string, boolean>>();

/**
 * Whether the server's text of a row filter says what `where` says. The server writes down what it has understood, casts and
 * parentheses included, so the texts differ: it is asked to print both in the same way.
 */
export async function isSameFilter(table: CapturedTable, stored: string, query: Query): Promise<boolean> {
  const { where } = table.selection;
  if (where === null) return false;
  const known = answers.get(table) ?? new Map<string, boolean>();
  answers.set(table, known);
  let same = known.get(stored);
  if (same === undefined) {
    try {
      const [first, second] = await printed(table, [where, stored], query);
      same = first !== undefined && first === second;
    } catch (error) {
      // Not a condition of this table (any more), or not to be read: making the filter fails, and says why.
      if (!isRefused(error)) throw error;
      return false;
    }
    known.set(stored, same);
  }
  return same;
}

/** Expressions on a table's row, as EXPLAIN prints them. The subquery keeps the planner from making anything of them. */
async function printed(table: CapturedTable, expressions: readonly string[], query: Query): Promise<string[]> {
  const list = expressions.map((expression) => `(${expression})`).join(', ');
  const [row = {}] = await query(`EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT ${list} FROM ${rows(table, '*')}`);
  const plan = row['QUERY PLAN'] as readonly { readonly Plan: { readonly Output?: readonly string[] } }[];
  return [...(plan[0]?.Plan.Output ?? [])];
}

/** What the server says against the condition when rows have just these columns; null when it takes it. */
async function refusal(table: CapturedTable, columns: string, query: Query): Promise<string | null> {
  try {
    await query(`EXPLAIN SELECT FROM ${rows(table, columns)} WHERE (${table.selection.where ?? 'true'})`);
    return null;
  } catch (error) {
    if (!isRefused(error) || error.code === 'SOURCE_PRIVILEGE') throw error;
    return error.message;
  }
}

function rows({ catalog }: CapturedTable, columns: string): string {
  const name = identifier(catalog.name);
  return `(SELECT ${columns} FROM ${identifier(catalog.schema)}.${name} LIMIT 1) AS ${name}`;
}

/** Whether the server found fault with what was asked (SQLSTATE class 42). */
function isRefused(error: unknown): error is TidemarkError {
  if (!(error instanceof TidemarkError)) return false;
  const { cause } = error;
  return cause instanceof Error && 'code' in cause && String(cause.code).startsWith('42');
}
