import { TidemarkError } from '../../base/errors.ts';
import { lsn, parseLsn } from '../../model/position.ts';
import type { Lsn } from '../../model/position.ts';
import type { PostgresTarget } from './options.ts';
import type { Query } from './session.ts';
import { connect, destroy, literal, queryOf } from './session.ts';
import { blockersOf } from './sessions.ts';
import { PgSnapshot } from './visibility.ts';

/** The server as the log knows it, in the stream's state under `source`. */
export interface SourceIdentity {
  readonly systemId: string;
  readonly timeline: number;
  readonly database: string;
  readonly slot: string;
}

export interface ServerFacts {
  readonly identity: SourceIdentity;
  readonly version: number;
  readonly walBlockBytes: bigint;
  readonly walSegmentBytes: bigint;
}

export async function readServer(target: PostgresTarget, query: Query): Promise<ServerFacts> {
  const [row = {}] = await query(
    `SELECT current_setting('server_version_num')::int AS version, current_setting('wal_level') AS wal_level, current_database() AS database,
       current_setting('wal_block_size') AS wal_block, pg_size_bytes(current_setting('wal_segment_size'))::text AS wal_segment,
       pg_is_in_recovery() AS standby, (SELECT system_identifier::text FROM pg_control_system()) AS system_id,
       (SELECT timeline_id FROM pg_control_checkpoint()) AS checkpoint_timeline,
       CASE WHEN pg_is_in_recovery() THEN 0 ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline`,
  );
  const version = Number(row['version']);
  const place = { source: target.name };
  if (version < 130_000) {
    throw new TidemarkError('SOURCE_VERSION', `PostgreSQL ${Math.floor(version / 10_000)} is too old`, {
      place,
      hint: 'tidemark needs PostgreSQL 13 or newer.',
    });
  }
  if (row['standby'] === true) {
    throw new TidemarkError('SOURCE_SETTING', 'the server is a standby', {
      place,
      hint: 'Give the url of the primary.',
    });
  }
  if (row['wal_level'] !== 'logical') {
    throw new TidemarkError('SOURCE_SETTING', `wal_level is ${String(row['wal_level'])}, not logical`, {
      place,
      hint: "Run ALTER SYSTEM SET wal_level = 'logical' as a superuser and restart the server.",
    });
  }
  return {
    identity: {
      systemId: String(row['system_id']),
      timeline: Number(row['timeline']),
      database: String(row['database']),
      slot: target.slot,
    },
    version,
    walBlockBytes: BigInt(String(row['wal_block'])),
    walSegmentBytes: BigInt(String(row['wal_segment'])),
  };
}

/**
 * Where the next record would go, as a position that an idle stream reaches: at the start of a page the server names the place after
 * the page's header (24 bytes, 40 at the start of a segment), while a stream that has read everything stands at the page's start.
 */
export async function insertPosition(
  query: Query,
  server: Pick<ServerFacts, 'walBlockBytes' | 'walSegmentBytes'>,
): Promise<Lsn> {
  const [row] = await query('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  return withoutPageHeader(parseLsn(String(row?.['lsn'])), server);
}

export function withoutPageHeader(position: Lsn, server: Pick<ServerFacts, 'walBlockBytes' | 'walSegmentBytes'>): Lsn {
  if (position % server.walSegmentBytes === 40n) return lsn(position - 40n);
  if (position % server.walBlockBytes === 24n) return lsn(position - 24n);
  return position;
}

/** Words for a source whose log can no longer be continued, with the two ways out. */
const startAgain =
  "To read everything anew and go on, set snapshot: { mode: when_needed } for this source (what the sinks hold stays until it is replaced), or stop tidemark, run 'tidemark drop --source NAME' and remove data_dir.";

/** Checks that the server is the one that the log was filled from, and has not gone back in time. SOURCE_IDENTITY otherwise. */
export function checkIdentity(known: SourceIdentity, server: ServerFacts, current: Lsn, position: Lsn): void {
  const { identity } = server;
  const place = { source: identity.slot };
  const wrong = (message: string): TidemarkError =>
    new TidemarkError('SOURCE_IDENTITY', message, { place, hint: startAgain });
  if (known.systemId !== identity.systemId || known.database !== identity.database) {
    throw wrong(
      `this is another server or database than the log was filled from (system ${identity.systemId}, database ${identity.database}; the log knows ${known.systemId}, ${known.database})`,
    );
  }
  if (known.timeline !== identity.timeline) {
    throw wrong(
      `the server is on timeline ${identity.timeline}, the log was filled from timeline ${known.timeline}: it failed over or was restored, and changes may differ from there on`,
    );
  }
  if (current < position) throw wrong('the server has not come as far as the log: it was restored from a backup');
}

export type SlotState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'lost'; readonly reason: string }
  | {
      readonly kind: 'usable';
      readonly confirmed: Lsn;
      readonly active: boolean;
      readonly walStatus: string;
      readonly safeBytes: number | null;
    };

