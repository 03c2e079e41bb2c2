import type { Client } from 'pg';
import { LogicalReplicationService } from 'pg-logical-replication';
import type { Clock } from '../../base/clock.ts';
import { TidemarkError } from '../../base/errors.ts';
import { formatLsn, lsn } from '../../model/position.ts';
import type { Lsn } from '../../model/position.ts';
import { CopySocket } from './copy-socket.ts';
import { defaultTimeouts } from './options.ts';
import type { PostgresTarget, Timeouts } from './options.ts';
import { clientConfig, connect, identifier, literal, sourceError } from './session.ts';

/**
 * One replication connection: START_REPLICATION, the messages, keepalives and acknowledgements.
 *
 * pg-logical-replication opens the session and runs the plugin; its reading loop, parser and timers are not used: it acknowledges what
 * it has received rather than what is durable, and costs several times the decoding per message.
 *
 * CopyData contents (https://www.postgresql.org/docs/current/protocol-replication.html):
 *   `w` XLogData: i64 start, i64 end of WAL on the server, i64 time, then one pgoutput message
 *   `k` keepalive: i64 end of WAL that the stream has come to, i64 time, u8 reply asked for
 *   `r` (ours) status: i64 written, i64 flushed, i64 applied, i64 time, u8 reply asked for
 */
export interface ReplicationHandler {
  /** One pgoutput message, `buffer[start..end)`. */
  message(buffer: Buffer, start: number, end: number): Promise<void> | undefined;
  /** The stream has come to `position`; everything committed before it has been sent. */
  keepalive(position: Lsn, timeMs: number): void;
  /** What has arrived so far was handed over. */
  idle(): Promise<void> | undefined;
}

/** What the library calls a plugin: it starts the stream on the library's connection. */
type Plugin = Parameters<LogicalReplicationService['subscribe']>[0];

const xlogData = 0x77;
const keepalive = 0x6b;
const xlogHeaderBytes = 25;
const postgresEpochMs = 946_684_800_000;
const keepaliveBytes = 18;

export class Replication {
  readonly #target: PostgresTarget;
  readonly #clock: Clock;
  readonly #handler: ReplicationHandler;
  readonly #timeouts: Timeouts;
  #socket: CopySocket | null = null;
  #sentAt = 0;
  #acknowledged: Lsn;

  constructor(target: PostgresTarget, clock: Clock, handler: ReplicationHandler, acknowledged: Lsn) {
    this.#target = target;
    this.#timeouts = target.timeouts ?? defaultTimeouts;
    this.#clock = clock;
    this.#handler = handler;
    this.#acknowledged = acknowledged;
  }

