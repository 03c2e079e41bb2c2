import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { tailOf } from '../servers/process.ts';

const root = join(import.meta.dirname, '..', '..');

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

  constructor({ directory, torn }: ProgramOptions, args: readonly string[] = []) {
    this.#logFile = join(directory, 'tidemark.log');
    const log = openSync(this.#logFile, 'a');
    const [program, ...before] = torn
      ? [process.execPath, join(import.meta.dirname, 'torn-main.ts')]
      : [join(root, 'tidemark')];
    this.#child = spawn(program, [...before, 'run', '-c', join(directory, 'tidemark.yaml'), ...args], {
      cwd: directory,
      stdio: ['ignore', log, log],
      env: { ...process.env, NO_COLOR: '1' },
    });
    closeSync(log);
    this.#ended = once(this.#child, 'exit');
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
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
