import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import type { PostgresServer } from '../servers/postgres.ts';
import { freePort } from '../servers/process.ts';
import { startRedis } from '../servers/redis.ts';
import type { RedisServer } from '../servers/redis.ts';
import { startSearch } from '../servers/search.ts';
import type { SearchEngine, SearchServer } from '../servers/search.ts';
import { connectTo } from '../servers/suite.ts';
import { randomFrom } from '../simulation/random.ts';
import { Difference } from './difference.ts';
import { inKeptFolder } from './kept-folder.ts';
import { randomLimits } from './limits.ts';
import { Load } from './load.ts';
import { Program } from './program.ts';
import { createTables } from './schema.ts';
import { RedisReader } from './redis-reader.ts';
import { expectSameDocuments, redisDocuments, searchDocuments, sinkTables, sinksFile } from './sink-targets.ts';
import type { SinkTable } from './sink-targets.ts';

export interface SinkCrashOptions {
  readonly kills: number;
  readonly seed: number;
  /** No further kill after so long. */
  readonly minutes: number;
  /** Kills between two comparisons with the database. */
  readonly compareEvery: number;
  readonly engine: SearchEngine;
  readonly say: (line: string) => void;
}

export interface SinkCrashResult {
  readonly kills: ReadonlyMap<string, number>;
  readonly comparisons: number;
  readonly transactions: number;
  /** Rows of all sinks, equal in the last comparison. */
  readonly rows: number;
  readonly polls: number;
  readonly commits: number;
}

type Victim = 'tidemark' | 'redis' | 'redis without persistence' | 'the search engine';

const shares: readonly (readonly [Victim, number])[] = [
  ['tidemark', 0.45],
  ['redis', 0.2],
  ['redis without persistence', 0.15],
  ['the search engine', 0.2],
];
const killAfterMsMax = 2500;
const downMsMax = 1500;
const connectedMs = 20_000;
const commandMs = 240_000;
const program = join(import.meta.dirname, '..', '..', 'tidemark');

/** Kills everything that holds something of a deployment, again and again; throws a Difference, whose folder is kept. */
export async function runSinkCrash(server: PostgresServer, options: SinkCrashOptions): Promise<SinkCrashResult> {
  return inKeptFolder(
    'tidemark-crash-sinks-',
    (directory) => new SinkCrashRun(directory, server, options),
    (result) => result === null,
    options.say,
  );
}

interface Servers {
  readonly kept: RedisServer;
  readonly lost: RedisServer;
  readonly search: SearchServer;
}

class SinkCrashRun {
  readonly #directory: string;
  readonly #options: SinkCrashOptions;
  readonly #url: string;
  readonly #random: () => number;
  readonly #load: Load;
  readonly #kills = new Map<Victim, number>();
  #client: Client | null = null;
  #servers: Servers | null = null;
  #reader: RedisReader | null = null;
  #program: Program | null = null;
  #comparisons = 0;
  #rows = 0;

  constructor(directory: string, server: PostgresServer, options: SinkCrashOptions) {
    this.#directory = directory;
    this.#options = options;
    this.#url = server.url();
    this.#random = randomFrom(options.seed);
    this.#load = new Load(this.#url, options.seed);
  }

