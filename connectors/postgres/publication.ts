import { TidemarkError, isTidemarkError, messageOf } from '../../base/errors.ts';
import type { PostgresTarget } from './options.ts';
import type { CapturedTable } from './relations.ts';
import { isSameFilter, requireFilter } from './row-filter.ts';
import type { Query } from './session.ts';
import { identifier, literal } from './session.ts';

/** The publication for tables of kind stream: it publishes inserts only, so that the application's updates go on to work without a replica identity. */
export function streamsPublication(target: PostgresTarget): string {
  return `${target.publication}_streams`;
}

/** The names to give to the server's publication_names option. */
export function publicationNames(target: PostgresTarget): string[] {
  const streams = target.tables.some(({ kind }) => kind === 'stream');
  return streams ? [target.publication, streamsPublication(target)] : [target.publication];
}

interface Wanted {
  readonly publication: string;
  readonly publish: string;
  readonly tables: readonly CapturedTable[];
}

function wantedOf(target: PostgresTarget, tables: readonly CapturedTable[]): Wanted[] {
  return publicationNames(target).map((publication) => {
    const streams = publication !== target.publication;
    return {
      publication,
      publish: streams ? 'insert' : 'insert, update, delete, truncate',
      tables: tables.filter(({ selection }) => (selection.kind === 'stream') === streams),
    };
  });
}

/** What brings the publications in step with the captured tables. */
export interface PublicationPlan {
  /** None when they are in step. */
  readonly statements: string[];
  /** Topics of which changes may not have been published until now. */
  readonly missed: Set<string>;
  /** Whether all of them are there. */
  readonly existing: boolean;
}

export async function publicationPlan(
  target: PostgresTarget,
  tables: readonly CapturedTable[],
  query: Query,
): Promise<PublicationPlan> {
  const statements: string[] = [];
  const missed = new Set<string>();
  let allExist = true;
  const miss = (unpublished: readonly CapturedTable[]): void => unpublished.forEach(({ topic }) => missed.add(topic));
  for (const { publication, publish, tables: wanted } of wantedOf(target, tables)) {
    const [existing] = await query(
      `SELECT oid::int8::text AS oid, puballtables, pubviaroot, pubinsert AND ($2 OR (pubupdate AND pubdelete AND pubtruncate)) AS whole
       FROM pg_catalog.pg_publication WHERE pubname = $1`,
      [publication, publish === 'insert'],
    );
    const name = identifier(publication);
    if (existing === undefined) {
      const list = wanted.length > 0 ? ` FOR TABLE ${wanted.map(publishedTable).join(', ')}` : '';
      allExist = false;
      miss(wanted);
      statements.push(
        `CREATE PUBLICATION ${name}${list} WITH (publish = '${publish}', publish_via_partition_root = true)`,
      );
      continue;
    }
    if (existing['pubviaroot'] !== true || existing['whole'] !== true) {
      miss(wanted);
      statements.push(`ALTER PUBLICATION ${name} SET (publish = '${publish}', publish_via_partition_root = true)`);
    }
    if (existing['puballtables'] === true) {
      requireNoFilter(target, publication, wanted);
      continue;
    }
    const rows = await query(
      `SELECT prrelid::int8::text AS oid, prrelid::regclass::text AS name,
         to_jsonb(r) ->> 'prattrs' IS NOT NULL AS columns, to_jsonb(r) ->> 'prqual' IS NOT NULL AS filtered
       FROM pg_catalog.pg_publication_rel r WHERE prpubid = ${String(existing['oid'])}`,
    );
    const byOid = new Map(wanted.map((table) => [String(table.catalog.oid), table]));
    const right: Record<string, unknown>[] = [];
    for (const row of rows) {
      if (await isRight(row, byOid.get(String(row['oid'])), String(existing['oid']), query)) right.push(row);
    }
    const present = new Set(right.map((row) => String(row['oid'])));
    const add = wanted.filter(({ catalog }) => !present.has(String(catalog.oid)));
    const drop = rows.filter((row) => !right.includes(row));
    miss(add);
    if (drop.length > 0)
      statements.push(`ALTER PUBLICATION ${name} DROP TABLE ${drop.map((row) => String(row['name'])).join(', ')}`);
    if (add.length > 0) statements.push(`ALTER PUBLICATION ${name} ADD TABLE ${add.map(publishedTable).join(', ')}`);
  }
  return { statements, missed, existing: allExist };
}

