import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { messageOf } from '../../base/errors.ts';
import { accounts } from './schema.ts';

const pollMs = 3;

interface Record {
  readonly seq: number;
  readonly epoch: number;
  readonly consistent: boolean;
}

/** Polls the money in a Redis in one command each time: all of it is there, sums to 0, and is never of an older commit than before. */
export class RedisReader {
  readonly #client: Redis;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  polls = 0;
  readonly #seen = new Set<number>();
  #newest = 0;
  violation: string | null = null;

  constructor(url: string) {
    this.#client = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: 0, commandTimeout: 2000 });
    this.#client.on('error', () => undefined);
    this.#running = this.#run();
  }

  async end(): Promise<{ polls: number; commits: number }> {
    this.#stop.abort();
    await this.#running;
    this.#client.disconnect();
    return { polls: this.polls, commits: this.#seen.size };
  }

  async #run(): Promise<void> {
    const ids = Array.from({ length: accounts }, (_, index) => index + 1);
    const keys = [
      'tidemark:crash:redis_savings',
      ...ids.flatMap((id) => [`redis_savings:${id}`, `redis_checking:${id}`]),
    ];
    while (!this.#stop.signal.aborted && this.violation === null) {
      try {
        const [record, ...values] = await this.#client.mget(keys);
        this.polls++;
        if (typeof record === 'string') this.#check(JSON.parse(record) as Record, values);
      } catch (error) {
        // The server is down, or up and reading its file.
        if (error instanceof SyntaxError) this.violation = messageOf(error);
      }
      await delay(pollMs);
    }
  }

  #check({ seq, consistent }: Record, values: readonly (string | null)[]): void {
    if (!consistent) return;
    if (seq < this.#newest) this.violation = `commit ${seq} after commit ${this.#newest}`;
    this.#newest = seq;
    this.#seen.add(seq);
    let sum = 0;
    for (const value of values) {
      if (value === null) {
        this.violation = `an account is missing at commit ${seq}`;
        return;
      }
      sum += (JSON.parse(value) as { balance: number }).balance;
    }
    if (sum !== 0) this.violation = `the accounts sum to ${sum} at commit ${seq}`;
  }
}
