import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { systemCodeOf } from '../../base/errors.ts';
import { connectTo } from '../servers/suite.ts';
import { randomFrom } from '../simulation/random.ts';
import { accounts, bigText, connections } from './schema.ts';

/** Longest pause of a connection between two transactions, in milliseconds. */
const pauseMsMax = 60;
const addedColumnsMax = 8;
/** Decoding begins at a record of the transactions under way. The server writes one in 15 s, and would decode again all since at every start. */
const recordRunningEveryMs = 250;

/** Two writers met: the transaction is rolled back, which is a case as good as any other. */
const collisions = new Set(['23505', '40P01', '40001', '55P03']);

type Work = (client: Client, random: () => number) => Promise<void>;

/** Mixed transactions on several connections until `stop`; `pause` lets each finish the one it is in. */
export class Load {
  readonly #url: string;
  readonly #seed: number;
  readonly #counts = new Map<string, number>();
  #gate: Promise<void> | null = null;
  #open: () => void = () => undefined;
  #waiting = 0;
  #allWait: () => void = () => undefined;
  #stopped = false;
  /** No pauses between transactions. */
  hurries = false;
  #running: Promise<void>[] = [];
  #clients: Client[] = [];
  committed = 0;
  rolledBack = 0;
  #added = 0;
  failure: unknown = null;

  constructor(url: string, seed: number) {
    this.#url = url;
    this.#seed = seed;
  }

  async start(): Promise<void> {
    for (let connection = 0; connection <= connections; connection++) {
      const client = await connectTo(this.#url);
      this.#clients.push(client);
      const work = connection === 0 ? this.#recordRunning(client) : this.#run(client, connection);
      this.#running.push(
        work.catch((error: unknown) => {
          this.failure ??= error;
        }),
      );
    }
  }

