import { Socket } from 'node:net';
import type { Client } from 'pg';
import { assert } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';

/**
 * COPY OUT and START_REPLICATION read straight from a pg client's socket.
 *
 * pg's own parser allocates an object and emits an event for every CopyData message, which costs several times what decoding
 * the row does. Here the socket's chunks are walked in place. The client must be idle; it gets its socket back when the
 * server is ready for the next query.
 *
 * Messages (https://www.postgresql.org/docs/current/protocol-message-formats.html): one byte of type, four bytes of length that
 * count themselves, then the content. `H` CopyOutResponse, `W` CopyBothResponse, `d` CopyData, `c` CopyDone, `C` CommandComplete,
 * `E` ErrorResponse, `N` NoticeResponse, `Z` ReadyForQuery.
 */
export interface CopyHandler {
  /** The server has accepted the command; nothing has been handed over yet. */
  started?(): void;
  /** One CopyData content, `buffer[start..end)`, valid during the call (until its promise settles, when it returns one). */
  data(buffer: Buffer, start: number, end: number): Promise<void> | undefined;
  /** Everything that has arrived was handed over; a promise holds further reading back. */
  idle?(): Promise<void> | undefined;
}

const typeCopyData = 0x64;
const typeError = 0x45;
const typeReady = 0x5a;
const typeCopyOut = 0x48;
const typeCopyBoth = 0x57;

/** No message is larger: the server builds each in one allocation (MaxAllocSize). */
const messageBytesMax = 0x4000_0000;

/** Chunks waiting beyond this many bytes pause the socket. */
const queuedBytesMax = 512 * 1024;
/** A chunk as large as this means that the server is sending in bulk: wait a little and read more at once. */
const bulkChunkBytes = 16 * 1024;
const bulkPauseMs = 2;

