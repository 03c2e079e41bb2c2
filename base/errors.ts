/**
 * Every error code of the program, in one place. A code is part of the interface: it appears in logs, in status and in the HTTP
 * API, and docs/errors.md lists each with its remedy (a test holds the two together).
 */
export const errorCodes = {
  INTERNAL: { exit: 1, about: 'An invariant of tidemark itself does not hold. Always a bug.' },
  USAGE: { exit: 2, about: 'The command line is not understood.' },
  OUTPUT_FAILED: { exit: 1, about: 'Standard output cannot be written.' },
  CONFIG_INVALID: { exit: 2, about: 'The configuration file has mistakes; all of them are listed.' },
  REQUEST_INVALID: { exit: 2, about: 'A request to the HTTP API is not understood.' },
  PATH_UNKNOWN: { exit: 2, about: 'The HTTP API has no such path.' },
  HTTP_ADDRESS: { exit: 1, about: 'The configured http address cannot be listened on.' },
  HTTP_TOKEN: { exit: 1, about: 'The HTTP API wants a token, and got none or another one.' },
  DATA_DIR_LOCKED: { exit: 1, about: 'Another process owns the data directory.' },
  DATA_DIR_UNUSABLE: { exit: 1, about: 'The data directory cannot be made or written to.' },
  DISK_FULL: { exit: 1, about: 'The disk (or a file size limit) refuses writes under data_dir.' },
  LOG_CORRUPT: { exit: 1, about: 'A frame of the log fails its checksum or its format.' },
  LOG_FORMAT: { exit: 1, about: 'The log was written by a newer version of tidemark.' },
  LOG_CLOSED: { exit: 1, about: 'The log has been closed or has failed before.' },
  LOG_BEHIND: {
    exit: 1,
    about: 'The log ends before a reader that was filled from it: it was replaced by an older copy.',
  },
  TOPIC_UNKNOWN: { exit: 1, about: 'No topic has that name.' },
  SOURCE_UNREACHABLE: { exit: 1, about: 'The source database does not answer; retried with backoff.' },
  SOURCE_AUTH: { exit: 1, about: 'The source database refuses the user or password.' },
  SOURCE_PRIVILEGE: { exit: 1, about: 'The user lacks a privilege on the source database.' },
  SOURCE_SETTING: { exit: 1, about: 'A setting of the source server rules replication out.' },
  SOURCE_VERSION: { exit: 1, about: 'The source server is too old.' },
  SOURCE_POOLER: { exit: 1, about: 'The URL leads to a connection pooler, not to the server itself.' },
  SOURCE_IDENTITY: {
    exit: 1,
    about: 'The server is not the one that the log was filled from, or was restored or failed over.',
  },
  SOURCE_PROTOCOL: { exit: 1, about: 'The source sent a message that does not follow its protocol.' },
  SOURCE_LINE: { exit: 1, about: 'A line of an ndjson source is malformed; the lines before it have been taken.' },
  TABLE_UNKNOWN: { exit: 1, about: 'No table matches a name or pattern in `tables`.' },
  TABLE_NO_KEY: { exit: 1, about: 'A table has no primary key and no replica identity that could stand in for it.' },
  TABLE_CHANGED: { exit: 1, about: 'A table changed in a way that `on_schema_change: stop` does not let pass.' },
  SLOT_FOREIGN: { exit: 1, about: 'The replication slot belongs to another plugin or database, or is a physical one.' },
  SLOT_IN_USE: { exit: 1, about: 'Another connection is reading from the replication slot.' },
  SLOT_LOST: {
    exit: 1,
    about: 'The replication slot is gone or was invalidated; the changes since are not to be had from the log.',
  },
  SLOT_AHEAD: { exit: 1, about: 'The replication slot has moved past the log: somebody else consumed changes.' },
  SLOTS_EXHAUSTED: { exit: 1, about: 'The server has no replication slot or walsender left.' },
  SNAPSHOT_FAILED: { exit: 1, about: 'A table could not be read.' },
  SINK_UNREACHABLE: { exit: 1, about: 'The server of a sink does not answer; retried with backoff.' },
  SINK_AUTH: { exit: 1, about: 'The server of a sink refuses the user or password.' },
  SINK_PRIVILEGE: { exit: 1, about: 'The user lacks a permission on the server of a sink.' },
  SINK_SETTING: { exit: 1, about: "A setting or the role of a sink's server rules it out." },
  SINK_VERSION: { exit: 1, about: 'The server of a sink is too old.' },
  SINK_FAILED: { exit: 1, about: 'A sink refuses writes; retried, or stopped as `on_error` says.' },
  SINK_TARGET: { exit: 1, about: 'What a sink writes to exists and is not of its making, or has another shape.' },
  SINK_FENCED: { exit: 1, about: 'Another tidemark has taken over what a sink writes to.' },
  SINK_STALLED: { exit: 1, about: 'What a sink writes to neither takes a write nor refuses it.' },
  SINK_PAUSED: { exit: 1, about: 'The sink is paused, so that what was asked of it would never come.' },
  SINK_UNREADABLE: { exit: 1, about: 'What a sink of that type holds cannot be read back.' },
  SINK_STOPPED: {
    exit: 1,
    about: 'A sink met a row that it cannot take, and `on_error: stop` is set, or too many were set aside before.',
  },
  ROW_REJECTED: { exit: 1, about: 'One row cannot be written to a sink; it went to its dead letters.' },
  VIEW_INVALID: { exit: 2, about: 'The SQL of a view is not understood, or uses what views do not support.' },
  VIEW_KEY: { exit: 1, about: 'Two rows of a view have the same declared key.' },
  VIEW_FAILED: { exit: 1, about: 'A view cannot be kept up to date; its sinks stay as they are.' },
  SERVICE_UNREACHABLE: { exit: 1, about: 'No running service answers at the configured http address.' },
  VIEW_UNKNOWN: { exit: 2, about: 'The configuration has no view of that name.' },
  SINK_UNKNOWN: { exit: 2, about: 'The configuration has no sink of that name.' },
  SOURCE_UNKNOWN: { exit: 2, about: 'The configuration has no source of that name.' },
  POSITION_INVALID: { exit: 2, about: 'A position is not in the form that its source uses.' },
  VALUE_INVALID: {
    exit: 1,
    about: 'A value is not in the form of its type, or not valid UTF-8, and has no JSON or other meaning.',
  },
  WAIT_TIMEOUT: { exit: 3, about: 'A wait ran out of time.' },
} as const satisfies Record<string, { exit: number; about: string }>;

export type ErrorCode = keyof typeof errorCodes;

/** Where something happened, as far as it is known. */
export interface ErrorPlace {
  source?: string;
  view?: string;
  sink?: string;
  table?: string;
  position?: string;
  /** A file with its place, as `path:line:column` or `path@offset`. */
  file?: string;
}

/** The program's only error type: what happened, where, and what to do about it. Never carries a secret. */
export class TidemarkError extends Error {
  override readonly name = 'TidemarkError';
  readonly code: ErrorCode;
  /** One sentence: what to do, or undefined where nothing sensible can be said. */
  readonly hint: string | undefined;
  readonly place: ErrorPlace;

  constructor(code: ErrorCode, message: string, options: { hint?: string; place?: ErrorPlace; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.place = options.place ?? {};
  }

  get exitCode(): number {
    return errorCodes[this.code].exit;
  }
}

export function isTidemarkError(error: unknown, code?: ErrorCode): error is TidemarkError {
  return error instanceof TidemarkError && (code === undefined || error.code === code);
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

/** The system's error code (ENOENT, ECONNREFUSED, a SQLSTATE …) of anything that was thrown, if it has one. */
export function systemCodeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
