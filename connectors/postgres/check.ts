import { isTidemarkError } from '../../base/errors.ts';
import type { PipelineEvent } from '../../model/events.ts';
import type { CheckResult } from '../../model/source.ts';
import { hasIdentity } from './catalog.ts';
import type { PostgresTarget } from './options.ts';
import { publicationPlan } from './publication.ts';
import type { CapturedTable } from './relations.ts';
import { filterProblem } from './row-filter.ts';
import { connect, identifier, queryOf } from './session.ts';
import type { Query } from './session.ts';
import { readSlot } from './slot.ts';
import { Tables } from './tables.ts';

/** Every preflight of a PostgreSQL source, one result each. Nothing is changed on the server. */
export async function* checkPostgres(target: PostgresTarget): AsyncGenerator<CheckResult> {
  const told = (level: CheckResult['level'], subject: string, message: string, fix?: string): CheckResult => ({
    level,
    subject: `${target.name}: ${subject}`,
    message,
    ...(fix === undefined ? {} : { fix }),
  });
  const client = await connect(target, 'check');
  try {
    const query = queryOf(client, target);
    const [server = {}] = await query(
      `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number, current_setting('wal_level') AS wal_level,
         current_user AS role, current_database() AS database, pg_is_in_recovery() AS standby, current_setting('max_slot_wal_keep_size') AS keep,
         (SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) AS replication,
         has_database_privilege(current_database(), 'CREATE') AS may_create,
         current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_catalog.pg_replication_slots)::int AS slots_left,
         current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_catalog.pg_stat_replication)::int AS senders_left`,
    );
    const role = identifier(String(server['role']));
    yield Number(server['number']) >= 130_000
      ? told('ok', 'version', `PostgreSQL ${String(server['version'])}`)
      : told(
          'error',
          'version',
          `PostgreSQL ${String(server['version'])} is too old`,
          'Upgrade the server to 13 or newer.',
        );
    if (server['standby'] === true)
      yield told('error', 'standby', 'the server is a standby', 'Give the url of the primary.');
    yield server['wal_level'] === 'logical'
      ? told('ok', 'wal_level', 'logical')
      : told(
          'error',
          'wal_level',
          `is ${String(server['wal_level'])}`,
          "As a superuser, and restart the server afterwards: ALTER SYSTEM SET wal_level = 'logical';",
        );
    yield server['replication'] === true
      ? told('ok', 'replication', `role ${String(server['role'])} may replicate`)
      : told(
          'error',
          'replication',
          `role ${String(server['role'])} may not replicate`,
          `As a superuser (a managed service has a role to grant instead, such as rds_replication): ALTER ROLE ${role} REPLICATION;`,
        );
    yield* checkSlot(target, query, told, {
      slots: Number(server['slots_left']),
      senders: Number(server['senders_left']),
    });
    if (server['keep'] === '-1') {
      yield told(
        'warning',
        'max_slot_wal_keep_size',
        'is unlimited: while tidemark is down the server keeps all WAL',
        'Set a limit that your disk can hold; a slot beyond it is lost and tables are read again.',
      );
    }
    yield* checkTables(target, query, told, {
      role,
      database: String(server['database']),
      mayCreate: server['may_create'] === true,
    });
  } finally {
    await client.end().catch(() => {});
  }
}

type Tell = (level: CheckResult['level'], subject: string, message: string, fix?: string) => CheckResult;

async function* checkSlot(
  target: PostgresTarget,
  query: Query,
  told: Tell,
  left: { slots: number; senders: number },
): AsyncGenerator<CheckResult> {
  try {
    const slot = await readSlot(target, query);
    if (slot.kind === 'lost') {
      yield told(
        'error',
        'slot',
        `${target.slot} was invalidated: ${slot.reason}`,
        'Set snapshot: { mode: when_needed } to read the tables again.',
      );
      return;
    }
    if (slot.kind === 'usable') {
      yield told('ok', 'slot', `${target.slot} is there${slot.active ? ' and in use' : ''}`);
      return;
    }
  } catch (error) {
    if (!isTidemarkError(error, 'SLOT_FOREIGN')) throw error;
    yield told('error', 'slot', error.message, error.hint);
    return;
  }
  yield left.slots > 0
    ? told('ok', 'slot', `${target.slot} will be made; ${left.slots} slots are free`)
    : told(
        'error',
        'slot',
        'the server has no slot left',
        'Raise max_replication_slots and restart the server, or drop a slot that nobody uses.',
      );
  if (left.senders <= 0)
    yield told(
      'error',
      'max_wal_senders',
      'the server has no walsender left',
      'Raise max_wal_senders and restart the server.',
    );
}

