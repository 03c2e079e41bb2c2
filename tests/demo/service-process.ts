import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceStatus } from '../../telemetry/status.ts';
import { freePort, tailOf } from '../servers/process.ts';
import { exampleConfiguration, root } from './shop.ts';

/** `./tidemark run` as a process of its own, in a folder of its own, on the example configuration. */
export class ServiceProcess {
  readonly directory: string;
  /** Resolves with a sentence if the process ends without having been asked to. */
  readonly died: Promise<string>;
  readonly #child: ChildProcess;
  readonly #port: number;
  #stopping = false;

  private constructor(directory: string, port: number, child: ChildProcess) {
    this.directory = directory;
    this.#port = port;
    this.#child = child;
    this.died = new Promise((resolve) => {
      child.once('error', (error) => resolve(`tidemark could not be started: ${error.message}`));
      child.once('exit', (code, signal) => {
        if (this.#stopping) return;
        resolve(`tidemark ended by itself (${String(code ?? signal)}):\n${tailOf(join(directory, 'tidemark.log'))}`);
      });
    });
  }

  static async start(directory: string, databaseUrl: string): Promise<ServiceProcess> {
    const port = await freePort();
    const file = join(directory, 'tidemark.yaml');
    writeFileSync(file, exampleConfiguration(port));
    const log = openSync(join(directory, 'tidemark.log'), 'a');
    try {
      const child = spawn(join(root, 'tidemark'), ['run', '-c', file], {
        cwd: directory,
        env: { ...process.env, SHOP_DATABASE_URL: databaseUrl },
        stdio: ['ignore', log, log],
        // Ctrl-C in the terminal is for the demo, which then stops everything in order.
        detached: true,
      });
      return new ServiceProcess(directory, port, child);
    } finally {
      closeSync(log);
    }
  }

  /** The database file of the example's sinks. */
  get indexFile(): string {
    return join(this.directory, 'data', 'shop.db');
  }

  /** Null while the service does not answer, as in its first moments. */
  async status(signal: AbortSignal): Promise<ServiceStatus | null> {
    try {
      const response = await this.#get('status', {}, signal);
      return response.ok ? ((await response.json()) as ServiceStatus) : null;
    } catch {
      return null;
    }
  }

  /** Whether the sink came to hold everything up to the position in time. */
  async wait(sink: string, position: string, timeout: string, signal: AbortSignal): Promise<boolean> {
    const response = await this.#get('wait', { sink, position, timeout }, signal);
    await response.arrayBuffer();
    return response.ok;
  }

  /** SIGTERM, and resolves with the exit code: 143 after a clean stop. */
  async stop(): Promise<number | null> {
    this.#stopping = true;
    const child = this.#child;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
    return child.exitCode;
  }

  async #get(path: string, query: Record<string, string>, signal: AbortSignal): Promise<Response> {
    const url = new URL(`/api/v1/${path}`, `http://127.0.0.1:${this.#port}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return fetch(url, { signal });
  }
}
