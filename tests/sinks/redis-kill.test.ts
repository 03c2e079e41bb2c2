import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import { Harness } from './harness.ts';
import { describeRedis } from '../servers/redis-suite.ts';
import { RedisDelivery, redisSink, rowsOf, sorted, stringsIn } from './redis-harness.ts';
import type { Record } from './redis-harness.ts';
import { until } from '../servers/process.ts';
import { accountKeys, cursorKeys, sides } from './redis-transfers.ts';

interface Account {
  readonly balance: number;
  readonly version: number;
}

/** What one reader has seen so far. */
class Reader {
  looks = 0;
  /** Of them, those at which both cursors said that they were consistent. */
  consistent = 0;
  /** Consistent looks at which money was missing, or the cursors were of two commits. */
  broken = 0;
  /** Rows that were older than they had been. */
  older = 0;
  seq = 0;
  readonly #client: Redis;
  readonly #versions = new Map<string, number>();

  constructor(client: Redis) {
    this.#client = client;
  }

  /** MGET is one step for Redis: every reader may do that. */
  async look(): Promise<void> {
    const values = await this.#client.mget([...accountKeys, ...cursorKeys]);
    const records = values
      .slice(accountKeys.length)
      .map((text) => (text === null ? null : (JSON.parse(text) as Record)));
    let sum = 0;
    let rows = 0;
    for (const [index, key] of accountKeys.entries()) {
      const text = values[index];
      if (typeof text !== 'string') continue;
      const { balance, version } = JSON.parse(text) as Account;
      sum += balance;
      rows++;
      if (version < (this.#versions.get(key) ?? 0)) this.older++;
      this.#versions.set(key, version);
    }
    this.looks++;
    const [left, right] = records;
    if (!left?.consistent || !right?.consistent) return;
    this.consistent++;
    this.seq = left.seq;
    if (sum !== 0 || rows !== accountKeys.length || left.seq !== right.seq) this.broken++;
  }
}

async function runAndKill(args: readonly string[], forMs: number, reader: Reader): Promise<void> {
  const child = fork(join(import.meta.dirname, 'redis-transfers-child.ts'), args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', () => reject(new RangeError('the child ended before it ran')));
    });
    const before = reader.seq;
    const start = performance.now();
    while (performance.now() < start + forMs || (reader.seq === before && performance.now() < start + 30_000)) {
      await reader.look();
    }
  } finally {
    child.kill('SIGKILL');
    await gone;
  }
  await reader.look();
}

describeRedis('a redis sink whose process is killed', {}, (suite) => {
  const prepare = async (): Promise<{ directory: string; client: Redis; reader: Reader }> => {
    const directory = await mkdtemp(join(tmpdir(), 'tidemark-kill-'));
    const client = suite.client();
    onTestFinished(async () => {
      client.disconnect();
      await rm(directory, { recursive: true, force: true });
    });
    await client.flushall();
    return { directory, client, reader: new Reader(client) };
  };

  it('shows whole transactions only, never an older row, and equals the log in the end', async () => {
    const { directory, client, reader } = await prepare();
    for (let kill = 0; kill < 6; kill++) {
      // From the fourth on every start builds the sinks anew, beside what readers see.
      const ttlMs = kill < 3 ? 0 : 1_000_000 + kill;
      await runAndKill([directory, suite.url, 'atomic', String(ttlMs)], 100 + Math.random() * 300, reader);
    }
    expect({ broken: reader.broken, older: reader.older }).toEqual({ broken: 0, older: 0 });
    expect(reader.consistent).toBeGreaterThan(100);
    const log = await openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock });
    const harness = new Harness(directory, log, await log.writer('shop'));
    const delivery = new RedisDelivery(
      harness,
      sides.map((side) => redisSink(suite.url, side, { maxAtomicRows: 20, ttlMs: 1_000_005 })),
    );
    try {
      await until('the end of the log', async () => {
        await reader.look();
        return reader.seq === harness.feeder.seq;
      });
      for (const side of sides) {
        expect(sorted(await stringsIn(client, `${side.name}:`))).toEqual(sorted(await rowsOf(harness, side)));
      }
      expect({ broken: reader.broken, older: reader.older }).toEqual({ broken: 0, older: 0 });
    } finally {
      await delivery.stop();
      await log.close();
    }
  });

  it('would be seen to write row by row, if it did', async () => {
    const { directory, reader } = await prepare();
    await runAndKill([directory, suite.url, 'torn', '0'], 500, reader);
    expect(reader.broken).toBeGreaterThan(0);
  });
});
