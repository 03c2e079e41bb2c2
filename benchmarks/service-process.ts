import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TidemarkError } from '../base/errors.ts';
import { freePort, tailOf, until } from '../tests/servers/process.ts';
import { ProcessSampler } from './process-sampler.ts';
import type { Memory } from './process-sampler.ts';

const program = join(import.meta.dirname, '..', 'tidemark');
/** `./tidemark run` as a user runs it: PostgreSQL to one SQLite file, a table a sink. */
export class ServiceProcess {
  readonly #child: ChildProcess;
  readonly #url: string;
  readonly #output: string;
  readonly #sampler: ProcessSampler;

  private constructor(child: ChildProcess, url: string, output: string) {
    this.#child = child;
    this.#url = url;
    this.#output = output;
    this.#sampler = new ProcessSampler(child.pid ?? 0, 20);
  }

  /** Starts it on a folder; ready when it answers. Sinks are named after their tables. */
  static async start(
    directory: string,
    options: { name: string; url: string; tables: readonly string[] },
  ): Promise<ServiceProcess> {
    const port = await freePort();
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'tidemark.yaml'), configuration(options, port));
    const output = join(directory, 'output');
    const file = openSync(output, 'w');
    const child = spawn(program, ['run'], { cwd: directory, stdio: ['ignore', file, file] });
    closeSync(file);
    const service = new ServiceProcess(child, `http://127.0.0.1:${port}`, output);
    try {
      await until('the service to be ready', async () => service.#isReady());
    } catch (error) {
      await service.stop();
      throw error;
    }
    return service;
  }

  /** The highest memory seen since the last call of this. */
  takePeak(): Memory {
    return this.#sampler.takePeak();
  }

  /** User and system time since the start, in microseconds. */
  get cpuMicros(): number {
    return this.#sampler.cpuMicros;
  }

  /** Waits until a sink holds everything that was committed before the call. */
  async caughtUp(sink: string): Promise<void> {
    await until(
      `sink ${sink} to catch up`,
      async () => {
        this.#check();
        const response = await fetch(`${this.#url}/api/v1/wait?sink=${sink}&position=now&timeout=60s`);
        await response.text();
        return response.ok;
      },
      1_200_000,
    );
  }

  async stop(): Promise<void> {
    this.#sampler.stop();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }

  async #isReady(): Promise<boolean> {
    this.#check();
    try {
      const response = await fetch(`${this.#url}/readyz`);
      await response.text();
      return response.ok;
    } catch {
      return false;
    }
  }

  #check(): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return;
    throw new TidemarkError(
      'INTERNAL',
      `tidemark ended with ${String(exitCode ?? signalCode)}: ${tailOf(this.#output)}`,
    );
  }
}

function configuration(
  { name, url, tables }: { name: string; url: string; tables: readonly string[] },
  port: number,
): string {
  return `version: 1
name: ${name}
sources:
  bench:
    type: postgres
    url: ${JSON.stringify(url)}
    tables: [${tables.map((table) => `public.${table}`).join(', ')}]
sinks:
${tables.map((table) => `  ${table}: { type: sqlite, path: ./sink.db, from: ${table}, table: ${table} }`).join('\n')}
http: { port: ${port} }
`;
}
