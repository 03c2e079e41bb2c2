import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe } from 'vitest';
import { findRedis, startRedis } from './redis.ts';
import type { RedisOptions, RedisServer } from './redis.ts';
import { withoutServer } from './suite.ts';

/** A suite with a Redis of its own, started before its tests and stopped after them. */
export function describeRedis(title: string, options: RedisOptions, body: (suite: RedisSuite) => void): void {
  const suite = new RedisSuite(options);
  const found = findRedis();
  if (!found.found) {
    withoutServer(title, found.reason, () => {
      body(suite);
    });
    return;
  }
  describe(title, () => {
    beforeAll(async () => suite.start());
    afterAll(async () => suite.stop());
    body(suite);
  });
}

/** The server and connections of a suite; valid inside its tests and hooks. */
export class RedisSuite {
  readonly #options: RedisOptions;
  readonly #clients: Redis[] = [];
  #server: RedisServer | null = null;

  constructor(options: RedisOptions) {
    this.#options = options;
  }

  get server(): RedisServer {
    if (this.#server === null) throw new Error('the server is not running yet: ask inside a test or a hook');
    return this.#server;
  }

  get url(): string {
    return this.server.url;
  }

  /** A connection that is made again whenever it breaks. */
  client(password?: string): Redis {
    const client = new Redis({
      ...(password === undefined ? {} : { password }),
      port: this.server.port,
      host: '127.0.0.1',
      retryStrategy: () => 20,
      maxRetriesPerRequest: null,
    });
    client.on('error', () => undefined);
    this.#clients.push(client);
    return client;
  }

  async start(): Promise<void> {
    this.#server = await startRedis(this.#options);
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    await this.#server?.stop();
  }
}
