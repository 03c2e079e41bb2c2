import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import {
  everybodyCanEnter,
  freePort,
  removeDirectory,
  runToEnd,
  serverAccount,
  spawnServer,
  tailOf,
  temporaryDirectory,
  temporaryRoot,
  until,
  watchOver,
} from './process.ts';
import type { Account } from './process.ts';
import type { Found, RunningServer, ServerKind } from './server.ts';

export interface PostgresOptions {
  /** 15 to 18 come from npm, others from the system when it has them. */
  readonly major?: number;
  /** Lines of postgresql.conf, over `defaultSettings`. */
  readonly settings?: PostgresSettings;
  /** How connections over TCP log in. With anything but `trust` (the default) the password of `postgres` is `postgres`. */
  readonly auth?: 'trust' | 'scram-sha-256' | 'md5';
  /** Further arguments of initdb: a locale, an encoding, `--data-checksums`. */
  readonly initdb?: readonly string[];
  /** The TCP port; any free one when absent. */
  readonly port?: number;
}

export type PostgresSettings = Readonly<Record<string, string | number | boolean>>;

/** fast: sessions are ended. immediate: as a crash, recovery follows. smart: waits for sessions. */
export type StopMode = 'smart' | 'fast' | 'immediate';

/** The version that tests share, unless TIDEMARK_TEST_POSTGRES names another. */
export const defaultMajor = Number(process.env['TIDEMARK_TEST_POSTGRES'] ?? 17);

/** All majors that npm brings on the platforms where it brings any. */
export const postgresMajors = [15, 16, 17, 18] as const;

const defaultSettings: PostgresSettings = {
  wal_level: 'logical',
  max_replication_slots: 40,
  max_wal_senders: 40,
  max_connections: 200,
  max_prepared_transactions: 20,
  shared_buffers: '64MB',
  max_wal_size: '2GB',
  fsync: false,
  full_page_writes: false,
  autovacuum_naptime: '5s',
  deadlock_timeout: '200ms',
  wal_sender_timeout: '10s',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] %q%u@%d/%a ',
};

/** PostgreSQL as a kind of test server. */
export const postgres: ServerKind<PostgresOptions, PostgresServer> = {
  name: 'postgres',
  find: findPostgres,
  start: startPostgres,
};

