import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { systemClock } from '../../base/clock.ts';
import { withPosition } from '../../client/postgres.ts';
import { Deployment } from '../client/deployment.ts';
import type { RedisServer } from '../servers/redis.ts';
import { until } from '../servers/process.ts';
import { Receiver, ok } from './http-receiver.ts';
import type { RequestBody } from './http-receiver.ts';

const waitMs = 600_000;

export interface OutageOptions {
  readonly name: string;
  readonly databaseUrl: string;
  /** Changes that go by while the targets are away. */
  readonly changes: number;
  /** Rows of the table; every transaction changes them all. */
  readonly rows: number;
  /** Bytes of each row, besides two numbers. */
  readonly rowBytes: number;
  /** What data_dir may take, in MiB, once the log has been merged at the end of the outage. */
  readonly diskMibMax: number;
  /** A server that is killed as well, and keeps its data. */
  readonly redis?: RedisServer;
  readonly say?: (line: string) => void;
}

/** What was seen. Sizes are in MiB. */
export interface OutageResult {
  readonly changes: number;
  readonly rssBefore: number;
  readonly rssMax: number;
  readonly diskBefore: number;
  readonly diskMax: number;
  /** After the outage, when the log had been merged. */
  readonly diskAfter: number;
  /** What /readyz answered at the end of the outage. */
  readonly readyStatus: number;
  readonly reasons: readonly string[];
  /** How the client told of the sink that is away. */
  readonly waitError: unknown;
  /** Rows read from the source by snapshots: before the outage, and after the recovery. */
  readonly snapshotRows: readonly [number, number];
  /** Rows that differ from the database's after the recovery, by sink. */
  readonly different: Readonly<Record<string, number>>;
  readonly changesDelivered: number;
  readonly readyAfterwards: boolean;
}

/** An endpoint as docs/http-sink.md asks for: what it holds of rows. */
class Endpoint {
  readonly rows = new Map<unknown, unknown>();
  seen = 0;
  changes = 0;
  #parts: RequestBody['changes'][] = [];

  take(body: RequestBody): void {
    if ((body.part ?? 1) === 1) this.#parts = [];
    this.#parts[(body.part ?? 1) - 1] = body.changes;
    if (body.last === false) return;
    if (body.snapshot === true) this.rows.clear();
    for (const changes of this.#parts) {
      this.changes += changes.length;
      for (const { op, key, doc } of changes) {
        if (op === 'delete') this.rows.delete(key['id']);
        else this.rows.set(key['id'], doc?.['value']);
      }
    }
    this.#parts = [];
    this.seen = body.seq;
  }
}

/** Takes an endpoint (and a Redis) away while that many changes go by, brings it back, and compares. */
export async function runOutage(options: OutageOptions): Promise<OutageResult> {
  const { databaseUrl, redis } = options;
  const say = options.say ?? (() => undefined);
  const pool = new Pool({ connectionString: databaseUrl, max: 2 });
  await pool.query('CREATE TABLE items (id int PRIMARY KEY, value int NOT NULL, filler text NOT NULL)');
  const fill = `INSERT INTO items SELECT id, 0, repeat('x', $2) FROM generate_series(1, $1) AS id`;
  await pool.query(fill, [options.rows, options.rowBytes]);
  const endpoint = new Endpoint();
  let receiver = await startReceiver(endpoint);
  const { port } = receiver;
  const cache =
    redis === undefined ? '' : `  cache: { type: redis, url: "${redis.url}", from: items, key: "items:{id}" }\n`;
  const deployment = await Deployment.start(
    options.name,
    `sources: { shop: { type: postgres, url: "${databaseUrl}", tables: [public.items] } }
sinks:
  local: { type: sqlite, path: ./local.db, from: items, table: items }
  hook: { type: http, url: "${receiver.url}", from: items, batch: 2000 }
${cache}`,
  );
  try {
    const away = redis === undefined ? ['hook'] : ['hook', 'cache'];
    const update = async (): Promise<string> =>
      (await withPosition(pool, async (client) => client.query('UPDATE items SET value = value + 1'))).position;
    const all = async (sinks: readonly string[], position: string): Promise<void> => {
      for (const sink of sinks) await deployment.client.waitFor(sink, position, { timeoutMs: waitMs });
    };
    await all(['local', ...away], 'now');
    // A first round warms up what the next ones use.
    await all(['local', ...away], await update());
    const watch = new Watch(deployment);
    const snapshotBefore = await snapshotRows(deployment);
    await receiver.stop();
    await redis?.kill();
    endpoint.changes = 0;
    const rounds = Math.ceil(options.changes / options.rows);
    for (let round = 1; round <= rounds; round++) {
      const position = await update();
      watch.look();
      // The sink that is there keeps up with what the others miss.
      if (round % 10 === 0 || round === rounds) {
        await all(['local'], position);
        watch.look();
        say(`${round * options.rows} changes: ${watch.text()}`);
      }
    }
    const merged = async (): Promise<boolean> => {
      await systemClock.sleep(200);
      watch.look();
      return watch.diskMib < options.diskMibMax;
    };
    await until(`the log to be merged to ${options.diskMibMax} MiB`, merged, waitMs);
    const diskAfter = watch.diskMib;
    await until('an attempt to fail', async () => (await readiness(deployment)).status === 503, waitMs);
    const { status, reasons } = await readiness(deployment);
    const waitError = await deployment.client
      .waitFor('hook', 'now', { timeoutMs: 500 })
      .catch((error: unknown) => error);
    receiver = await startReceiver(endpoint, port);
    await redis?.start();
    await all(away, 'now');
    watch.look();
    say(`caught up: ${watch.text()}, ${endpoint.changes} changes delivered`);
    const ready = await until('to be ready', async () => (await readiness(deployment)).status === 200, waitMs);
    const expected = new Map(
      (await pool.query('SELECT id, value FROM items')).rows.map(({ id, value }) => [id, value]),
    );
    const different: Record<string, number> = { hook: differences(expected, endpoint.rows) };
    if (redis !== undefined) different['cache'] = differences(expected, await cachedRows(redis.url, expected.keys()));
    return {
      ...watch.result(),
      changes: rounds * options.rows,
      diskAfter,
      readyStatus: status,
      reasons,
      waitError,
      snapshotRows: [snapshotBefore, await snapshotRows(deployment)],
      different,
      changesDelivered: endpoint.changes,
      readyAfterwards: ready,
    };
  } finally {
    await deployment.stop();
    await receiver.stop();
    await pool.end();
  }
}

