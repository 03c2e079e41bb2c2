import { fstatSync, read } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { systemCodeOf } from '../../base/errors.ts';
import { runPipe } from '../../service/pipe.ts';
import type { CommandContext } from '../context.ts';
import { usageError } from '../usage.ts';

const pieceBytes = 256 * 1024;

interface PipeCommandOptions {
  readonly table: readonly string[];
  readonly sql: string;
  readonly key?: string;
  readonly batch: number;
  readonly changes?: boolean;
  readonly final?: boolean;
}

/** Returns the exit code: 1 when rows had to be left out of the result. */
export async function pipeCommand(options: PipeCommandOptions, context: CommandContext): Promise<number> {
  if (options.changes === true && options.final === true) throw usageError('--changes and --final exclude each other');
  const sql = await sqlText(options.sql);
  const { rejected } = await runPipe(
    {
      tables: options.table,
      sql,
      key: options.key?.split(',').map((name) => name.trim()) ?? [],
      batch: options.batch,
      output: options.final === true ? 'final' : 'changes',
    },
    {
      input: standardInput(context.signal),
      write: async (text) => {
        if (context.stdout.write(text)) return;
        await new Promise<void>((resolve) => void context.stdout.once('drain', resolve));
      },
      reject: (message) => void context.stderr.write(`tidemark: ${message}\n`),
      signal: context.signal,
    },
  );
  if (rejected > 0) context.stderr.write(`tidemark: ${rejected} rows were left out of the result\n`);
  return rejected > 0 ? 1 : 0;
}

/** Standard input; it ends when the signal is aborted. */
function standardInput(signal: AbortSignal): AsyncIterable<Buffer> {
  if (fstatSync(0).isFile()) return pieces(0, signal);
  signal.addEventListener('abort', () => process.stdin.destroy(), { once: true });
  return process.stdin;
}

const readFd = promisify(read);

/**
 * A file in large pieces, each in the place of the one before the last: memory that is new for every piece costs more than its reading.
 * While one is worked on the next is read.
 */
async function* pieces(fd: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  let [current, next] = [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)];
  let reading = readFd(fd, current, 0, pieceBytes, null);
  for (;;) {
    const { bytesRead } = await reading;
    if (bytesRead === 0 || signal.aborted) return;
    const piece = current.subarray(0, bytesRead);
    [current, next] = [next, current];
    reading = readFd(fd, current, 0, pieceBytes, null);
    // A failure is told when it is asked for; nobody asks after an early end.
    reading.catch(() => undefined);
    yield piece;
  }
}

/** The text itself, or what the file of that name holds. */
async function sqlText(given: string): Promise<string> {
  if (/\s/.test(given.trim()) && !/\.sql$/i.test(given.trim())) return given;
  try {
    return await readFile(given, 'utf8');
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT')
      throw usageError(`--sql ${given} cannot be read: ${systemCodeOf(error) ?? ''}`);
    throw usageError(`--sql ${given}: there is no such file`, 'Give a file, or the SQL itself in quotes.');
  }
}
