import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { present } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import type { Log } from '../../model/log.ts';
import type { PostgresOptions, PostgresServer } from '../servers/postgres.ts';
import { removeDirectory } from '../servers/process.ts';
import { connectTo } from '../servers/suite.ts';
import { randomFrom } from '../simulation/random.ts';
import { asJson, databaseRows, expectSame, openSink, sinkCursors, sinkRows } from './compare.ts';
import { Difference } from './difference.ts';
import { checkFeed } from './feed.ts';
import { randomLimits } from './limits.ts';
import { inKeptFolder } from './kept-folder.ts';
import { Load } from './load.ts';
import { Oracle } from './oracle.ts';
import { Program } from './program.ts';
import { Replay } from './replay.ts';
import { configuration, createTables, sourceName, tables } from './schema.ts';
import type { TableName } from './schema.ts';
import { ViewRun } from './view-run.ts';
import type { ViewReport } from './view-run.ts';

export interface CrashOptions {
  readonly kills: number;
  readonly seed: number;
  /** No further kill after so long. */
  readonly minutes: number;
  /** Atomic commits of the sink switched off. */
  readonly torn: boolean;
  /** Kills between two comparisons with the database. */
  readonly compareEvery: number;
  /** Leave the folder also when nothing differs. */
  readonly keep: boolean;
  readonly say: (line: string) => void;
}

export interface CrashResult {
  readonly kills: number;
  readonly comparisons: number;
  /** Transactions of the load that committed, and those whose place in the log was checked. */
  readonly transactions: number;
  readonly matched: number;
  readonly seq: number;
  readonly feedCommits: number;
  readonly rows: number;
  readonly compactions: number;
  /** Times that a table was asked to be read again. */
  readonly readAgain: number;
  readonly views: ViewReport;
  readonly reader: ReaderReport;
  readonly counts: ReadonlyMap<string, number>;
}

export interface ReaderReport {
  readonly polls: number;
  readonly checked: number;
  readonly commits: number;
  /** Looks at the views of a file, all at one commit, and at how many different commits. */
  readonly viewChecks: number;
  readonly viewCommits: number;
  readonly unreadable: number;
  readonly violation?: string;
}

const killAfterMs = { least: 20, most: 2000 };
/** Shares of the kills whose time runs from the start of the process, and from when it has published results; the others' runs from when it streams. */
const fromStart = 0.3;
const fromResults = 0.45;
/** Of those that are to hit the moments between results and state. */
const afterResultsMs = 300;
const publishesMs = 8_000;
const connectedMs = 20_000;
/** Share of the kills before which a table is asked to be read again. */
const readAgainShare = 0.4;
/** Share of the starts before which the load hurries for up to so long, so that much waits to be stepped at once. */
const burstShare = 0.3;
const burstMsMax = 700;
/** A machine that is busy with other things takes minutes for thousands of small steps. */
const caughtUpMs = 600_000;

/** The server to run against: one that streams transactions early. */
export const crashServer: PostgresOptions = {
  major: 17,
  settings: { logical_decoding_work_mem: '64kB', max_wal_size: '4GB' },
};

/**
 * Kills tidemark again and again under load on a server that nobody has used yet; throws a Difference, whose folder is kept, or says
 * what was compared.
 */
export async function runCrash(server: PostgresServer, options: CrashOptions): Promise<CrashResult> {
  return inKeptFolder(
    'tidemark-crash-',
    (directory) => new CrashRun(directory, server, options),
    (result) => (result === null ? !options.torn : options.keep),
    options.say,
  );
}

class CrashRun {
  readonly #directory: string;
  readonly #options: CrashOptions;
  readonly #url: string;
  readonly #random: () => number;
  readonly #load: Load;
  readonly #replay = new Replay(sourceName);
  #client: Client | null = null;
  #oracle: Oracle | null = null;
  #views: ViewRun | null = null;
  readonly #server: PostgresServer;
  #program: Program | null = null;
  #reader: ChildProcess | null = null;
  #readerOutput = '';
  #comparisons = 0;
  #feedCommits = 0;
  #rows = 0;
  #compactions = 0;
  #readAgain = 0;

  constructor(directory: string, server: PostgresServer, options: CrashOptions) {
    this.#directory = directory;
    this.#options = options;
    this.#server = server;
    this.#url = server.url();
    this.#random = randomFrom(options.seed);
    this.#load = new Load(this.#url, options.seed);
  }

