import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { systemCodeOf } from '../base/errors.ts';
import { systemFiles } from '../base/files.ts';
import type { Files } from '../base/files.ts';
import { SecretFilter } from '../telemetry/secrets.ts';

/** Where text goes. */
interface TextOutput {
  write(data: string | Buffer, done?: (error?: Error | null) => void): boolean;
  once(event: 'drain', listener: () => void): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** What a command is given of the world. */
export interface CommandContext {
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly files: Files;
  /** Learns what must not be shown as soon as the file is read; everything printed about failures passes it. */
  readonly secrets: SecretFilter;
  /** Aborted by SIGINT and SIGTERM: the command stops cleanly and returns. */
  readonly signal: AbortSignal;
}

/** What every command may be told. */
export interface CommonOptions {
  readonly config: string;
  readonly json?: boolean;
}

/** How a process was ended from outside. */
export interface ProcessEnd {
  /** The exit code that a signal or standard output decided; null when neither did. */
  exitCode(): number | null;
  /** Why standard output cannot be written; null when it can, or when its reader has merely gone. */
  outputError(): Error | null;
}

/**
 * The process as context. The first SIGINT or SIGTERM asks for a clean stop and decides the exit code (128 + its number); the
 * second one ends the process at once. `outputIsSink` says that what fails there is a sink's affair, which tries again.
 */
export function processContext(outputIsSink: boolean): { context: CommandContext; end: ProcessEnd } {
  const controller = new AbortController();
  let code: number | null = null;
  let outputError: Error | null = null;
  const stop = (exitCode: number): void => {
    if (code !== null) process.exit(exitCode);
    code = exitCode;
    controller.abort();
  };
  process.on('SIGINT', () => stop(130));
  process.on('SIGTERM', () => stop(143));
  process.stdout.on('error', (error) => {
    // `tidemark tail … | head` closes the pipe when it has enough: that is no failure, but there is nobody left to write for.
    if (systemCodeOf(error) === 'EPIPE') code ??= 0;
    else if (outputIsSink) return;
    else {
      outputError ??= error;
      code ??= 1;
    }
    controller.abort();
  });
  // Whoever read the messages has gone; the work goes on.
  process.stderr.on('error', () => undefined);
  const context = {
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    clock: systemClock,
    files: systemFiles,
    secrets: new SecretFilter(),
    signal: controller.signal,
  };
  return { context, end: { exitCode: () => code, outputError: () => outputError } };
}