/** A publication FOR ALL TABLES sends every row, whatever the snapshot leaves out. */
function requireNoFilter(target: PostgresTarget, publication: string, tables: readonly CapturedTable[]): void {
  const filtered = tables.find(({ selection }) => selection.where !== null);
  if (filtered === undefined) return;
  const { schema, name } = filtered.catalog;
  throw new TidemarkError(
    'CONFIG_INVALID',
    `publication ${publication} is FOR ALL TABLES and cannot leave out rows of ${schema}.${name}`,
    {
      place: { source: target.name, table: `${schema}.${name}` },
      hint: 'Name another publication with `publication:` (it is made), or take `where` out.',
    },
  );
}

/** Whether a publication has a table as it should: with columns left out, or a row filter that is not ours, it publishes something else. */
async function isRight(
  row: Record<string, unknown>,
  table: CapturedTable | undefined,
  publication: string,
  query: Query,
): Promise<boolean> {
  if (table === undefined || row['columns'] === true) return false;
  if (row['filtered'] !== true || table.selection.where === null) {
    return row['filtered'] !== true && table.selection.where === null;
  }
  const [found = {}] = await query(
    `SELECT pg_catalog.pg_get_expr(prqual, prrelid) AS filter FROM pg_catalog.pg_publication_rel
     WHERE prpubid = ${publication} AND prrelid = ${table.catalog.oid}`,
  );
  return isSameFilter(table, String(found['filter']), query);
}

/**
 * Brings the publications in step. `missing` is told before of topics of which changes may not have been published until now.
 * SOURCE_PRIVILEGE, with the statements to run, when the user may not.
 */
export async function keepPublications(
  target: PostgresTarget,
  tables: readonly CapturedTable[],
  query: Query,
  missing: (topic: string) => void,
): Promise<void> {
  const { statements, missed } = await publicationPlan(target, tables, query);
  for (const table of tables) if (missed.has(table.topic)) await requireFilter(target.name, table, query);
  missed.forEach(missing);
  try {
    for (const statement of statements) await query(statement);
  } catch (error) {
    if (causeCode(error) === '0A000') throw unsupported(target, error);
    if (!isTidemarkError(error, 'SOURCE_PRIVILEGE')) throw error;
    throw new TidemarkError('SOURCE_PRIVILEGE', `the publication cannot be made or changed: ${error.message}`, {
      place: { source: target.name },
      hint: `Have the tables' owner (or a superuser) run: ${statements.join('; ')};`,
      cause: error,
    });
  }
}

/** SQLSTATEs of statements that name a table which has just got another name, was dropped, or is in the publication already. */
const outdatedStates = new Set(['42P01', '3F000', '42704', '42710']);

/** Whether the publications could not be changed because tables changed since the catalog was looked at. */
export function isOutdated(error: unknown): boolean {
  return outdatedStates.has(causeCode(error));
}

function causeCode(error: unknown): string {
  const cause = error instanceof TidemarkError ? error.cause : null;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : '';
}

/** A condition that SELECT takes and a row filter does not: the server says which are allowed. */
function unsupported(target: PostgresTarget, error: unknown): TidemarkError {
  const cause = error instanceof TidemarkError ? error.cause : null;
  const detail = cause instanceof Error && 'detail' in cause ? `: ${String(cause.detail)}` : '';
  return new TidemarkError('CONFIG_INVALID', `the publication cannot be made: ${messageOf(error)}${detail}`, {
    place: { source: target.name },
    hint: 'Write `where` within these limits; comparisons of text columns with = and OR always are.',
    cause: error,
  });
}

/** A table as CREATE PUBLICATION takes it. Without ONLY, tables that inherit from it would be published under their own names. */
function publishedTable({ catalog, selection }: CapturedTable): string {
  const only = catalog.partitioned ? '' : 'ONLY ';
  const where = selection.where === null ? '' : ` WHERE (${selection.where})`;
  return `${only}${identifier(catalog.schema)}.${identifier(catalog.name)}${where}`;
}

/** Removes the publications that tidemark made. */
export async function dropPublications(target: PostgresTarget, query: Query): Promise<string[]> {
  const dropped: string[] = [];
  for (const publication of [target.publication, streamsPublication(target)]) {
    const rows = await query(`SELECT FROM pg_catalog.pg_publication WHERE pubname = ${literal(publication)}`);
    if (rows.length === 0) continue;
    await query(`DROP PUBLICATION ${identifier(publication)}`);
    dropped.push(publication);
  }
  return dropped;
}
