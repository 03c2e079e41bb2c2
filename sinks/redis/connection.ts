import { Redis } from 'ioredis';
import { isTidemarkError } from '../../base/errors.ts';
import type { TidemarkError } from '../../base/errors.ts';
import { redisError } from './redis-error.ts';
import type { Script } from './scripts.ts';

/** How long a server may take: to accept a connection, and to answer a command. */
export interface RedisTimeouts {
  readonly connectMs: number;
  readonly commandMs: number;
}

/** A commit of many megabytes to a server that is busy writing its file takes a second or two. */
export const defaultTimeouts: RedisTimeouts = { connectMs: 5_000, commandMs: 15_000 };

/** Where a Redis URL leads to. */
export interface RedisPlace {
  readonly host: string;
  readonly port: number;
  readonly database: number;
  /** For people, without the password. */
  readonly label: string;
}

export function placeOf(url: string): RedisPlace {
  const { hostname, port, pathname } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1';
  const database = Number(pathname.slice(1) || 0);
  const shown = `${hostname || host}:${port || 6379}`;
  return { host, port: Number(port || 6379), database, label: database === 0 ? shown : `${shown}/${database}` };
}

type Argument = string | number | Buffer;

/**
 * One connection to one database of a server. It is not made again when it breaks, and no command is sent twice: what happened to a
 * write is then to be found out by whoever opens the next one. Every error is a TidemarkError.
 */
export class RedisConnection {
  readonly place: RedisPlace;
  readonly #client: Redis;
  readonly #sink: string;
  /** The error of the socket, which says more than that commands cannot be sent. */
  #broken: unknown = null;

  private constructor(client: Redis, place: RedisPlace, sink: string) {
    this.#client = client;
    this.place = place;
    this.#sink = sink;
    client.on('error', (error: unknown) => {
      this.#broken ??= error;
    });
  }

  /** Connects, logs in and chooses the database. `sink` is whom errors name. The signal ends the connection. */
  static async open(
    url: string,
    sink: string,
    timeouts: RedisTimeouts = defaultTimeouts,
    signal?: AbortSignal,
  ): Promise<RedisConnection> {
    const place = placeOf(url);
    const client = new Redis({
      host: place.host,
      port: place.port,
      ...(url.startsWith('rediss:') ? { tls: { servername: place.host } } : {}),
      connectTimeout: timeouts.connectMs,
      commandTimeout: timeouts.commandMs,
      // What the other side says to the end of a connection is of no interest.
      disconnectTimeout: 100,
      lazyConnect: true,
      protocol: 2,
      // Each of these would hide that the connection broke in the middle of something.
      retryStrategy: null,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      disableClientInfo: true,
    });
    const connection = new RedisConnection(client, place, sink);
    signal?.addEventListener('abort', () => connection.close(), { once: true });
    try {
      await client.connect();
      await connection.#logIn(new URL(url));
      return connection;
    } catch (error) {
      connection.close();
      throw connection.#translated(error);
    }
  }

  /** ioredis would do the same by itself, but go on in database 0 when there is no other. */
  async #logIn({ username, password }: URL): Promise<void> {
    if (password !== '') {
      const user = username === '' ? [] : [decodeURIComponent(username)];
      await this.call('AUTH', ...user, decodeURIComponent(password));
    }
    if (this.place.database !== 0) await this.call('SELECT', this.place.database);
  }

  /** Calls the listener when the connection ends, by itself or by `close`. */
  onEnd(listener: () => void): void {
    this.#client.once('end', listener);
  }

  get isOpen(): boolean {
    return this.#client.status === 'ready' || this.#client.status === 'connect';
  }

  async call(command: string, ...args: readonly Argument[]): Promise<unknown> {
    try {
      return await this.#client.call(command, [...args]);
    } catch (error) {
      throw this.#translated(error);
    }
  }

  /** Sends the commands at once. A reply that is an error is in the place of its command. */
  async pipeline(commands: readonly (readonly [string, ...Argument[]])[]): Promise<unknown[]> {
    const batch = this.#client.pipeline();
    for (const [name, ...args] of commands) batch.call(name, ...args);
    try {
      const replies = await batch.exec();
      return (replies ?? []).map(([error, reply]) => error ?? reply);
    } catch (error) {
      throw this.#translated(error);
    }
  }

  /** Runs a script, in one step that no other client sees the middle of. */
  async run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const rest = [keys.length, ...keys, ...args];
    try {
      return await this.#client.call('EVALSHA', [script.sha, ...rest]);
    } catch (error) {
      // The server forgets scripts when it is started again. Nothing of this one has been done then.
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw this.#translated(error);
      return this.call('EVAL', script.text, ...rest);
    }
  }

  close(): void {
    this.#client.disconnect();
  }

  #translated(error: unknown): TidemarkError {
    if (isTidemarkError(error)) return error;
    return redisError(error, this.#broken, this.place.label, this.#sink);
  }
}
