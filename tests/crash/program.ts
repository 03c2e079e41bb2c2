import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { tailOf } from '../servers/process.ts';
import { dirtyVariable, persistVariable, stepVariable } from './limits.ts';
import type { Limits } from './limits.ts';

const root = join(import.meta.dirname, '..', '..');
const smallLimits = join(import.meta.dirname, 'small-limits.ts');

const lookEveryMs = 30;
const answerMs = 2000;

export interface ProgramOptions {
  /** Holds tidemark.yaml and everything that the program writes. */
  readonly directory: string;
  /** Commits in the middle of transactions: the negative control. */
  readonly torn: boolean;
  readonly limits: Limits;
}

/** `./tidemark run` as a process of its own; what it says goes to `<directory>/tidemark.log`. */
export class Program {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #ended: Promise<unknown>;
  readonly #connected: Promise<void>;
  #address: string | null = null;
  /** Compactions that it has told of. */
  compactions = 0;

  constructor({ directory, torn, limits }: ProgramOptions, args: readonly string[] = []) {
    this.#logFile = join(directory, 'tidemark.log');
    const [program, ...before] = torn
      ? [process.execPath, join(import.meta.dirname, 'torn-main.ts')]
      : [join(root, 'tidemark')];
    this.#child = spawn(program, [...before, 'run', '-c', join(directory, 'tidemark.yaml'), ...args], {
      cwd: directory,
      stdio: ['ignore', 'inherit', 'pipe'],
      env: {
        ...process.env,
        NO_COLOR: '1',
        NODE_OPTIONS: `--import=${pathToFileURL(smallLimits).href}`,
        [persistVariable]: String(limits.persistMs),
        [stepVariable]: String(limits.stepBytes),
        [dirtyVariable]: String(limits.dirtyMax),
      },
    });
    this.#ended = once(this.#child, 'close');
    this.#connected = new Promise((resolve) => {
      this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        appendFileSync(this.#logFile, text);
        this.#address ??= /"http":"([^"]+)"/.exec(text)?.[1] ?? null;
        this.compactions += text.split('log compacted').length - 1;
        if (text.includes('source connected')) resolve();
      });
    });
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when it streams, or has ended, or after the deadline. */
  async connected(deadlineMs: number): Promise<void> {
    const deadline = new AbortController();
    await Promise.race([
      this.#connected,
      this.#ended,
      delay(deadlineMs, undefined, { signal: deadline.signal }).catch(() => undefined),
    ]);
    deadline.abort();
  }

  /** Resolves when it publishes results of views, or has ended, or after the deadline. */
  async publishes(deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    let seen = 0;
    while (this.running && performance.now() < deadline) {
      const step = await this.#step();
      if (seen > 0 && step > seen) return;
      seen = step;
      await delay(lookEveryMs);
    }
  }

  /** The newest step of its views, as it tells; 0 while it does not. */
  async #step(): Promise<number> {
    if (this.#address === null) return 0;
    try {
      const answer = await fetch(new URL('/api/v1/status', this.#address), { signal: AbortSignal.timeout(answerMs) });
      const { views } = (await answer.json()) as { views: readonly { step: number }[] };
      return views[0]?.step ?? 0;
    } catch {
      return 0;
    }
  }

  /** Asks for a table to be read again; whatever comes of that, the program may be killed meanwhile. */
  readAgain(table: string): void {
    if (this.#address === null) return;
    void fetch(new URL('/api/v1/snapshot', this.#address), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ table }),
    }).catch(() => undefined);
  }

  /** Ends it as the out-of-memory killer would. Fails when it has ended by itself before. */
  async kill(): Promise<void> {
    if (!this.running) throw new Error(`tidemark ended by itself: ${this.#how()}\n${tailOf(this.#logFile)}`);
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** Resolves when it has ended with exit code 0; fails otherwise, or after the deadline. */
  async succeeds(deadlineMs: number): Promise<void> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), deadlineMs);
    await this.#ended;
    clearTimeout(timer);
    if (this.#child.exitCode === 0) return;
    const late = this.#child.signalCode === 'SIGKILL' ? `not done within ${deadlineMs} ms` : this.#how();
    throw new Error(`tidemark run --until caught-up: ${late}\n${tailOf(this.#logFile, 40)}`);
  }

  /** For the end of a run that failed. */
  async end(): Promise<void> {
    if (this.running) this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #how(): string {
    return `exit ${String(this.#child.exitCode ?? this.#child.signalCode)}`;
  }
}
