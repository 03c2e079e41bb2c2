import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tidemark } from '../../client/tidemark.ts';
import { freePort, removeDirectory, tailOf, temporaryDirectory, until, watchOver } from '../servers/process.ts';

const program = join(import.meta.dirname, '..', '..', 'tidemark');

/** `./tidemark run` as a process of its own, on a file in a folder of its own. */
export class Deployment {
  readonly directory: string;
  readonly client: Tidemark;
  readonly #child: ChildProcess;
  readonly #watch: { release(): void };

  private constructor(directory: string, client: Tidemark, child: ChildProcess, watch: { release(): void }) {
    this.directory = directory;
    this.client = client;
    this.#child = child;
    this.#watch = watch;
  }

  /** `file`: the configuration without `version`, `name` and `http`. Resolves once the service answers. */
  static async start(name: string, file: string): Promise<Deployment> {
    const directory = temporaryDirectory('deployment', {});
    const watch = watchOver(directory);
    const port = await freePort();
    const path = join(directory, 'tidemark.yaml');
    writeFileSync(path, `version: 1\nname: ${name}\nhttp: { port: ${port} }\n${file}`);
    const log = openSync(join(directory, 'tidemark.log'), 'a');
    const child = spawn(program, ['run', '-c', path], { cwd: directory, stdio: ['ignore', log, log] });
    closeSync(log);
    const client = new Tidemark({ url: `http://127.0.0.1:${port}` });
    const deployment = new Deployment(directory, client, child, watch);
    await until(`tidemark to answer:\n${tailOf(join(directory, 'tidemark.log'))}`, async () => {
      if (child.exitCode !== null) throw new Error(`tidemark ended:\n${tailOf(join(directory, 'tidemark.log'))}`);
      return client.status().catch(() => undefined);
    });
    return deployment;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get url(): string {
    return this.client.url;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    if (this.#child.exitCode === null && this.#child.kill('SIGTERM')) await ended;
    removeDirectory(this.directory);
    this.#watch.release();
  }
}