async function* checkTables(
  target: PostgresTarget,
  query: Query,
  told: Tell,
  facts: { role: string; database: string; mayCreate: boolean },
): AsyncGenerator<CheckResult> {
  const notices: PipelineEvent[] = [];
  const tables = new Tables(target, query, (event) => notices.push(event));
  await tables.refresh();
  for (const notice of notices) {
    if (notice.type === 'source.notice') yield told('warning', notice.table ?? 'tables', notice.message, notice.hint);
  }
  for (const { schema, table, isPattern } of target.tables) {
    const name = `${schema}.${table}`;
    const matched = tables.all.filter(({ selection }) => selection.schema === schema && selection.table === table);
    if (matched.length > 0) continue;
    yield isPattern
      ? told('warning', name, 'matches no table at present')
      : told(
          'error',
          name,
          'there is no such table',
          'Check schema and spelling (names are case-sensitive), and that the role may see it.',
        );
  }
  for (const table of tables.all) yield* checkTable(table, query, told, facts.role);
  yield* checkPublication(target, tables.all, query, told, facts.mayCreate);
}

async function* checkPublication(
  target: PostgresTarget,
  tables: readonly CapturedTable[],
  query: Query,
  told: Tell,
  mayCreate: boolean,
): AsyncGenerator<CheckResult> {
  let plan;
  try {
    plan = await publicationPlan(target, tables, query);
  } catch (error) {
    if (!isTidemarkError(error, 'CONFIG_INVALID')) throw error;
    yield told('error', 'publication', error.message, error.hint);
    return;
  }
  const { statements, existing } = plan;
  if (statements.length === 0) {
    yield told('ok', 'publication', `${target.publication} publishes these tables, as it should`);
  } else if (await mayPublish(tables, query, mayCreate)) {
    const what = existing ? `will be changed: ${statements.join('; ')}` : 'will be made';
    yield told('ok', 'publication', `${target.publication} ${what}`);
  } else {
    yield told(
      'error',
      'publication',
      `${target.publication} must be ${existing ? 'changed' : 'made'}, and the role may not`,
      `As the tables' owner or a superuser: ${statements.join('; ')};`,
    );
  }
}

async function* checkTable(table: CapturedTable, query: Query, told: Tell, role: string): AsyncGenerator<CheckResult> {
  const { catalog, selection } = table;
  const name = `${catalog.schema}.${catalog.name}`;
  const quoted = `${identifier(catalog.schema)}.${identifier(catalog.name)}`;
  const [rights = {}] = await query(
    `SELECT has_table_privilege(${catalog.oid}::oid, 'SELECT') AND has_schema_privilege($1, 'USAGE') AS readable`,
    [catalog.schema],
  );
  if (rights['readable'] !== true) {
    yield told(
      'error',
      name,
      'may not be read',
      `GRANT USAGE ON SCHEMA ${identifier(catalog.schema)} TO ${role}; GRANT SELECT ON ${quoted} TO ${role};`,
    );
    return;
  }
  if (selection.kind === 'table' && !hasIdentity(catalog)) {
    yield told(
      'error',
      name,
      "has no primary key and no replica identity: publishing it would make the application's UPDATE fail",
      `ALTER TABLE ${quoted} ADD PRIMARY KEY (…); or ALTER TABLE ${quoted} REPLICA IDENTITY FULL; or capture it as kind: stream`,
    );
    return;
  }
  if (catalog.rowSecurity) {
    yield told(
      'warning',
      name,
      'has row-level security: reading it fails unless the role bypasses that',
      `ALTER ROLE ${role} BYPASSRLS;`,
    );
  }
  const problem = await filterProblem(table, query);
  if (problem !== null) {
    yield told('error', name, `cannot be captured: ${problem.message}`, problem.fix);
    return;
  }
  const rows =
    catalog.rowsEstimated > 0 ? `about ${Math.round(catalog.rowsEstimated)} rows` : 'no rows, or never analysed';
  yield told('ok', name, `can be captured, ${rows}`);
}

/** A publication takes CREATE on the database, and its tables must be the role's own (or the role a superuser). */
async function mayPublish(tables: readonly CapturedTable[], query: Query, mayCreate: boolean): Promise<boolean> {
  const [row = {}] = await query(
    `SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) OR
       ($2 AND NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = ANY ($1::oid[]) AND NOT pg_has_role(relowner, 'USAGE'))) AS may`,
    [tables.map(({ catalog }) => catalog.oid), mayCreate],
  );
  return row['may'] === true;
}