export async function readSlot(target: PostgresTarget, query: Query): Promise<SlotState> {
  const [row] = await query(
    `SELECT plugin, slot_type, database = current_database() AS here, active, confirmed_flush_lsn::text AS confirmed, wal_status,
       safe_wal_size::float8 AS safe, to_jsonb(s) ->> 'invalidation_reason' AS reason, to_jsonb(s) ->> 'conflicting' AS conflicting
     FROM pg_catalog.pg_replication_slots s WHERE slot_name = ${literal(target.slot)}`,
  );
  if (row === undefined) return { kind: 'absent' };
  if (row['plugin'] !== 'pgoutput' || row['here'] !== true) {
    throw new TidemarkError(
      'SLOT_FOREIGN',
      `slot ${target.slot} belongs to something else (plugin ${String(row['plugin'])})`,
      {
        place: { source: target.name },
        hint: 'Name another one with `slot:`, or drop it if nobody needs it.',
      },
    );
  }
  if (row['wal_status'] === 'lost' || row['conflicting'] === 'true') {
    return {
      kind: 'lost',
      reason: typeof row['reason'] === 'string' ? row['reason'] : 'its WAL was removed (max_slot_wal_keep_size)',
    };
  }
  return {
    kind: 'usable',
    confirmed: parseLsn(String(row['confirmed'])),
    active: row['active'] === true,
    walStatus: String(row['wal_status']),
    safeBytes: row['safe'] === null ? null : Number(row['safe']),
  };
}

/** Checks that the slot can go on from where the log ends. */
export function checkSlot(target: PostgresTarget, slot: SlotState, position: Lsn): void {
  const place = { source: target.name };
  if (slot.kind === 'absent') {
    throw new TidemarkError(
      'SLOT_LOST',
      `replication slot ${target.slot} is gone, and with it the changes since the log's end`,
      { place, hint: startAgain },
    );
  }
  if (slot.kind === 'lost') {
    throw new TidemarkError('SLOT_LOST', `replication slot ${target.slot} was invalidated: ${slot.reason}`, {
      place,
      hint: startAgain,
    });
  }
  if (slot.confirmed > position) {
    throw new TidemarkError(
      'SLOT_AHEAD',
      `replication slot ${target.slot} has moved past the end of the log: changes in between were consumed by somebody else`,
      {
        place,
        hint: startAgain,
      },
    );
  }
}

/**
 * Creates the slot. Returns where its stream begins, and the transactions that no read may miss: those still running (or not yet visible)
 * afterwards are streamed only if they write their commit record later.
 */
export async function createSlot(
  target: PostgresTarget,
  query: Query,
  wait: SlotWait,
): Promise<{ position: Lsn; running: string[] }> {
  // The server waits for every transaction that runs, however long: on a connection of its own, so that it can be asked for whom.
  const client = await connect(target, 'slot');
  const abort = (): void => destroy(client);
  wait.signal.addEventListener('abort', abort, { once: true });
  const state = { waiting: true };
  try {
    const [backend] = await queryOf(client, target)('SELECT pg_backend_pid() AS pid');
    const made = queryOf(
      client,
      target,
      slotTimeoutMs,
    )(
      `SELECT lsn::text AS lsn FROM pg_catalog.pg_create_logical_replication_slot(${literal(target.slot)}, 'pgoutput')`,
    ).finally(() => {
      state.waiting = false;
    });
    const watch = async (): Promise<void> => {
      for (let polls = 0; state.waiting; polls++) {
        await new Promise((resolve) => setTimeout(resolve, slotPollMs));
        if (state.waiting && polls % 10 === 9) wait.for(await blockersOf(Number(backend?.['pid']), query));
      }
    };
    const [[row]] = await Promise.all([made, watch()]);
    return { position: parseLsn(String(row?.['lsn'])), running: await runningTransactions(query) };
  } finally {
    state.waiting = false;
    wait.for(null);
    wait.signal.removeEventListener('abort', abort);
    destroy(client);
  }
}
/** Making a slot can take as long as the longest transaction: who is told, and what ends it. */
export interface SlotWait {
  readonly signal: AbortSignal;
  /** Says whom the server waits for, in words; null when it no longer does. */
  for(sessions: string | null): void;
}
/** How long the server may take to make a slot. */
const slotTimeoutMs = 24 * 3_600_000;
const slotPollMs = 100;

export async function dropSlot(target: PostgresTarget, query: Query): Promise<boolean> {
  const rows = await query(
    `SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = ${literal(target.slot)}`,
  );
  return rows.length > 0;
}

export async function currentSnapshot(query: Query): Promise<PgSnapshot> {
  const [row] = await query('SELECT pg_current_snapshot()::text AS snapshot');
  return new PgSnapshot(String(row?.['snapshot']));
}

/**
 * S0 of docs/snapshot.md: reads must see the end of every transaction that runs now. A snapshot lists none that began after the newest
 * one that has ended, so a transaction of our own is taken (and ended) first.
 */
export async function runningTransactions(query: Query): Promise<string[]> {
  await query('SELECT pg_current_xact_id()');
  return (await currentSnapshot(query)).running();
}
