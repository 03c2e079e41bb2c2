import { TidemarkError, isTidemarkError } from '../../base/errors.ts';
import type { RedisConnection } from './connection.ts';

/** What matters of a server's INFO; null where it does not say. */
export interface ServerFacts {
  /** `Redis 7.0.15` or `Valkey 8.1.0`; the number alone decides. */
  readonly name: string;
  readonly major: number | null;
  readonly isCluster: boolean;
  readonly isReplica: boolean;
  /** What it does when memory runs out. */
  readonly policy: string | null;
  /** It writes what it holds to a disk. */
  readonly isPersistent: boolean | null;
}

const oldestMajor = 6;

/** Null for a user who may not ask. */
export async function serverFacts(connection: RedisConnection): Promise<ServerFacts | null> {
  let info: string;
  try {
    info = String(await connection.call('INFO'));
  } catch (error) {
    if (isTidemarkError(error, 'SINK_PRIVILEGE')) return null;
    throw error;
  }
  const field = (name: string): string | null => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? null;
  const valkey = field('valkey_version');
  const version = valkey ?? field('redis_version') ?? '';
  const savesLog = field('aof_enabled');
  return {
    name: `${valkey === null ? 'Redis' : 'Valkey'} ${version}`,
    major: /^\d+/.test(version) ? Number.parseInt(version, 10) : null,
    isCluster: field('cluster_enabled') === '1' || field('redis_mode') === 'cluster',
    isReplica: field('role') === 'slave',
    policy: field('maxmemory_policy'),
    isPersistent: savesLog === null ? null : savesLog === '1',
  };
}

/** What rules the server out, with the remedy; null when nothing does. */
export function serverProblem(
  facts: ServerFacts,
): { code: 'SINK_SETTING' | 'SINK_VERSION'; what: string; fix: string } | null {
  if (facts.major !== null && facts.major < oldestMajor) {
    return { code: 'SINK_VERSION', what: `is ${facts.name}`, fix: 'Use Redis 6.0 or newer, or Valkey.' };
  }
  if (facts.isCluster) {
    return {
      code: 'SINK_SETTING',
      what: 'is a node of a Redis Cluster, which cannot change keys of several slots in one step',
      fix: 'Give the sink the `url` of a Redis that is not clustered; replicas and Sentinel are fine.',
    };
  }
  if (facts.isReplica) {
    return {
      code: 'SINK_SETTING',
      what: 'is a replica, which takes no writes',
      fix: 'Give the sink the `url` of the primary, or an address that follows it at a failover.',
    };
  }
  return null;
}

/** Policies that drop any key; the others drop only what expires by itself anyway. */
export function dropsRows(facts: ServerFacts): boolean {
  return facts.policy?.startsWith('allkeys-') === true;
}

/** Throws when the sinks cannot, or must not, write there. */
export function refuseServer(facts: ServerFacts | null, label: string): void {
  if (facts === null) return;
  const problem = serverProblem(facts);
  if (problem !== null) {
    throw new TidemarkError(problem.code, `Redis at ${label} ${problem.what}`, { hint: problem.fix });
  }
  if (dropsRows(facts)) {
    throw new TidemarkError(
      'SINK_SETTING',
      `Redis at ${label} drops rows when memory runs out (maxmemory-policy ${facts.policy})`,
      {
        hint: 'CONFIG SET maxmemory-policy noeviction, there and in its file.',
      },
    );
  }
}