  async run(): Promise<SinkCrashResult> {
    const { kills, minutes, compareEvery, engine } = this.#options;
    const client = await connectTo(this.#url);
    this.#client = client;
    await createTables(client);
    const [kept, lost, search] = await Promise.all([
      startRedis({ persistence: 'always' }),
      startRedis({ persistence: 'none' }),
      startSearch({ engine }),
    ]);
    this.#servers = { kept, lost, search };
    const urls = { source: this.#url, kept: kept.url, lost: lost.url, search: search.url };
    writeFileSync(join(this.#directory, 'tidemark.yaml'), sinksFile(urls, engine, await freePort()));
    this.#reader = new RedisReader(kept.url);
    this.#start();
    await this.#load.start();
    const deadline = performance.now() + minutes * 60_000;
    let killed = 0;
    while (killed < kills && performance.now() < deadline) {
      await this.#killOnce(++killed, this.#servers);
      if (killed % compareEvery === 0 && killed < kills) await this.#compare(this.#servers, client);
    }
    await this.#compare(this.#servers, client);
    const { polls, commits } = await this.#reader.end();
    if (commits === 0) throw new Difference('the reader of Redis never saw a consistent state');
    const transactions = this.#load.committed;
    return { kills: this.#kills, comparisons: this.#comparisons, transactions, rows: this.#rows, polls, commits };
  }

  async end(): Promise<void> {
    await this.#reader?.end().catch(() => undefined);
    await this.#program?.end();
    await this.#load.stop().catch(() => undefined);
    await this.#client?.end();
    const { kept, lost, search } = this.#servers ?? {};
    await Promise.all([kept?.stop(), lost?.stop(), search?.stop()]);
  }

  #start(): Program {
    this.#program = new Program({ directory: this.#directory, torn: false, limits: randomLimits(this.#random) });
    return this.#program;
  }

  async #killOnce(number: number, servers: Servers): Promise<void> {
    const victim = this.#victim();
    const afterMs = this.#random() * killAfterMsMax;
    const downMs = this.#random() * downMsMax;
    await delay(afterMs);
    this.#expectAlive();
    if (victim === 'tidemark') {
      await this.#program?.kill();
      await delay(downMs);
      const started = this.#start();
      // Half of the processes are killed before they have come far.
      if (this.#random() < 0.5) await started.connected(connectedMs);
    } else {
      const server = this.#serverOf(victim, servers);
      await server.kill();
      await delay(downMs);
      await server.start();
    }
    this.#kills.set(victim, (this.#kills.get(victim) ?? 0) + 1);
    this.#options.say(`kill ${number}, of ${victim}: ${this.#load.committed} transactions`);
  }

  #serverOf(victim: Victim, { kept, lost, search }: Servers): RedisServer | SearchServer {
    if (victim === 'redis') return kept;
    return victim === 'redis without persistence' ? lost : search;
  }

  #victim(): Victim {
    let left = this.#random();
    for (const [victim, share] of shares) {
      left -= share;
      if (left < 0) return victim;
    }
    return 'tidemark';
  }

  /** Stops the load, lets every sink catch up, and compares it with the database and by `tidemark verify`. */
  async #compare(servers: Servers, client: Client): Promise<void> {
    const started = performance.now();
    await this.#load.pause();
    this.#rows = 0;
    for (const table of sinkTables) {
      await this.#command(['wait', '--sink', table.sink, '--now', '--timeout', '180s', '--searchable']);
      const expected = await databaseDocuments(client, table);
      const held =
        table.target === 'search'
          ? await searchDocuments(servers.search.url, table)
          : await redisDocuments(servers[table.target].url, table);
      expectSameDocuments(table, expected, held);
      this.#rows += held.size;
    }
    this.#load.resume();
    // While the load goes on.
    for (const { sink } of sinkTables) await this.#command(['verify', '--sink', sink, '--json']);
    this.#comparisons++;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    this.#options.say(`caught up, compared and verified in ${seconds} s: ${this.#rows} rows`);
  }

  /** A command of the program; a Difference with what it said when it fails. */
  async #command(args: readonly string[]): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const options = { cwd: this.#directory, timeout: commandMs, maxBuffer: 64 * 1024 * 1024 };
      execFile(program, [...args, '-c', 'tidemark.yaml'], options, (error, stdout, stderr) => {
        if (error === null) resolve();
        else reject(new Difference(`tidemark ${args.join(' ')}: ${stdout.slice(0, 3000)}${stderr.slice(0, 3000)}`));
      });
    });
  }

  #expectAlive(): void {
    if (this.#load.failure !== null) throw this.#load.failure;
    if (this.#reader?.violation) throw new Difference(`the reader of Redis saw: ${this.#reader.violation}`);
  }
}

/** Rows as to_json prints them, by the sink's names for them. */
async function databaseDocuments(client: Client, { table, keySql }: SinkTable): Promise<Map<string, string>> {
  const { rows } = await client.query<{ key: string; doc: string }>(
    `SELECT ${keySql} AS key, to_json(t)::text AS doc FROM ${table} t`,
  );
  return new Map(rows.map(({ key, doc }) => [key, doc]));
}
