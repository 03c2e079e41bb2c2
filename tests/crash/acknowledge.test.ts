import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { present } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { PostgresSource } from '../../connectors/postgres/postgres-source.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import type { Log } from '../../model/log.ts';
import { lsnOrder } from '../../model/position.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { removeDirectory, until } from '../servers/process.ts';
import { connectTo, describePostgresServer } from '../servers/suite.ts';
import { FaultyFiles } from '../simulation/faulty-files.ts';
import { randomFrom } from '../simulation/random.ts';
import { databaseRows, expectSame } from './compare.ts';
import { diskDirectory, powerCutDisk } from './disk.ts';
import { Load } from './load.ts';
import { Oracle } from './oracle.ts';
import { Replay } from './replay.ts';
import { createTables, sourceName, tables } from './schema.ts';

const slot = 'acknowledge';
const rounds = 12;
/** TIDEMARK_CRASH_SEED runs a seed again. */
const seed = Number(process.env['TIDEMARK_CRASH_SEED'] ?? Math.floor(Math.random() * 1e9));
console.log(`acknowledge tests: seed ${seed}`);

/** A source in this process, whose log is on a disk that forgets what was not synced when the power goes. */
class Machine {
  readonly #directory = mkdtempSync(join(tmpdir(), 'tidemark-acknowledge-'));
  readonly #url: string;
  readonly #client: Client;
  readonly #random: () => number;
  #disk = new FaultyFiles();
  #log: Log | null = null;
  #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #connected = false;
  lying = false;

  constructor(url: string, client: Client, random: () => number) {
    this.#url = url;
    this.#client = client;
    this.#random = random;
  }