/** Starts a new, empty server; TCP on 127.0.0.1 and a Unix socket in `socketDirectory`. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const server = await PostgresServer.create(options);
  try {
    await server.start();
  } catch (error) {
    await server.stop('immediate');
    throw error;
  }
  return server;
}

export class PostgresServer implements RunningServer {
  readonly major: number;
  /** The server's whole version: `17.10`. */
  readonly version: string;
  readonly directory: string;
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  readonly logFile: string;
  readonly #binaries: string;
  readonly #account: Account;
  readonly #watch: { release(): void };
  #settings: PostgresSettings;
  #port = 0;
  #process: ChildProcess | null = null;

  private constructor(major: number, version: string, binaries: string, settings: PostgresSettings) {
    this.#account = serverAccount();
    this.major = major;
    this.version = version;
    this.#binaries = binaries;
    this.#settings = { ...defaultSettings, ...settings };
    this.directory = temporaryDirectory(`pg${major}`, this.#account);
    this.#watch = watchOver(this.directory);
    this.dataDirectory = join(this.directory, 'data');
    this.socketDirectory = this.directory;
    this.logFile = join(this.directory, 'log');
  }

  static async create(options: PostgresOptions): Promise<PostgresServer> {
    const found = findPostgres(options);
    if (!found.found) throw new Error(found.reason);
    const account = serverAccount();
    const binaries = reachableBinaries(found.directory, account);
    const server = new PostgresServer(options.major ?? defaultMajor, found.version, binaries, options.settings ?? {});
    server.#port = options.port ?? 0;
    server.#initialise(options);
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** A connection URL over TCP; `parameters` become its query. */
  url(database = 'postgres', user = 'postgres', parameters: Readonly<Record<string, string>> = {}): string {
    const url = new URL(`postgres://127.0.0.1:${this.#port}/${encodeURIComponent(database)}`);
    url.username = encodeURIComponent(user);
    url.password = encodeURIComponent(user);
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url.href;
  }

  /** Starts the server after `stop` or `kill`, on the port it had. */
  async start(): Promise<void> {
    if (this.#port === 0) this.#port = await freePort();
    // After a kill, orphaned backends hold the shared memory for a moment, and the port may be taken by somebody's outgoing
    // connection: both pass.
    await until('PostgreSQL to start', async () => this.#tryStart());
  }

  /** Ends the server and keeps its data; it can be started again. */
  async shutDown(mode: StopMode = 'fast'): Promise<void> {
    await this.#end(mode === 'fast' ? 'SIGINT' : mode === 'smart' ? 'SIGTERM' : 'SIGQUIT');
  }

  /** Ends the server with SIGKILL, as the out-of-memory killer would; its data stays. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends the server, changes settings (they add to the present ones), and starts it again on the same port. */
  async restart(settings: PostgresSettings = {}, mode: StopMode = 'fast'): Promise<void> {
    await this.shutDown(mode);
    this.#settings = { ...this.#settings, ...settings };
    await this.start();
  }

  /** Ends the server for good and removes its folder. */
  async stop(mode: StopMode = 'fast'): Promise<void> {
    await this.shutDown(mode);
    removeDirectory(this.directory);
    this.#watch.release();
  }

  #initialise(options: PostgresOptions): void {
    const common = ['-D', this.dataDirectory, '-U', 'postgres', '-A', 'trust', '-N', '-E', 'UTF8', '--locale=C.UTF-8'];
    const passwordFile = join(this.directory, 'password');
    writeFileSync(passwordFile, 'postgres\n', { mode: 0o644 });
    runToEnd(
      join(this.#binaries, 'initdb'),
      [...common, `--pwfile=${passwordFile}`, ...(options.initdb ?? [])],
      this.#account,
    );
    const auth = options.auth ?? 'trust';
    writeFileSync(
      join(this.dataDirectory, 'pg_hba.conf'),
      `local all,replication all trust\nhost all,replication all 127.0.0.1/32 ${auth}\n`,
    );
    appendFileSync(join(this.dataDirectory, 'postgresql.conf'), "\ninclude 'tidemark.conf'\n");
  }

  /** False when the reason is one that passes by itself. */
  async #tryStart(): Promise<boolean> {
    writeFileSync(join(this.dataDirectory, 'tidemark.conf'), this.#configuration());
    const child = spawnServer(
      join(this.#binaries, 'postgres'),
      ['-D', this.dataDirectory],
      this.#account,
      this.logFile,
    );
    let failure: string | null = null;
    child.once('error', (error) => {
      failure = error.message;
    });
    child.once('exit', (code, signal) => {
      failure = `it ended with ${String(code ?? signal)}`;
      if (this.#process === child) this.#process = null;
    });
    this.#process = child;
    await until('postmaster.pid to say ready', () => failure !== null || this.#saysReady(child.pid ?? 0));
    if (failure === null) return true;
    this.#process = null;
    const log = tailOf(this.logFile);
    if (/still in use|lock file .* already exists|Address already in use/.test(log.split('\n').slice(-6).join('\n')))
      return false;
    throw new Error(`PostgreSQL ${this.version} did not start: ${String(failure)}\n${log}`);
  }

  #configuration(): string {
    const lines = Object.entries({ ...this.#settings, port: this.#port, listen_addresses: '127.0.0.1' });
    lines.push(['unix_socket_directories', this.socketDirectory]);
    return lines.map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`).join('');
  }

  #saysReady(pid: number): boolean {
    const file = join(this.dataDirectory, 'postmaster.pid');
    if (!existsSync(file)) return false;
    const lines = readFileSync(file, 'utf8').split('\n');
    return Number(lines[0]) === pid && (lines[7] ?? '').trim() === 'ready';
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    const ended = once(child, 'exit');
    process.kill(child.pid, signal);
    await ended;
    this.#process = null;
  }
}

function findPostgres(options: PostgresOptions = {}): Found {
  const major = options.major ?? defaultMajor;
  const npmPackage = `pg${major}-${process.platform}-${process.arch}`;
  const fromNpm = packageDirectory(npmPackage);
  if (fromNpm !== null) {
    return { found: true, directory: join(fromNpm, 'native', 'bin'), version: packageVersion(fromNpm) };
  }
  for (const root of ['/usr/lib/postgresql', '/opt/homebrew/opt']) {
    for (const name of [String(major), `postgresql@${major}`]) {
      const directory = join(root, name, 'bin');
      if (existsSync(join(directory, 'initdb'))) return { found: true, directory, version: String(major) };
    }
  }
  return { found: false, reason: `PostgreSQL ${major}: neither npm's ${npmPackage} nor the system has it` };
}

function packageDirectory(name: string): string | null {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  } catch {
    // Packages with an `exports` map hide their package.json; the folder beside ours is the other place to look.
    const directory = join(import.meta.dirname, '..', '..', 'node_modules', name);
    return existsSync(join(directory, 'native', 'bin', 'initdb')) ? directory : null;
  }
}

/** 17.10.0-beta.17 is PostgreSQL 17.10. */
function packageVersion(directory: string): string {
  const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { version: string };
  return version.split('.').slice(0, 2).join('.');
}

/**
 * The binaries where the account can run them. A checkout under /root, or in any folder closed to others, is out of its reach:
 * then they are copied (about 60 MB) to a temporary folder, once for this process and those it starts.
 */
function reachableBinaries(directory: string, account: Account): string {
  if (account.uid === undefined || everybodyCanEnter(directory)) return directory;
  const copies = (process.env[copiesVariable] ??= newCopies());
  const copy = join(copies, basename(dirname(dirname(directory))));
  if (!existsSync(copy)) {
    // Another process may be copying the same: whoever renames first wins, and the other's copy is thrown away.
    const partial = mkdtempSync(join(copies, 'partial-'));
    cpSync(dirname(directory), partial, { recursive: true, verbatimSymlinks: true });
    chmodSync(partial, 0o755);
    try {
      renameSync(partial, copy);
    } catch (error) {
      removeDirectory(partial);
      if (!existsSync(copy)) throw error;
    }
  }
  return join(copy, 'bin');
}

const copiesVariable = 'TIDEMARK_TEST_BINARIES';

function newCopies(): string {
  const directory = mkdtempSync(join(temporaryRoot(), 'tidemark-binaries-'));
  chmodSync(directory, 0o755);
  watchOver(directory);
  return directory;
}
