import type { Query } from './session.ts';

/** Words for people on which sessions hold up the transactions with these ids (32 bits, in decimal). */
export async function sessionsOf(txIds: readonly string[], query: Query): Promise<string> {
  const sessions = await describe('backend_xid::text = ANY ($1)', txIds, query);
  return sessions ?? `transaction ${txIds.join(', ')} to end (a prepared transaction?)`;
}

/** Words for people on whom the backend with this process id waits for; null when it does not wait. */
export async function blockersOf(pid: number, query: Query): Promise<string | null> {
  return describe(`pid = ANY (pg_catalog.pg_blocking_pids(($1::text[])[1]::int))`, [String(pid)], query);
}

async function describe(condition: string, values: readonly string[], query: Query): Promise<string | null> {
  const rows = await query(
    `SELECT pid, coalesce(application_name, '') AS application, state, coalesce(wait_event, '') AS wait, date_trunc('second', now() - xact_start)::text AS since
     FROM pg_catalog.pg_stat_activity WHERE ${condition}`,
    [[...values]],
  );
  if (rows.length === 0) return null;
  return rows
    .map((row) => {
      const standby = row['wait'] === 'SyncRep' ? ', waiting for a synchronous standby' : '';
      const who = `session ${String(row['pid'])} (${String(row['application'])}, ${String(row['state'])}${standby})`;
      return `${who} to end its transaction, open for ${String(row['since'])}`;
    })
    .join('; ');
}
