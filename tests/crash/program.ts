import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { tailOf } from '../servers/process.ts';

const root = join(import.meta.dirname, '..', '..');
const smallLog = join(import.meta.dirname, 'small-log.ts');

export interface ProgramOptions {
  /** Holds tidemark.yaml and everything that the program writes. */
  readonly directory: string;
  /** Commits in the middle of transactions: the negative control. */
  readonly torn: boolean;
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

  constructor({ directory, torn }: ProgramOptions, args: readonly string[] = []) {
    this.#logFile = join(directory, 'tidemark.log');
    const [program, ...before] = torn
      ? [process.execPath, join(import.meta.dirname, 'torn-main.ts')]
      : [join(root, 'tidemark')];
    this.#child = spawn(program, [...before, 'run', '-c', join(directory, 'tidemark.yaml'), ...args], {
      cwd: directory,
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', NODE_OPTIONS: `--import=${pathToFileURL(smallLog).href}` },
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