  /** Resolves when no transaction is open. */
  async pause(): Promise<void> {
    const allWait = new Promise<void>((resolve) => {
      this.#allWait = resolve;
    });
    this.#waiting = 0;
    this.#gate = new Promise((resolve) => {
      this.#open = resolve;
    });
    await Promise.race([allWait, Promise.race(this.#running)]);
    if (this.failure !== null) throw this.failure;
  }

  async #recordRunning(client: Client): Promise<void> {
    while (!this.#stopped) {
      await client.query('SELECT pg_log_standby_snapshot()');
      await delay(recordRunningEveryMs);
    }
  }

  resume(): void {
    this.#gate = null;
    this.#open();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.resume();
    await Promise.all(this.#running);
    for (const client of this.#clients) await client.end();
  }

  /** Committed transactions by kind. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  async #run(client: Client, connection: number): Promise<void> {
    const random = randomFrom(this.#seed * 31 + connection);
    let next = 1;
    while (!this.#stopped) {
      if (this.#gate !== null) {
        if (++this.#waiting === connections) this.#allWait();
        await this.#gate;
        continue;
      }
      const kind = this.#kind(random);
      if (await this.#transaction(client, random, { connection, n: next, kind })) next++;
      await delay(this.hurries ? 0 : random() * pauseMsMax);
    }
  }

  async #transaction(
    client: Client,
    random: () => number,
    { connection, n, kind }: { connection: number; n: number; kind: string },
  ): Promise<boolean> {
    const work = kinds.get(kind)?.work;
    try {
      await client.query('BEGIN');
      // First or last: the line must not be found by chance where the transaction begins.
      const early = random() < 0.5;
      if (early) await sign(client, connection, n, kind);
      if (kind === 'column') await addColumn(client, ++this.#added, random);
      else await work?.(client, random);
      if (!early) await sign(client, connection, n, kind);
      if (random() < 0.03) {
        await client.query('ROLLBACK');
        this.rolledBack++;
        return false;
      }
      await client.query('COMMIT');
    } catch (error) {
      if (!collisions.has(systemCodeOf(error) ?? '')) throw error;
      await client.query('ROLLBACK');
      this.rolledBack++;
      return false;
    }
    this.committed++;
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    return true;
  }

  #kind(random: () => number): string {
    let left = random() * totalWeight;
    for (const [name, { weight }] of kinds) {
      left -= weight;
      if (left < 0) return name === 'column' && this.#added >= addedColumnsMax ? 'items' : name;
    }
    return 'items';
  }
}

async function sign(client: Client, connection: number, n: number, kind: string): Promise<void> {
  await client.query('INSERT INTO journal VALUES ($1, $2, $3)', [connection, n, kind]);
  await client.query('UPDATE counters SET n = $2 WHERE conn = $1', [connection, n]);
}

const items: Work = async (client, random) => {
  const id = 1 + int(random, 5000);
  const choice = random();
  if (choice < 0.4) {
    await client.query(
      `INSERT INTO items VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET name = excluded.name, qty = items.qty + 1`,
      [id, `item ${random()}`, int(random, 100), (random() * 1000).toFixed(2)],
    );
  } else if (choice < 0.6) {
    await client.query(`UPDATE items SET qty = qty + 1, name = NULL WHERE id BETWEEN $1 AND $1 + 5`, [id]);
  } else if (choice < 0.8) {
    await client.query(`UPDATE items SET id = $2 WHERE id = $1 AND NOT EXISTS (SELECT FROM items WHERE id = $2)`, [
      id,
      1 + int(random, 5000),
    ]);
  } else {
    await client.query(`DELETE FROM items WHERE id BETWEEN $1 AND $1 + $2`, [id, int(random, 3)]);
  }
};

const pairs: Work = async (client, random) => {
  const key = [`k${int(random, 5)}`, 1 + int(random, 5000)];
  const choice = random();
  if (choice < 0.4) {
    await client.query(
      `INSERT INTO pairs VALUES ($1, $2, $3, now()) ON CONFLICT (kind, id) DO UPDATE SET value = excluded.value, at = now()`,
      [...key, `ünï\u{1f600} ${random()}\n\t"x"`],
    );
  } else if (choice < 0.7) {
    await client.query(`UPDATE pairs SET kind = $3, id = id + 1 WHERE kind = $1 AND id = $2`, [
      ...key,
      `k${int(random, 5)}`,
    ]);
  } else if (choice < 0.995) {
    await client.query(`DELETE FROM pairs WHERE kind = $1 AND id BETWEEN $2 AND $2 + 9`, key);
  } else {
    await client.query(
      `TRUNCATE pairs; INSERT INTO pairs SELECT 'k' || g % 5, g, md5(random()::text), now() FROM generate_series(1, 1500) g`,
    );
  }
};

/** A row of `docs` by its place in the order of the keys, so that the load needs to remember none. */
const someDoc = `(SELECT id FROM docs WHERE id >= md5($1::text)::uuid ORDER BY id LIMIT 1)`;

const docs: Work = async (client, random) => {
  const at = String(random());
  const choice = random();
  if (choice < 0.25) {
    await client.query(`INSERT INTO docs SELECT gen_random_uuid(), $1, ${bigText}, ${bigText}, 0`, [at]);
  } else if (choice < 0.45) {
    // The large values stay as they are and are not in the stream.
    await client.query(`UPDATE docs SET n = n + 1 WHERE id = ${someDoc}`, [at]);
  } else if (choice < 0.6) {
    await client.query(`UPDATE docs SET id = gen_random_uuid(), title = 'moved' WHERE id = ${someDoc}`, [at]);
  } else if (choice < 0.75) {
    await client.query(`UPDATE docs SET body = ${bigText} WHERE id = ${someDoc}`, [at]);
    await client.query(`UPDATE docs SET n = n + 1, title = $1 WHERE id = ${someDoc}`, [at]);
  } else if (choice < 0.8) {
    await client.query(`UPDATE docs SET extra = NULL, n = n + 1 WHERE id = ${someDoc}`, [at]);
  } else {
    await client.query(`DELETE FROM docs WHERE id = ${someDoc}`, [at]);
  }
};

const fulls: Work = async (client, random) => {
  const id = 1 + int(random, 2500);
  const choice = random();
  if (choice < 0.3) {
    await client.query(
      `INSERT INTO fulls VALUES ($1, $2, CASE WHEN $3 THEN ${bigText} END) ON CONFLICT (id) DO UPDATE SET a = excluded.a`,
      [id, `a ${random()}`, random() < 0.3],
    );
  } else if (choice < 0.6) {
    await client.query(`UPDATE fulls SET a = $2 WHERE id BETWEEN $1 AND $1 + 20`, [id, String(random())]);
  } else if (choice < 0.8) {
    await client.query(`UPDATE fulls SET id = $2 WHERE id = $1 AND NOT EXISTS (SELECT FROM fulls WHERE id = $2)`, [
      id,
      1 + int(random, 2500),
    ]);
  } else {
    await client.query(`DELETE FROM fulls WHERE id = $1`, [id]);
  }
};

/** One row of each table changes; money neither appears nor goes. */
const transfer: Work = async (client, random) => {
  for (let count = 1 + int(random, 3); count > 0; count--) {
    const amount = int(random, 1000) - 500;
    const [from, to] = random() < 0.5 ? ['savings', 'checking'] : ['checking', 'savings'];
    await client.query(`UPDATE ${from} SET balance = balance - $2 WHERE id = $1`, [1 + int(random, accounts), amount]);
    await client.query(`UPDATE ${to} SET balance = balance + $2 WHERE id = $1`, [1 + int(random, accounts), amount]);
  }
};

/** Some of it is rolled back to a savepoint, some kept, and savepoints nest. */
const savepoints: Work = async (client, random) => {
  for (let depth = 0; depth < 3; depth++) {
    await client.query(`SAVEPOINT s${depth}`);
    await pick(random, [items, pairs, docs, fulls])(client, random);
    const choice = random();
    if (choice < 0.5) await client.query(`ROLLBACK TO s${depth}`);
    else if (choice < 0.7) await client.query(`RELEASE s${depth}`);
  }
};

/** Far beyond logical_decoding_work_mem: the server streams it before it is committed. */
const large: Work = async (client, random) => {
  const from = int(random, 20_000);
  const batch = int(random, 1_000_000);
  if (random() < 0.3) await client.query('SAVEPOINT s; DELETE FROM bulk WHERE id % 3 = 0; ROLLBACK TO s');
  await client.query(
    `INSERT INTO bulk SELECT g, ${batch}, md5(random()::text) FROM generate_series(${from + 1}, ${from + 20_000}) g
     ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, v = excluded.v`,
  );
  await transfer(client, random);
};

const truncate: Work = async (client, random) => {
  await client.query('TRUNCATE bulk');
  await client.query(
    `INSERT INTO bulk SELECT g, 1, md5(random()::text) FROM generate_series(1, ${1 + int(random, 3000)}) g`,
  );
  if (random() < 0.2) await client.query('TRUNCATE fulls, items');
};

const several: Work = async (client, random) => {
  for (let count = 2 + int(random, 4); count > 0; count--) {
    await pick(random, [items, pairs, docs, fulls, transfer])(client, random);
  }
};

/** Stored rows get the default without an event of their own. */
async function addColumn(client: Client, number: number, random: () => number): Promise<void> {
  const table = pick(random, ['items', 'pairs', 'fulls']);
  await client.query(`SET LOCAL lock_timeout = '500ms'`);
  await client.query(`ALTER TABLE ${table} ADD COLUMN added_${number} text DEFAULT 'default ${number}'`);
}

const kinds: ReadonlyMap<string, { weight: number; work: Work }> = new Map([
  ['items', { weight: 20, work: items }],
  ['pairs', { weight: 15, work: pairs }],
  ['docs', { weight: 15, work: docs }],
  ['fulls', { weight: 10, work: fulls }],
  ['transfer', { weight: 25, work: transfer }],
  ['savepoints', { weight: 8, work: savepoints }],
  ['several', { weight: 8, work: several }],
  ['large', { weight: 0.2, work: large }],
  ['truncate', { weight: 0.2, work: truncate }],
  ['column', { weight: 0.1, work: items }],
]);
const totalWeight = [...kinds.values()].reduce((sum, { weight }) => sum + weight, 0);

function int(random: () => number, below: number): number {
  return Math.floor(random() * below);
}

function pick<T>(random: () => number, from: readonly [T, ...T[]]): T {
  return from[int(random, from.length)] ?? from[0];
}