export class CopySocket {
  readonly #socket: Socket;
  readonly #listeners: ((...args: unknown[]) => void)[];
  readonly #chunks: Buffer[] = [];
  #queuedBytes = 0;
  #wake: (() => void) | null = null;
  #failure: Error | null = null;
  /** The server closed the connection; it may have said why before. */
  #closed = false;
  /** performance.now() since when nothing has been left to hand over; null while something is being worked on. */
  #waitingSince: number | null = performance.now();

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes >= queuedBytesMax) this.#socket.pause();
    this.#wakeUp();
  };
  readonly #onClose = (): void => {
    this.#closed ||= this.#failure === null;
    this.#failure ??= new TidemarkError('SOURCE_UNREACHABLE', 'the connection to PostgreSQL was closed');
    this.#wakeUp();
  };
  readonly #onError = (error: Error): void => {
    this.#failure = error;
    this.#wakeUp();
  };

  constructor(client: Client) {
    this.#socket = socketOf(client);
    this.#listeners = this.#socket.listeners('data') as ((...args: unknown[]) => void)[];
    this.#socket.removeAllListeners('data');
    this.#socket.on('data', this.#onData);
    this.#socket.on('close', this.#onClose);
    this.#socket.on('error', this.#onError);
  }

  /**
   * How long the server has sent nothing while everything before was dealt with. Zero while the handler is busy: then nothing is read,
   * and the silence is ours.
   */
  get silentMs(): number {
    return this.#waitingSince === null ? 0 : performance.now() - this.#waitingSince;
  }

  /** Runs one command to its end: resolves when the server is ready again, rejects with the server's error or the socket's. */
  async run(sql: string, handler: CopyHandler): Promise<void> {
    this.#socket.write(frame(0x51 /* Q */, Buffer.from(`${sql}\0`)));
    let serverError: Error | null = null;
    let rest: Buffer | null = null;
    try {
      for (;;) {
        let buffer = await this.#take();
        if (rest !== null) buffer = await this.#join(rest, buffer);
        let at = 0;
        while (at + 5 <= buffer.length) {
          const end = at + 1 + this.#lengthAt(buffer, at + 1);
          if (end > buffer.length) break;
          const type = buffer[at];
          if (type === typeCopyData) {
            const pending = handler.data(buffer, at + 5, end);
            if (pending !== undefined) await pending;
          } else if (type === typeError) {
            serverError = serverErrorOf(buffer.subarray(at + 5, end));
          } else if (type === typeCopyOut || type === typeCopyBoth) {
            handler.started?.();
          } else if (type === typeReady) {
            if (serverError !== null) throw serverError;
            return;
          }
          at = end;
        }
        rest = at < buffer.length ? buffer.subarray(at) : null;
        const pending = handler.idle?.();
        if (pending !== undefined) await pending;
      }
    } catch (error) {
      throw this.#closed && serverError !== null && error === this.#failure ? serverError : error;
    } finally {
      this.#release();
    }
  }

  /** Sends one CopyData message (replication: a standby status update). */
  send(content: Buffer): void {
    if (this.#socket.writable) this.#socket.write(frame(typeCopyData, content));
  }

  /** Ends the command from our side (CopyDone); `run` resolves once the server has answered. */
  finish(): void {
    if (this.#socket.writable) this.#socket.write(frame(0x63 /* c */, Buffer.alloc(0)));
  }

  /** Makes `run` fail with `error` at once and closes the connection. */
  destroy(error: Error): void {
    this.#failure = error;
    this.#socket.destroy();
    this.#wakeUp();
  }

  /** The next chunk, or everything that came in during a short wait when the server sends in bulk: its walsender wakes up per write, so fewer, larger reads save both sides work. */
  async #take(): Promise<Buffer> {
    this.#waitingSince = performance.now();
    while (this.#chunks.length === 0) {
      if (this.#failure !== null) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#queuedBytes >= bulkChunkBytes && this.#queuedBytes < queuedBytesMax) {
      await new Promise((resolve) => {
        setTimeout(resolve, bulkPauseMs);
      });
    }
    this.#waitingSince = null;
    const [first] = this.#chunks;
    const all = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
    this.#chunks.length = 0;
    this.#queuedBytes = 0;
    if (this.#socket.isPaused()) this.#socket.resume();
    return all;
  }

  /** Joins a cut message with what follows; a message larger than the queue is collected whole before it is joined, so that a huge value is copied once. */
  async #join(rest: Buffer, next: Buffer): Promise<Buffer> {
    const parts = [rest, next];
    let size = rest.length + next.length;
    while (size < 5) {
      const more = await this.#take();
      parts.push(more);
      size += more.length;
    }
    const head = rest.length >= 5 ? rest : Buffer.concat(parts).subarray(0, 5);
    const wanted = 1 + this.#lengthAt(head, 1);
    while (size < wanted) {
      const more = await this.#take();
      parts.push(more);
      size += more.length;
    }
    return Buffer.concat(parts);
  }

  /** The length of a message; what cannot be one ends the connection, of which nothing more can be understood. */
  #lengthAt(buffer: Buffer, at: number): number {
    const length = buffer.readUInt32BE(at);
    if (length >= 4 && length <= messageBytesMax) return length;
    const error = new TidemarkError('SOURCE_PROTOCOL', `PostgreSQL sent a message of ${length} bytes, which cannot be`);
    this.destroy(error);
    throw error;
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = null;
  }

  #release(): void {
    this.#socket.off('data', this.#onData);
    this.#socket.off('close', this.#onClose);
    this.#socket.off('error', this.#onError);
    for (const listener of this.#listeners) this.#socket.on('data', listener);
    if (this.#socket.isPaused()) this.#socket.resume();
  }
}

function frame(type: number, content: Buffer): Buffer {
  const message = Buffer.allocUnsafe(5 + content.length);
  message[0] = type;
  message.writeUInt32BE(4 + content.length, 1);
  content.copy(message, 5);
  return message;
}

/** The socket of a connected client. pg keeps it in `connection.stream`, which its type declarations leave out. */
export function socketOf(client: Client): Socket {
  const connection: unknown = Reflect.get(client, 'connection');
  const socket: unknown =
    typeof connection === 'object' && connection !== null ? Reflect.get(connection, 'stream') : null;
  assert(socket instanceof Socket, 'a pg client has no socket where it used to');
  return socket;
}

/** An ErrorResponse as pg would throw it: `message`, `code` (SQLSTATE), `detail`, `hint`. */
function serverErrorOf(content: Buffer): Error {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < content.length && content[at] !== 0) {
    const end = content.indexOf(0, at + 1);
    if (end < 0) break;
    fields.set(String.fromCharCode(content[at] as number), content.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return Object.assign(new ServerError(fields.get('M') ?? 'PostgreSQL reported an error without a message'), {
    code: fields.get('C'),
    detail: fields.get('D'),
    hint: fields.get('H'),
  });
}

/** An error that the server reported, in pg's shape; mapped to a TidemarkError where it is understood (session.ts). */
class ServerError extends Error {
  override readonly name = 'ServerError';
}