  /** Streams from `from` until the signal is aborted (then resolves) or the connection fails (then rejects). */
  async run(
    from: Lsn,
    options: { protocol: number; publications: readonly string[] },
    signal: AbortSignal,
  ): Promise<void> {
    const service = new LogicalReplicationService(
      { ...clientConfig(this.#target, 'stream') },
      { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: true } },
    );
    // Errors reach us by subscribe's rejection; an event without a listener would end the process.
    service.on('error', () => {});
    // The library listens for its client's errors only once that is connected: one that comes along with the server's greeting, from
    // a server that is being shut down, would end the process as well. So it is given a client that has its listener from the start.
    Reflect.set(service, 'client', async () => {
      const client = await connect(this.#target, 'stream', true);
      const connection: unknown = Reflect.get(client, 'connection');
      Reflect.set(service, '_client', client);
      Reflect.set(service, '_connection', connection);
      return [client, connection];
    });
    const plugin: Plugin = {
      name: 'pgoutput',
      options,
      parse: () => undefined,
      start: async (client, slot) => this.#start(client, slot, from, options, signal),
    };
    try {
      await service.subscribe(plugin, this.#target.slot, formatLsn(from));
      if (!signal.aborted)
        throw new TidemarkError('SOURCE_UNREACHABLE', 'PostgreSQL ended the replication stream', {
          place: { source: this.#target.name },
        });
    } catch (error) {
      if (!signal.aborted) throw sourceError(error, this.#target.name);
    } finally {
      this.#socket = null;
      await service.destroy().catch(() => {});
    }
  }

  /** Everything up to `position` is durable here: the server may forget it. */
  acknowledge(position: Lsn): void {
    if (position <= this.#acknowledged) return;
    this.#acknowledged = position;
    this.#sendStatus(false);
  }

  /** Asks the server how far its stream has come; the answer is a keepalive. */
  ping(): void {
    this.#sendStatus(true);
  }

  async #start(
    client: Client,
    slot: string,
    from: Lsn,
    options: { protocol: number; publications: readonly string[] },
    signal: AbortSignal,
  ): Promise<void> {
    const socket = new CopySocket(client);
    this.#socket = socket;
    const names = literal(options.publications.map(identifier).join(','));
    const streaming =
      options.protocol >= 4 ? ", streaming 'parallel'" : options.protocol >= 2 ? ", streaming 'on'" : '';
    const sql = `START_REPLICATION SLOT ${identifier(slot)} LOGICAL ${formatLsn(from)} (proto_version '${options.protocol}', publication_names ${names.trim()}${streaming})`;
    const stop = (): void => socket.destroy(new TidemarkError('SOURCE_UNREACHABLE', 'stopped'));
    signal.addEventListener('abort', stop, { once: true });
    const watch = setInterval(() => this.#watch(socket), Math.min(1_000, this.#timeouts.pingAfterMs));
    try {
      if (signal.aborted) stop();
      await socket.run(sql, {
        started: () => this.#sendStatus(true),
        data: (buffer, start, end) => this.#data(buffer, start, end),
        idle: () => this.#handler.idle(),
      });
    } finally {
      clearInterval(watch);
      signal.removeEventListener('abort', stop);
    }
  }

  #data(buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    const kind = buffer[start];
    if (end - start < (kind === xlogData ? xlogHeaderBytes + 1 : keepaliveBytes)) throw cutShort(this.#target.name);
    if (kind === xlogData) return this.#handler.message(buffer, start + xlogHeaderBytes, end);
    if (kind === keepalive) {
      const timeMs =
        postgresEpochMs +
        Math.floor((buffer.readInt32BE(start + 9) * 0x1_0000_0000 + buffer.readUInt32BE(start + 13)) / 1000);
      this.#handler.keepalive(lsn(buffer.readBigUInt64BE(start + 1)), timeMs);
      if (buffer[start + 17] !== 0) this.#sendStatus(false);
    }
    return undefined;
  }

  #watch(socket: CopySocket): void {
    const { silentMs } = socket;
    const { pingAfterMs, silentMaxMs } = this.#timeouts;
    if (silentMs > silentMaxMs) {
      socket.destroy(
        new TidemarkError(
          'SOURCE_UNREACHABLE',
          `PostgreSQL has sent nothing for ${Math.round(silentMs / 1000)} s, not even an answer`,
        ),
      );
    } else if (performance.now() - this.#sentAt > pingAfterMs) {
      // Also while a long piece of work keeps us from reading what the server asks: it would give us up (wal_sender_timeout).
      this.#sendStatus(silentMs > pingAfterMs);
    }
  }

  #sendStatus(reply: boolean): void {
    this.#sentAt = performance.now();
    const status = Buffer.alloc(34);
    status[0] = 0x72;
    status.writeBigUInt64BE(this.#acknowledged, 1);
    status.writeBigUInt64BE(this.#acknowledged, 9);
    status.writeBigUInt64BE(this.#acknowledged, 17);
    status.writeBigInt64BE(BigInt(Math.round((this.#clock.now() - postgresEpochMs) * 1000)), 25);
    status[33] = reply ? 1 : 0;
    this.#socket?.send(status);
  }
}

function cutShort(source: string): TidemarkError {
  return new TidemarkError('SOURCE_PROTOCOL', 'the replication stream cannot be read: a message is cut short', {
    place: { source },
  });
}
