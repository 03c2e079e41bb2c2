import { Socket } from 'node:net';
import type { Client } from 'pg';
import { assert } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import { BulkSocket } from './bulk-socket.ts';

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

/** Type and length. */
const headerBytes = 5;
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
/** Where messages that chunks cut are put together; it grows for larger ones, and shrinks again after huge ones. */
const cutBytesMin = 8 * 1024;
const keptCutBytesMax = 1024 * 1024;

export class CopySocket {
  readonly #socket: Socket;
  /** The same, when it reads into buffers that it wants back. */
  readonly #bulk: BulkSocket | null;
  readonly #listeners: ((...args: unknown[]) => void)[];
  #chunks: Buffer[] = [];
  /** The beginning of a message that goes on in the next chunk: its first `#cutBytes` bytes. */
  #cut: Buffer = Buffer.allocUnsafeSlow(cutBytesMin);
  #cutBytes = 0;
  #serverError: Error | null = null;
  #ready = false;
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
    if (this.#bulk === null && this.#queuedBytes >= queuedBytesMax) this.#socket.pause();
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
    this.#bulk = this.#socket instanceof BulkSocket ? this.#socket : null;
    this.#listeners = this.#socket.listeners('data') as ((...args: unknown[]) => void)[];
    if (this.#bulk === null) {
      this.#socket.removeAllListeners('data');
      this.#socket.on('data', this.#onData);
    }
    this.#bulk?.readInto(this.#onData);
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
    try {
      for (;;) {
        const chunks = await this.#take();
        for (const chunk of chunks) {
          const at = await this.#completeCut(chunk, handler);
          if (this.#ready || (await this.#walk(chunk, at, handler))) return;
          this.#bulk?.recycle();
        }
        const pending = handler.idle?.();
        if (pending !== undefined) await pending;
      }
    } catch (error) {
      throw this.#closed && this.#serverError !== null && error === this.#failure ? this.#serverError : error;
    } finally {
      this.#release();
    }
  }

  /** Hands over the messages of a chunk from `start` on, where they lie; keeps the one that it cuts. True when the answer has ended. */
  async #walk(chunk: Buffer, start: number, handler: CopyHandler): Promise<boolean> {
    let at = start;
    while (at + headerBytes <= chunk.length) {
      const end = at + 1 + this.#lengthAt(chunk, at + 1);
      if (end > chunk.length) break;
      if (chunk[at] === typeCopyData) {
        const pending = handler.data(chunk, at + headerBytes, end);
        if (pending !== undefined) await pending;
      } else if (this.#control(chunk, at, end, handler)) {
        return true;
      }
      at = end;
    }
    this.#keep(chunk, at, chunk.length);
    return false;
  }

  /** Puts the beginning of a chunk to the message that was cut before it, and hands that over once it is whole. Returns where the next begins. */
  async #completeCut(chunk: Buffer, handler: CopyHandler): Promise<number> {
    let at = 0;
    if (this.#cutBytes > 0 && this.#cutBytes < headerBytes) {
      at = Math.min(headerBytes - this.#cutBytes, chunk.length);
      this.#keep(chunk, 0, at);
    }
    if (this.#cutBytes < headerBytes) return at;
    const wanted = 1 + this.#lengthAt(this.#cut, 1);
    const end = Math.min(at + wanted - this.#cutBytes, chunk.length);
    this.#keep(chunk, at, end, wanted);
    if (this.#cutBytes < wanted) return end;
    const message = this.#cut;
    if (message[0] === typeCopyData) {
      const pending = handler.data(message, headerBytes, wanted);
      if (pending !== undefined) await pending;
    } else {
      this.#control(message, 0, wanted, handler);
    }
    this.#cutBytes = 0;
    // A huge value's buffer is not kept for the small ones that follow.
    if (message.length > keptCutBytesMax) this.#cut = Buffer.allocUnsafeSlow(cutBytesMin);
    return end;
  }

  /** Adds bytes to the message that is cut, of which `wanted` bytes are to come in all. */
  #keep(chunk: Buffer, start: number, end: number, wanted = 0): void {
    const size = Math.max(wanted, this.#cutBytes + end - start);
    if (size > this.#cut.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(size, 2 * cutBytesMin));
      this.#cut.copy(larger, 0, 0, this.#cutBytes);
      this.#cut = larger;
    }
    this.#cutBytes += chunk.copy(this.#cut, this.#cutBytes, start, end);
  }

  /** A message other than CopyData. True when the answer has ended well; throws the server's error when it has ended with one. */
  #control(buffer: Buffer, at: number, end: number, handler: CopyHandler): boolean {
    const type = buffer[at];
    if (type === typeError) this.#serverError = serverErrorOf(buffer.subarray(at + headerBytes, end));
    else if (type === typeCopyOut || type === typeCopyBoth) handler.started?.();
    if (type !== typeReady) return false;
    if (this.#serverError !== null) throw this.#serverError;
    this.#ready = true;
    return true;
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

  /** What has arrived, or everything that came in during a short wait when the server sends in bulk: its walsender wakes up per write, so fewer, larger reads save both sides work. */
  async #take(): Promise<Buffer[]> {
    this.#waitingSince = performance.now();
    while (this.#chunks.length === 0) {
      if (this.#failure !== null) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const inBulk = this.#queuedBytes >= bulkChunkBytes && this.#queuedBytes < queuedBytesMax;
    if (inBulk && !endsAnswer(this.#chunks.at(-1))) {
      await new Promise((resolve) => {
        setTimeout(resolve, bulkPauseMs);
      });
    }
    this.#waitingSince = null;
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#queuedBytes = 0;
    if (this.#socket.isPaused()) this.#socket.resume();
    return chunks;
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
    this.#socket.off('close', this.#onClose);
    this.#socket.off('error', this.#onError);
    this.#bulk?.readInto(null);
    if (this.#bulk === null) {
      this.#socket.off('data', this.#onData);
      for (const listener of this.#listeners) this.#socket.on('data', listener);
    }
    if (this.#socket.isPaused()) this.#socket.resume();
  }
}

/** Whether a chunk looks as if it ended with ReadyForQuery, so that no more comes. */
function endsAnswer(chunk: Buffer | undefined): boolean {
  if (chunk === undefined || chunk.length < 6) return false;
  const at = chunk.length - 6;
  return chunk[at] === typeReady && chunk.readUInt32BE(at + 1) === 5;
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
