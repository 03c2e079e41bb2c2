import { TidemarkError } from '../../base/errors.ts';
import { formatLsn, parseLsn } from '../../model/position.ts';
import type { Lsn } from '../../model/position.ts';
import { CopySocket } from './copy-socket.ts';
import type { PostgresOptions } from './options.ts';
import type { Pipeline } from './pipeline.ts';
import { publicationNames } from './publication.ts';
import { connect, destroy, identifier, literal, queryOf } from './session.ts';
import type { Query } from './session.ts';
import { insertPosition } from './slot.ts';
import type { ServerFacts } from './slot.ts';

/**
 * Works off a large backlog by COPY of pg_logical_slot_peek_binary_changes, which the server sends more than twice as fast as a
 * replication stream: no message of its own for every change, and no waking up for every write. Each call begins at the slot's
 * restart position again, so the steps are large, and the slot is moved on (once everything is durable here) after each.
 *
 * The function collects a step's changes on the server before it sends them, in temporary files beyond work_mem: a server that
 * limits these is streamed from instead.
 */
export const backlogBytesMin = 48n * 1024n * 1024n;
const changesPerStep = 250_000;
/** Binary COPY begins with a signature of 11 bytes, four of flags and four of an extension's length. */
const copyHeaderBytes = 19;
const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');

export async function catchUp(
  options: PostgresOptions,
  pipeline: Pipeline,
  server: ServerFacts,
  from: Lsn,
  signal: AbortSignal,
): Promise<Lsn> {
  const { writer, pump, decoder } = pipeline;
  let position = from;
  const client = await connect(options, 'catch-up');
  const abort = (): void => destroy(client);
  signal.addEventListener('abort', abort, { once: true });
  try {
    const query = queryOf(client, options, 600_000);
    while (!signal.aborted && (await isWorthwhile(options, query, server, position))) {
      await query(
        `SELECT pg_catalog.pg_replication_slot_advance(${literal(options.slot)}, ${literal(formatLsn(position))})`,
      );
      let changes = 0;
      let isFirst = true;
      await new CopySocket(client).run(`COPY (${peekQuery(options)}) TO STDOUT (FORMAT binary)`, {
        data: (buffer, start, end) => {
          // Only what comes first can begin with the header; the server may send it by itself or with the first tuple.
          const hasHeader =
            isFirst && buffer.compare(signature, 0, signature.length, start, start + signature.length) === 0;
          isFirst = false;
          const at = hasHeader ? start + copyHeaderBytes : start;
          // A tuple: i16 fields, i32 length and the bytes of each; the trailer's count is -1.
          if (at + 2 > end || buffer.readInt16BE(at) < 0) return undefined;
          changes++;
          return pump.message(buffer, messageStart(buffer, at, end), end);
        },
        idle: () => pump.idle(),
      });
      if (decoder.inTransaction)
        throw new TidemarkError('SOURCE_PROTOCOL', 'a step of the backlog ends inside a transaction');
      const durable = await writer.durable();
      const reached = parseLsn(durable.position ?? '0/0');
      if (reached > position) position = reached;
      if (changes < changesPerStep) break;
    }
    return position;
  } finally {
    signal.removeEventListener('abort', abort);
    destroy(client);
  }
}

/** One column, the message: i16 1, i32 length, bytes. */
function messageStart(buffer: Buffer, at: number, end: number): number {
  const start = at + 6;
  if (buffer.readInt16BE(at) !== 1 || start + buffer.readInt32BE(at + 2) !== end) {
    throw new TidemarkError('SOURCE_PROTOCOL', 'a row of the backlog is not in binary COPY format');
  }
  return start;
}

function peekQuery(options: PostgresOptions): string {
  const publications = literal(publicationNames(options).map(identifier).join(','));
  return `SELECT data FROM pg_catalog.pg_logical_slot_peek_binary_changes(${literal(options.slot)}, NULL, ${changesPerStep}, 'proto_version', '1', 'publication_names', ${publications})`;
}

/** Whether there is much to work off, and the server may use the temporary files that it takes. */
async function isWorthwhile(
  options: PostgresOptions,
  query: Query,
  server: ServerFacts,
  position: Lsn,
): Promise<boolean> {
  if ((await insertPosition(query, server)) - position < (options.catchUpBytes ?? backlogBytesMin)) return false;
  const [row] = await query(`SELECT current_setting('temp_file_limit') AS temporary`);
  return row?.['temporary'] === '-1';
}
