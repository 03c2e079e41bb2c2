import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fetchArtifact, hasMaven, javaHome, unpackedArtifact } from './maven.ts';
import type { MavenArtifact } from './maven.ts';
import {
  freePort,
  removeDirectory,
  serverAccount,
  spawnServer,
  tailOf,
  temporaryDirectory,
  until,
  watchOver,
} from './process.ts';
import type { Account } from './process.ts';
import type { Found, RunningServer, ServerKind } from './server.ts';

export type SearchEngine = 'opensearch' | 'elasticsearch';

export interface SearchOptions {
  readonly engine: SearchEngine;
  /** Lines of the server's yml, over the defaults. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
}

/** The versions of the search engines that tests run: the older ones on Java 17, or, with TIDEMARK_TEST_SEARCH=next, the newer ones on 21. */
const isNext = process.env['TIDEMARK_TEST_SEARCH'] === 'next';
const javaMin = isNext ? 21 : 17;

const artifacts: Readonly<Record<SearchEngine, MavenArtifact>> = {
  opensearch: {
    group: 'org.opensearch.distribution.integ-test-zip',
    artifact: 'opensearch',
    version: isNext ? '3.3.2' : '2.19.5',
  },
  elasticsearch: {
    group: 'org.elasticsearch.distribution.integ-test-zip',
    artifact: 'elasticsearch',
    version: isNext ? '9.2.0' : '8.19.4',
  },
};

/** OpenSearch and Elasticsearch as a kind of test server: their distributions without plugins and without a Java of their own. */
export const search: ServerKind<SearchOptions, SearchServer> = {
  name: 'search',
  find: (options) => findSearch(options ?? { engine: 'opensearch' }),
  start: async (options) => startSearch(options ?? { engine: 'opensearch' }),
};

/** Starts a new, empty node; HTTP on 127.0.0.1. Fetches the distribution first where it is not there. */
export async function startSearch(options: SearchOptions): Promise<SearchServer> {
  const server = await SearchServer.create(options);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

export class SearchServer implements RunningServer {
  readonly engine: SearchEngine;
  readonly version: string;
  readonly directory: string;
  readonly port: number;
  readonly #home: string;
  readonly #java: string;
  readonly #account: Account;
  readonly #transportPort: number;
  readonly #settings: Readonly<Record<string, string | number | boolean>>;
  readonly #watch: { release(): void };
  #process: ChildProcess | null = null;

  private constructor(options: SearchOptions, home: string, java: string, ports: readonly [number, number]) {
    this.engine = options.engine;
    this.version = artifacts[options.engine].version;
    this.#home = home;
    this.#java = java;
    [this.port, this.#transportPort] = ports;
    this.#settings = options.settings ?? {};
    this.#account = serverAccount();
    this.directory = runDirectory(options.engine, this.#account);
    this.#watch = watchOver(this.directory);
  }

  static async create(options: SearchOptions): Promise<SearchServer> {
    const java = javaHome(javaMin);
    if (java === null) throw new Error(`there is no Java ${javaMin} or newer`);
    const home = fetchArtifact(artifacts[options.engine]);
    return new SearchServer(options, home, java, [await freePort(), await freePort()]);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Of the server itself, not of what starts it. */
  get pid(): number {
    const file = join(this.directory, 'pid');
    return this.#process !== null && existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  }

  /** Starts the node, anew or on the data it had. */
  async start(): Promise<void> {
    this.#configure();
    rmSync(join(this.directory, 'pid'), { force: true });
    const names = this.engine === 'opensearch' ? 'OPENSEARCH' : 'ES';
    const environment = {
      [`${names}_JAVA_HOME`]: this.#java,
      [`${names}_PATH_CONF`]: join(this.directory, 'config'),
      [`${names}_TMPDIR`]: join(this.directory, 'tmp'),
      [`${names}_JAVA_OPTS`]: '-Xms400m -Xmx400m',
      LIBFFI_TMPDIR: join(this.directory, 'tmp'),
    };
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const program = join(this.#home, 'bin', this.engine);
    const child = spawnServer(
      '/usr/bin/env',
      [...variables, program, '-p', join(this.directory, 'pid')],
      this.#account,
      this.logFile,
    );
    let failure: string | null = null;
    child.once('exit', (code, signal) => {
      failure = `it ended with ${String(code ?? signal)}`;
    });
    this.#process = child;
    await until(`${this.engine} to answer`, async () => failure !== null || (await this.#answers()), 180_000);
    if (failure !== null) {
      this.#process = null;
      throw new Error(`${this.engine} ${this.version} did not start: ${String(failure)}\n${tailOf(this.logFile, 40)}`);
    }
  }

  get logFile(): string {
    return join(this.directory, 'log');
  }

  /** Ends the node with SIGKILL; its data stays. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Stops the node's process in its tracks: connections stay open and nothing answers. `resume` lets it go on. */
  pause(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  async stop(): Promise<void> {
    await this.#end('SIGKILL');
    removeDirectory(this.directory);
    this.#watch.release();
  }

  async #answers(): Promise<boolean> {
    try {
      const response = await fetch(`${this.url}/_cluster/health?wait_for_status=yellow&timeout=1s`);
      return response.status === 200;
    } catch {
      return false;
    }
  }

  #configure(): void {
    const config = join(this.directory, 'config');
    if (existsSync(config)) return;
    cpSync(join(this.#home, 'config'), config, { recursive: true });
    for (const folder of ['data', 'logs', 'tmp']) mkdirSync(join(this.directory, folder));
    const settings = {
      'cluster.name': 'tidemark-test',
      'node.name': 'n1',
      'path.data': join(this.directory, 'data'),
      'path.logs': join(this.directory, 'logs'),
      'http.port': this.port,
      'transport.port': this.#transportPort,
      'network.host': '127.0.0.1',
      'discovery.type': 'single-node',
      'cluster.routing.allocation.disk.threshold_enabled': false,
      ...(this.engine === 'elasticsearch' ? { 'xpack.security.enabled': false } : {}),
      ...this.#settings,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`);
    writeFileSync(join(config, `${this.engine}.yml`), lines.join(''));
    writeFileSync(join(config, 'jvm.options'), this.#jvmOptions());
    const { uid, gid } = this.#account;
    if (uid === undefined || gid === undefined) return;
    for (const path of [this.directory, ...foldersBelow(this.directory)]) chownSync(path, uid, gid);
  }

  #jvmOptions(): string {
    const options = [
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=4',
      '20-:--add-modules=jdk.incubator.vector',
      '-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1',
      // So that whoever looks after the folder finds the process by its command line.
      `-Dtidemark.directory=${this.directory}`,
    ];
    if (existsSync(join(this.#home, 'agent'))) options.push('21-:-javaagent:agent/opensearch-agent.jar');
    return options.map((line) => `${line}\n`).join('');
  }

  /** Elasticsearch is started by a process of its own, which ends when the server does. */
  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    const { pid } = this;
    if (child.exitCode === null && child.signalCode === null) {
      child.ref();
      const ended = once(child, 'exit');
      if (pid !== 0) process.kill(pid, signal);
      else child.kill(signal);
      await ended;
    }
    this.#process = null;
  }
}

/** Elasticsearch refuses a configuration below /tmp, to which it lets one of its own modules write. */
function runDirectory(engine: SearchEngine, account: Account): string {
  if (engine === 'opensearch' || !existsSync('/var/tmp')) return temporaryDirectory(engine, account);
  const directory = mkdtempSync('/var/tmp/tidemark-elasticsearch-');
  if (account.uid !== undefined && account.gid !== undefined) chownSync(directory, account.uid, account.gid);
  return directory;
}

function foldersBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name));
}

function findSearch({ engine }: SearchOptions): Found {
  const artifact = artifacts[engine];
  const what = `${engine} ${artifact.version}`;
  if (javaHome(javaMin) === null) return { found: false, reason: `${what}: there is no Java ${javaMin} or newer` };
  const directory = unpackedArtifact(artifact);
  // Whoever starts it fetches it.
  if (directory === null && !hasMaven()) return { found: false, reason: `${what}: there is no Maven to fetch it` };
  return { found: true, directory: directory ?? '', version: artifact.version };
}