  async run(): Promise<CrashResult> {
    const { kills, minutes, compareEvery } = this.#options;
    const client = await connectTo(this.#url);
    this.#client = client;
    await createTables(client);
    this.#oracle = new Oracle(client);
    this.#views = await ViewRun.create(this.#server, client, this.#directory);
    writeFileSync(join(this.#directory, 'tidemark.yaml'), configuration(this.#url));
    this.#startReader();
    await this.#load.start();
    // What the reader is to catch begins once there is something to read.
    if (this.#options.torn) await this.#compare();
    const deadline = performance.now() + minutes * 60_000;
    let killed = 0;
    while (killed < kills && performance.now() < deadline) {
      await this.#killOnce(++killed);
      if (killed % compareEvery === 0 && killed < kills) await this.#compare();
    }
    await this.#compare();
    const reader = await this.#stopReader();
    const views = this.#views.report();
    if (reader.checked === 0 || this.#oracle.matched === 0 || views.compared === 0)
      throw new Difference('nothing was there to be compared');
    if (views.levelStops === 0) throw new Difference('view state was behind after every clean stop');
    return {
      kills: killed,
      comparisons: this.#comparisons,
      transactions: this.#load.committed,
      matched: this.#oracle.matched,
      seq: this.#replay.seq,
      feedCommits: this.#feedCommits,
      rows: this.#rows,
      compactions: this.#compactions,
      readAgain: this.#readAgain,
      views,
      reader,
      counts: this.#load.counts,
    };
  }

  async end(): Promise<void> {
    await this.#program?.end();
    await this.#load.stop().catch(() => undefined);
    await this.#client?.end();
    await this.#views?.end();
    if (this.#reader?.exitCode === null) {
      const closed = once(this.#reader, 'close');
      this.#reader.kill('SIGKILL');
      await closed;
    }
  }

  async #killOnce(number: number): Promise<void> {
    await this.#burst();
    const program = this.#start();
    const moment = this.#random();
    const counted = moment < fromStart ? 'its start' : moment < fromStart + fromResults ? 'results' : 'connecting';
    const mostMs = counted === 'results' ? afterResultsMs : killAfterMs.most;
    const afterMs = killAfterMs.least + this.#random() * (mostMs - killAfterMs.least);
    const again = this.#random() < readAgainShare ? tables[Math.floor(this.#random() * tables.length)] : undefined;
    if (counted !== 'its start') {
      await program.connected(connectedMs);
      // The feed of `journal` has each line once, and would have it again.
      if (again !== undefined && again !== 'journal') {
        program.readAgain(topicOf(again));
        this.#readAgain++;
      }
    }
    if (counted === 'results') await program.publishes(publishesMs);
    await delay(afterMs);
    await program.kill();
    this.#compactions += program.compactions;
    this.#expectAlive();
    const state = await this.#look();
    this.#options.say(
      `kill ${number}, ${Math.round(afterMs)} ms after ${counted}: ${this.#load.committed} transactions, ${state}`,
    );
  }

  /** Load that nobody takes, now and then. */
  async #burst(): Promise<void> {
    if (this.#random() >= burstShare) return;
    this.#load.hurries = true;
    await delay(this.#random() * burstMsMax);
    this.#load.hurries = false;
  }

  #start(args: readonly string[] = []): Program {
    const { torn } = this.#options;
    const limits = randomLimits(this.#random);
    this.#program = new Program({ directory: this.#directory, torn, limits }, args);
    return this.#program;
  }

  /** What the killed process left: the log is whole and in order, and the sink equals the log at the sink's own position. */
  async #look(): Promise<string> {
    const copy = copyState(this.#directory);
    const log = await openCopy(copy);
    try {
      const seen = await this.#lookAtTables(copy, log);
      // Without atomic commits they differ, of course; there it is the reader that must find it.
      if (this.#options.torn) return seen;
      return `${seen}; ${await this.#views?.look(copy, log)}`;
    } finally {
      await log.close();
      await this.#holdCompaction();
    }
  }

  async #lookAtTables(copy: string, log: Log): Promise<string> {
    const db = openSink(join(copy, 'sink.db'));
    try {
      const seq = db === null ? null : commonCursor(db);
      await this.#replay.read(log, seq ?? Infinity);
      await this.#oracle?.check(this.#replay, { complete: false });
      const newest = `log at seq ${this.#replay.newestSeq}`;
      if (db === null || seq === null) return `${newest}, sinks not filled yet`;
      if (this.#replay.seq !== seq) return `${newest}, sinks at ${seq}`;
      if (this.#options.torn) return newest;
      this.#compareSinkWithLog(db);
      return `${newest}, sinks equal it at ${seq}`;
    } finally {
      db?.close();
    }
  }

  async #holdCompaction(): Promise<void> {
    const directory = join(this.#directory, 'data', 'log');
    await this.#replay.holdCompaction(directory, 'crash test');
    await this.#views?.holdCompaction(directory);
  }

  #compareSinkWithLog(db: DatabaseSync): void {
    for (const table of tables) {
      const rows = sinkRows(db, table);
      if (rows === null) throw new Difference(`sink ${table} has a cursor and no table`);
      expectSame('the sink (expected: the log at its cursor)', table, asJson(this.#replay.rows(topicOf(table))), rows);
    }
  }

  /** Stops the load, lets tidemark catch up, and compares log, sinks and feed with the database. */
  async #compare(): Promise<void> {
    const started = performance.now();
    const client = present(this.#client, 'the connection');
    await this.#load.pause();
    const program = this.#start(['--until', 'caught-up']);
    await program.succeeds(caughtUpMs);
    this.#compactions += program.compactions;
    this.#expectAlive();
    const copy = copyState(this.#directory);
    const log = await openCopy(copy);
    try {
      await this.#replay.read(log);
      await this.#oracle?.check(this.#replay, { complete: true });
      await this.#compareTables(client, copy);
      await this.#views?.compare(copy, log);
    } finally {
      await log.close();
    }
    await this.#holdCompaction();
    this.#comparisons++;
    this.#load.resume();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    this.#options.say(
      `caught up and compared in ${seconds} s: ${this.#rows} rows and ${this.#oracle?.matched} transactions, log at seq ${this.#replay.seq}; views: ${this.#views?.report().rows} rows, step ${this.#views?.report().step}`,
    );
  }

  async #compareTables(client: Client, copy: string): Promise<void> {
    const db = openSink(join(copy, 'sink.db'));
    if (db === null) throw new Difference('there is no sink');
    try {
      this.#rows = 0;
      for (const table of tables) {
        const inLog = await databaseRows(client, table, 'text');
        this.#rows += inLog.length;
        expectSame('the log', table, inLog, this.#replay.rows(topicOf(table)));
        expectSame('the sink', table, await databaseRows(client, table, 'json'), sinkRows(db, table) ?? []);
      }
    } finally {
      db.close();
    }
    const journal = await databaseRows(client, 'journal', 'text');
    this.#feedCommits = checkFeed(join(this.#directory, 'feed.ndjson'), journal, this.#replay);
  }

  #startReader(): void {
    const reader = spawn(process.execPath, [join(import.meta.dirname, 'reader.ts'), this.#directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    reader.stdout.setEncoding('utf8').on('data', (text: string) => (this.#readerOutput += text));
    this.#reader = reader;
  }

  async #stopReader(): Promise<ReaderReport> {
    const reader = present(this.#reader, 'the reader');
    if (reader.exitCode === null) {
      const closed = once(reader, 'close');
      reader.kill('SIGTERM');
      await closed;
    }
    this.#expectAlive();
    return JSON.parse(this.#readerOutput) as ReaderReport;
  }

  /** The reader and the load go on until they are told to stop, unless they have found something. */
  #expectAlive(): void {
    if (this.#load.failure !== null) throw this.#load.failure;
    if ((this.#reader?.exitCode ?? 0) !== 0) throw new Difference(`the reader saw: ${this.#readerOutput.trim()}`);
  }
}

/** A copy of log and sinks as they are, so that looking at them repairs nothing that the next start must repair. */
function copyState(directory: string): string {
  const copy = join(directory, 'copy');
  removeDirectory(copy);
  mkdirSync(copy);
  const log = join(directory, 'data', 'log');
  if (existsSync(log)) cpSync(log, join(copy, 'log'), { recursive: true });
  const state = join(directory, 'data', 'views', 'state', 'data.mdb');
  if (existsSync(state)) cpSync(state, join(copy, 'state', 'data.mdb'));
  for (const name of ['sink.db', 'sink.db-wal', 'views.db', 'views.db-wal']) {
    if (existsSync(join(directory, name))) cpSync(join(directory, name), join(copy, name));
  }
  return copy;
}

/** Repaired as at a start. */
async function openCopy(copy: string): Promise<Log> {
  return openEmbeddedLog({ directory: join(copy, 'log'), files: systemFiles, clock: systemClock });
}

function topicOf(table: TableName): string {
  return `${sourceName}.public.${table}`;
}

/** The commit that all sinks of tables are at; null while they are being filled one by one. */
function commonCursor(db: DatabaseSync): number | null {
  const cursors = sinkCursors(db);
  const [seq, ...others] = new Set(tables.map((table) => cursors.get(table)));
  return seq !== undefined && others.length === 0 ? seq : null;
}
