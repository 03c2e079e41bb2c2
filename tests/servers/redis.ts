import { spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { freePort, removeDirectory, spawnServer, tailOf, temporaryDirectory, until, watchOver } from './process.ts';
import type { Found, RunningServer, ServerKind } from './server.ts';

export interface RedisOptions {
  /** `always`: every write is on the disk before it is answered. `everysec`: within a second. `none`: nothing outlives the process. */
  readonly persistence?: 'always' | 'everysec' | 'none';
  /** Lines of redis.conf, over the defaults. */
  readonly settings?: readonly string[];
}

/** Redis, or Valkey, as a kind of test server. */
export const redis: ServerKind<RedisOptions, RedisServer> = {
  name: 'redis',
  find: findRedis,
  start: startRedis,
};

/** Starts a new, empty server on 127.0.0.1. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const found = findRedis();
  if (!found.found) throw new Error(found.reason);
  const server = new RedisServer(options, found, await freePort());
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

const programs = ['redis-server', 'valkey-server'];
const folders = ['/usr/local/bin', '/usr/bin', '/opt/homebrew/bin', ...(process.env['PATH'] ?? '').split(':')];
let looked: Found | null = null;

/** `directory` is the path of the program itself. Installs Debian's package where there is none and we may. */
export function findRedis(): Found {
  looked ??= lookFor() ?? (installed() ? lookFor() : null);
  return (
    looked ?? { found: false, reason: 'no redis-server or valkey-server is installed (apt-get install redis-server)' }
  );
}

function lookFor(): Found | null {
  for (const program of programs) {
    for (const folder of folders) {
      const path = join(folder, program);
      if (folder === '' || !existsSync(path)) continue;
      const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
      return { found: true, directory: path, version: /v=([\d.]+)/.exec(stdout)?.[1] ?? '' };
    }
  }
  return null;
}

/** RUNLEVEL keeps the package from starting a server of its own; several test files may want it at once. */
function installed(): boolean {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return false;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const install = ['install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', 'redis-server'];
  const run = (args: readonly string[]): boolean => spawnSync('apt-get', args, { env, stdio: 'ignore' }).status === 0;
  return run(install) || (run(['update']) && run(install));
}

export class RedisServer implements RunningServer {
  readonly directory: string;
  readonly port: number;
  readonly #program: string;
  readonly #watch: { release(): void };
  #process: ChildProcess | null = null;

  constructor(options: RedisOptions, { directory: program, version }: Found & { found: true }, port: number) {
    this.#program = program;
    this.port = port;
    this.directory = temporaryDirectory('redis', {});
    this.#watch = watchOver(this.directory);
    const appends = options.persistence === 'always' || options.persistence === 'everysec';
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${this.directory}`,
      'save ""',
      `appendonly ${appends ? 'yes' : 'no'}`,
      `appendfsync ${options.persistence === 'always' ? 'always' : 'everysec'}`,
      // The folder in the command line is how its process is recognised; servers before 6.2 keep theirs or do not.
      ...(Number.parseFloat(version) >= 6.2 ? ['set-proc-title no'] : []),
      ...(options.settings ?? []),
    ];
    writeFileSync(this.#configFile, lines.map((line) => `${line}\n`).join(''));
  }

  get #configFile(): string {
    return join(this.directory, 'redis.conf');
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Starts the server, anew or on the data it had. */
  async start(): Promise<void> {
    const log = join(this.directory, 'log');
    const child = spawnServer(this.#program, [this.#configFile], {}, log);
    let failure: string | null = null;
    child.once('error', (error) => {
      failure = error.message;
    });
    child.once('exit', (code, signal) => {
      failure = `it ended with ${String(code ?? signal)}`;
    });
    this.#process = child;
    await until('redis to answer', async () => failure !== null || (await this.#answers()));
    if (failure === null) return;
    this.#process = null;
    throw new Error(`${this.#program} did not start: ${String(failure)}\n${tailOf(log)}`);
  }

  /** Ends it with SIGKILL; what is on its disk stays. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    // It keeps nobody alive while it runs; its end is waited for.
    child.ref();
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Removes what is on the disk of a server that has been killed. */
  forget(): void {
    for (const name of readdirSync(this.directory)) {
      if (name !== 'redis.conf' && name !== 'log') rmSync(join(this.directory, name), { recursive: true });
    }
  }

  /** Stops the process in its tracks: connections stay open and nothing answers. `resume` lets it go on. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.kill();
    removeDirectory(this.directory);
    this.#watch.release();
  }

  /** It takes commands, with a password or without, and has read its file. */
  async #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = createConnection(this.port, '127.0.0.1');
      const done = (answers: boolean): void => {
        socket.destroy();
        resolve(answers);
      };
      socket.once('error', () => {
        done(false);
      });
      socket.once('connect', () => socket.write('PING\r\n'));
      socket.once('data', (reply) => {
        done(/^\+PONG|^-NOAUTH|^-NOPERM/.test(reply.toString('latin1')));
      });
    });
  }
}
