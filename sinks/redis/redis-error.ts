import { TidemarkError, messageOf, systemCodeOf } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';

interface Known {
  readonly code: ErrorCode;
  /** Behind the address. */
  readonly what: string;
  readonly hint: string;
}

const user = 'Set user and password in the `url` of the sink: redis://user:password@host:6379/0.';

/** Errors by the first word of what the server says (src/server.c, createSharedObjects). */
const byWord: Readonly<Record<string, Known>> = {
  NOAUTH: { code: 'SINK_AUTH', what: 'wants a password', hint: user },
  WRONGPASS: { code: 'SINK_AUTH', what: 'refuses the user or password', hint: user },
  NOPERM: {
    code: 'SINK_PRIVILEGE',
    what: 'does not let this user do what the sink needs',
    hint: 'Grant it the commands and keys that docs/redis.md lists, with ACL SETUSER.',
  },
  READONLY: {
    code: 'SINK_SETTING',
    what: 'is a replica, which takes no writes',
    hint: 'Give the sink the `url` of the primary, or an address that follows it at a failover.',
  },
  MOVED: {
    code: 'SINK_SETTING',
    what: 'is a node of a Redis Cluster, which cannot change keys of several slots in one step',
    hint: 'Give the sink the `url` of a Redis that is not clustered.',
  },
  CROSSSLOT: {
    code: 'SINK_SETTING',
    what: 'is a node of a Redis Cluster, which cannot change keys of several slots in one step',
    hint: 'Give the sink the `url` of a Redis that is not clustered.',
  },
  OOM: {
    code: 'SINK_FAILED',
    what: 'has no memory left (maxmemory)',
    hint: 'Raise maxmemory, or remove keys; the write is tried again, and nothing is lost meanwhile.',
  },
  MISCONF: {
    code: 'SINK_FAILED',
    what: 'refuses writes because it cannot save to its disk',
    hint: 'See its log and make room on its disk; the write is tried again, and nothing is lost meanwhile.',
  },
  LOADING: {
    code: 'SINK_UNREACHABLE',
    what: 'is reading its file and answers soon',
    hint: 'It is tried again; nothing is lost meanwhile.',
  },
  MASTERDOWN: {
    code: 'SINK_SETTING',
    what: 'is a replica whose primary is down',
    hint: 'Give the sink the `url` of the primary, or an address that follows it at a failover.',
  },
  NOREPLICAS: {
    code: 'SINK_FAILED',
    what: 'refuses writes while it has too few replicas (min-replicas-to-write)',
    hint: 'Bring its replicas back; the write is tried again, and nothing is lost meanwhile.',
  },
  BUSY: {
    code: 'SINK_FAILED',
    what: 'is busy with a script',
    hint: 'It is tried again; nothing is lost meanwhile.',
  },
  WRONGTYPE: {
    code: 'SINK_TARGET',
    what: 'holds something else under a key that is the program’s own',
    hint: 'Remove the keys tidemark:* there, or give the sink another database.',
  },
};

const unreachable: Known = {
  code: 'SINK_UNREACHABLE',
  what: 'does not answer',
  hint: 'Start it, or correct the `url` of the sink; it is tried again with growing pauses, and nothing is lost meanwhile.',
};

/** What a command's error means. `broken` is what the socket said, where it said something. */
export function redisError(error: unknown, broken: unknown, label: string, sink: string): TidemarkError {
  const said = messageOf(error);
  const known = byWord[said.split(' ', 1)[0] ?? ''] ?? (isReply(error) ? otherReply(said) : null);
  const cause = known === null ? (broken ?? error) : error;
  const { code, what, hint } = known ?? unreachable;
  return new TidemarkError(code, `Redis at ${label} ${what}: ${shown(cause)}`, { hint, place: { sink }, cause });
}

function otherReply(said: string): Known {
  // What a script meets is told without the word.
  const noPermission = byWord['NOPERM'];
  if (noPermission && /user executing the script can't/.test(said)) return noPermission;
  if (/without any password configured|no password is set/.test(said)) {
    return {
      code: 'SINK_AUTH',
      what: 'has no password, and was given one',
      hint: 'Take the password out of the `url` of the sink, or set one on the server.',
    };
  }
  if (/DB index is out of range|invalid DB index/i.test(said)) {
    return {
      code: 'SINK_TARGET',
      what: 'has no database of that number',
      hint: 'Correct the number at the end of the `url` of the sink; a server has 0 to 15 unless `databases` says otherwise.',
    };
  }
  if (/unknown command/i.test(said)) {
    return {
      code: 'SINK_VERSION',
      what: 'does not know a command that the sink needs',
      hint: 'Use Redis 6.0 or newer, or Valkey, and do not rename or disable commands.',
    };
  }
  return {
    code: 'SINK_FAILED',
    what: 'refuses a command',
    hint: 'It is tried again with growing pauses; nothing is lost meanwhile.',
  };
}

/** Whether the server said it, and not the client. */
function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

function shown(error: unknown): string {
  const code = systemCodeOf(error);
  const text = messageOf(error);
  return code === undefined || text.includes(code) ? text : `${code} ${text}`;
}