async function startReceiver(endpoint: Endpoint, port?: number): Promise<Receiver> {
  const receiver = await Receiver.start(port === undefined ? {} : { port });
  receiver.behave = ({ body }) => {
    endpoint.take(body);
    receiver.received.length = 0;
    return ok;
  };
  return receiver;
}

/** What a deployment takes of memory and disk. */
class Watch {
  readonly #deployment: Deployment;
  readonly #before: { readonly rss: number; readonly disk: number };
  #now: { readonly rss: number; readonly disk: number };
  #rssMax: number;
  #diskMax: number;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
    this.#before = this.#measure();
    this.#now = this.#before;
    this.#rssMax = this.#before.rss;
    this.#diskMax = this.#before.disk;
  }

  look(): void {
    this.#now = this.#measure();
    this.#rssMax = Math.max(this.#rssMax, this.#now.rss);
    this.#diskMax = Math.max(this.#diskMax, this.#now.disk);
  }

  get diskMib(): number {
    return this.#now.disk;
  }

  text(): string {
    const { rss, disk } = this.#now;
    return `memory ${rss.toFixed(0)} MiB (at most ${this.#rssMax.toFixed(0)}), disk ${disk.toFixed(0)} MiB (at most ${this.#diskMax.toFixed(0)})`;
  }

  result(): Pick<OutageResult, 'rssBefore' | 'rssMax' | 'diskBefore' | 'diskMax'> {
    const { rss, disk } = this.#before;
    return { rssBefore: rss, rssMax: this.#rssMax, diskBefore: disk, diskMax: this.#diskMax };
  }

  #measure(): { rss: number; disk: number } {
    const status = readFileSync(`/proc/${this.#deployment.pid}/status`, 'utf8');
    const rss = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
    return { rss, disk: sizeOf(join(this.#deployment.directory, 'data')) / 1024 / 1024 };
  }
}

/** Bytes of all files of a folder; those that go away meanwhile count nothing. */
function sizeOf(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

async function readiness({ url }: Deployment): Promise<{ status: number; reasons: string[] }> {
  const response = await fetch(new URL('/readyz', url));
  const { reasons } = (await response.json()) as { reasons: string[] };
  return { status: response.status, reasons };
}

async function snapshotRows({ url }: Deployment): Promise<number> {
  const text = await (await fetch(new URL('/metrics', url))).text();
  return Number(/^tidemark_snapshot_rows_total\{.*\} (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
}

async function cachedRows(url: string, ids: Iterable<unknown>): Promise<Map<unknown, unknown>> {
  const redis = new Redis(url);
  try {
    const keys = [...ids];
    const texts = await redis.mget(keys.map((id) => `items:${String(id)}`));
    return new Map(keys.map((id, index) => [id, (JSON.parse(texts[index] ?? '{}') as { value: unknown }).value]));
  } finally {
    redis.disconnect();
  }
}

function differences(expected: ReadonlyMap<unknown, unknown>, found: ReadonlyMap<unknown, unknown>): number {
  let count = 0;
  for (const [id, value] of expected) if (found.get(id) !== value) count++;
  for (const id of found.keys()) if (!expected.has(id)) count++;
  return count;
}
