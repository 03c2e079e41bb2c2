import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { TidemarkError } from '../../base/errors.ts';

const program = join(import.meta.dirname, '..', '..', 'tidemark');

export interface Ended {
  /** Null when a signal ended the process without its leave. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What has been written to stderr so far. */
  stderr(): string;
}

/** A folder for one test, removed when it ends. */
export async function folder(file?: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-cli-'));
  onTestFinished(async () => rm(directory, { recursive: true, force: true }));
  if (file !== undefined) await writeFile(join(directory, 'tidemark.yaml'), file);
  return directory;
}

/** Starts `./tidemark` as a user does, under a limit that the shell sets. */
export function start(
  directory: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  limit = ':',
): Running {
  const env = { ...process.env, NO_COLOR: '1', ...environment };
  const child = spawn('/bin/sh', ['-c', `${limit}; exec "$0" "$@"`, program, ...args], {
    cwd: directory,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = once(child, 'close').then(([code]) => ({
    code: typeof code === 'number' ? code : null,
    stdout,
    stderr,
  }));
  return { child, ended, stderr: () => stderr };
}

/** Runs `./tidemark` to its end. */
export async function tidemark(
  directory: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  return start(directory, args, env).ended;
}

/** Waits until the condition holds. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 100_000,
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new TidemarkError('INTERNAL', `waited in vain: ${what}`);
    await systemClock.sleep(20);
  }
}
