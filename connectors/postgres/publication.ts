import { TidemarkError, isTidemarkError } from '../../base/errors.ts';
import type { PostgresTarget } from './options.ts';
import type { CapturedTable } from './relations.ts';
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
}

export async function publicationPlan(
  target: PostgresTarget,
  tables: readonly CapturedTable[],
  query: Query,
): Promise<PublicationPlan> {
  const statements: string[] = [];
  const missed = new Set<string>();
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
    if (existing['puballtables'] === true) continue;
    const rows = await query(
      `SELECT prrelid::int8::text AS oid, prrelid::regclass::text AS name,
         to_jsonb(r) ->> 'prattrs' IS NOT NULL AS columns, to_jsonb(r) ->> 'prqual' IS NOT NULL AS filtered
       FROM pg_catalog.pg_publication_rel r WHERE prpubid = ${String(existing['oid'])}`,
    );
    // With columns left out, or a row filter that is not ours, it publishes something else than the table.
    const filtered = new Set(
      wanted.filter(({ selection }) => selection.where !== null).map(({ catalog }) => String(catalog.oid)),
    );
    const right = rows.filter(
      (row) => row['columns'] !== true && (row['filtered'] === true) === filtered.has(String(row['oid'])),
    );
    const present = new Set(right.map((row) => String(row['oid'])));
    const keep = new Set(wanted.map(({ catalog }) => String(catalog.oid)));
    const add = wanted.filter(({ catalog }) => !present.has(String(catalog.oid)));
    const drop = rows.filter((row) => !keep.has(String(row['oid'])) || !right.includes(row));
    miss(add);
    if (drop.length > 0)
      statements.push(`ALTER PUBLICATION ${name} DROP TABLE ${drop.map((row) => String(row['name'])).join(', ')}`);
    if (add.length > 0) statements.push(`ALTER PUBLICATION ${name} ADD TABLE ${add.map(publishedTable).join(', ')}`);
  }
  return { statements, missed };
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
  missed.forEach(missing);
  try {
    for (const statement of statements) await query(statement);
  } catch (error) {
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
  const cause = error instanceof TidemarkError ? error.cause : null;
  return cause instanceof Error && 'code' in cause && outdatedStates.has(String(cause.code));
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
