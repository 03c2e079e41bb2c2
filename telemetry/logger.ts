import { pino } from 'pino';
import type { SecretFilter } from './secrets.ts';

/** What the rooms that log are given. Fields first, as pino has it. */
export interface Logger {
  trace(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: Record<string, unknown>): Logger;
}

type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** Where log lines go: a line at a time, each with its newline. */
export interface LogOutput {
  write(line: string): void;
  readonly isTTY?: boolean;
}

/**
 * Lines for people on a terminal, JSON elsewhere. Every line passes the filter as a whole, so that no field and no message,
 * from wherever it comes, carries a secret out.
 */
export async function createLogger(options: {
  level: LogLevel;
  output: LogOutput;
  secrets: SecretFilter;
  colour: boolean;
  name?: string;
}): Promise<Logger> {
  const { output, secrets } = options;
  const clean: LogOutput = { write: (line) => output.write(secrets.clean(line)) };
  const destination = output.isTTY === true ? await prettyOutput(clean, options.colour) : clean;
  const logger: pino.Logger = pino(
    {
      level: options.level,
      base: options.name === undefined ? {} : { name: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return logger;
}

/** pino-pretty as a formatter in this process: a worker thread would cost more memory than the whole log. */
async function prettyOutput(output: LogOutput, colour: boolean): Promise<LogOutput> {
  const { prettyFactory } = await import('pino-pretty');
  const format = prettyFactory({
    colorize: colour,
    ignore: 'pid,hostname,name',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
    customLevels: 'trace:10,debug:20,info:30,warn:40,error:50',
  });
  return { write: (line) => output.write(format(line)) };
}

/** Whether to colour: NO_COLOR (https://no-color.org) and a dumb terminal say no, FORCE_COLOR says yes. */
export function wantsColour(environment: Record<string, string | undefined>, isTerminal: boolean): boolean {
  if ((environment['NO_COLOR'] ?? '') !== '') return false;
  if ((environment['FORCE_COLOR'] ?? '') !== '' && environment['FORCE_COLOR'] !== '0') return true;
  return isTerminal && environment['TERM'] !== 'dumb';
}