  get log(): Log {
    return present(this.#log, 'the log of a machine that runs');
  }

  get source(): PostgresSource {
    return present(this.#source, 'the source of a machine that runs');
  }
  #source: PostgresSource | null = null;

  async start(): Promise<void> {
    const log = await this.#openLog();
    this.#log = log;
    this.#connected = false;
    this.#stop = new AbortController();
    this.#source = new PostgresSource({
      name: sourceName,
      url: this.#url,
      tables: tables.map((table) => ({
        schema: 'public',
        table,
        isPattern: false,
        kind: 'table',
        key: [],
        exclude: [],
        onSchemaChange: 'reread',
        where: null,
      })),
      slot,
      publication: slot,
      snapshot: { mode: 'initial', chunkRows: 1000, parallel: 2 },
      heartbeatMs: 200,
      directory: join(this.#directory, 'source'),
      log,
      clock: systemClock,
      random: this.#random,
      files: this.#files(),
      report: (event) => {
        if (event.type === 'source.connected') this.#connected = true;
      },
    });
    this.#running = this.#source.run(this.#stop.signal).catch((error: unknown) => error);
    await until('the source to be connected', async () => {
      const ended = await Promise.race([this.#running, delay(5, 'runs')]);
      if (ended !== 'runs') throw ended;
      return this.#connected;
    });
  }

  /** Power goes and comes back; returns the position that the log still has, null when it cannot even be opened, and what the server was told. */
  async loseAndRegainPower(): Promise<{ held: string | null; confirmed: string }> {
    const survived = this.#disk.crash(this.#random);
    await this.stop();
    this.#disk = survived;
    const confirmed = await this.confirmed();
    let held: string | null = null;
    try {
      const log = await this.#openLog();
      held = log.frontier(sourceName).position;
      await log.close();
    } catch (error) {
      if (!this.lying) throw error;
    }
    return { held, confirmed };
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#log?.close().catch(() => undefined);
  }

  /** Waits until the server is told more than `position`. */
  async toldAfter(position: string): Promise<void> {
    await until('the server to be told something', async () => {
      const { rows } = await this.#client.query<{ told: string }>(
        `SELECT confirmed_flush_lsn > $2 AS told FROM pg_replication_slots WHERE slot_name = $1`,
        [slot, position],
      );
      return rows[0]?.told === 't';
    });
  }

  /** What the server takes for safe, once it has heard everything that was sent. */
  async confirmed(): Promise<string> {
    return until('the walsender to end', async () => {
      const { rows } = await this.#client.query<{ confirmed: string; active: string }>(
        `SELECT confirmed_flush_lsn AS confirmed, active FROM pg_replication_slots WHERE slot_name = $1`,
        [slot],
      );
      const [row] = rows;
      return row === undefined ? '0/0' : row.active === 'f' && row.confirmed;
    });
  }

  remove(): void {
    removeDirectory(this.#directory);
  }

  async #openLog(): Promise<Log> {
    return openEmbeddedLog({
      directory: diskDirectory,
      files: this.#files(),
      clock: systemClock,
      segmentBytes: 256 * 1024,
      compactBytes: 4 * 1024 * 1024,
    });
  }

  #files(): ReturnType<typeof powerCutDisk> {
    const { lying } = this;
    return powerCutDisk({ files: this.#disk, random: this.#random, lying });
  }
}

async function underLoad(
  server: PostgresServer,
  name: string,
  body: (context: { client: Client; machine: Machine; load: Load; random: () => number }) => Promise<void>,
): Promise<void> {
  const admin = await connectTo(server.url());
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const client = await connectTo(server.url(name));
  const random = randomFrom(seed);
  const machine = new Machine(server.url(name), client, random);
  const load = new Load(server.url(name), seed);
  onTestFinished(async () => {
    await machine.stop();
    await load.stop();
    await machine.confirmed();
    await client.query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots`);
    await client.end();
    machine.remove();
  });
  await createTables(client);
  await load.start();
  try {
    await body({ client, machine, load, random });
  } catch (error) {
    throw new Error(`seed ${seed}: ${messageOf(error)}`, { cause: error });
  }
}

describePostgresServer(
  'an acknowledgement',
  { major: 17, settings: { logical_decoding_work_mem: '64kB' } },
  (server) => {
    it('never comes before the sync of what it covers: the log goes on from there after every power cut', async () => {
      await underLoad(server(), 'honest', async ({ client, machine, load, random }) => {
        const oracle = new Oracle(client);
        let told = 0;
        let before = '0/0';
        for (let round = 1; round <= rounds; round++) {
          await machine.start();
          // On a slow machine nothing may be told in that time: every other round waits for it, so that the test has something to judge.
          if (round % 2 === 0) await machine.toldAfter(before);
          await delay(20 + random() * 500);
          const { held, confirmed } = await machine.loseAndRegainPower();
          expect(lsnOrder.covers(held ?? '0/0', confirmed), `round ${round}: told ${confirmed}, held ${held}`).toBe(
            true,
          );
          if (confirmed !== before) told++;
          before = confirmed;
        }
        expect(told, 'rounds in which the server was told anything').toBeGreaterThanOrEqual(rounds / 2);
        await load.pause();
        await machine.start();
        const position = await machine.source.currentPosition();
        await until('the log to catch up', () => {
          const held = machine.log.frontier(sourceName).position;
          return held !== null && lsnOrder.covers(held, position) && machine.source.status().consistent;
        });
        const replay = new Replay(sourceName);
        await replay.read(machine.log);
        await oracle.check(replay, { complete: true });
        for (const table of tables) {
          expectSame(
            'the log',
            table,
            await databaseRows(client, table, 'text'),
            replay.rows(`${sourceName}.public.${table}`),
          );
        }
      });
    });

    it('that trusts a disk whose syncs do nothing is found out', async () => {
      await underLoad(server(), 'lying', async ({ machine, random }) => {
        await machine.start();
        await until('the source to be consistent', () => machine.source.status().consistent);
        await machine.stop();
        machine.lying = true;
        await machine.start();
        await delay(500 + random() * 500);
        const { held, confirmed } = await machine.loseAndRegainPower();
        expect(lsnOrder.covers(held ?? '0/0', confirmed)).toBe(false);
      });
    });
  },
);
