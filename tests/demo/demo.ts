/**
 * `npm run demo`: a PostgreSQL with a busy shop, `./tidemark run` beside it, and what comes of it on one screen.
 * `-- --seconds N` ends after N seconds of that by comparing index and database at one position, row by row; exit code 0 only if
 * they are equal. Ctrl-C stops everything and removes what was made.
 */
import { parseArgs } from 'node:util';
import { messageOf } from '../../base/errors.ts';
import { Demo } from './run-demo.ts';
import { Screen } from './screen.ts';

const usage = `Usage: npm run demo [-- --seconds N]

  --seconds N   stop after N seconds, compare index and database row by row, and exit 0 only if they are equal
`;

async function main(): Promise<number> {
  const seconds = readSeconds();
  if (seconds === undefined) {
    process.stdout.write(usage);
    return 2;
  }
  const stopping = new AbortController();
  let signalCode = 0;
  const stop = (code: number): void => {
    // The second time somebody is in a hurry; a watcher ends the servers even so.
    if (signalCode !== 0) process.exit(code);
    signalCode = code;
    stopping.abort();
  };
  process.on('SIGINT', () => stop(130));
  process.on('SIGTERM', () => stop(143));
  const screen = new Screen(process.stdout, process.env);
  try {
    if (await new Demo(screen, seconds, stopping.signal).run()) return 0;
  } catch (error) {
    // The terminal sends Ctrl-C to all that runs in the foreground, and what it ended may have failed before we heard of it.
    await new Promise(setImmediate);
    if (signalCode === 0) screen.end(['', `The demo failed: ${messageOf(error)}`]);
  }
  if (signalCode !== 0) screen.end(['', 'Stopped; everything is removed.']);
  return signalCode === 0 ? 1 : signalCode;
}

/** Seconds to run; null for until Ctrl-C, undefined when the command line is not understood. */
function readSeconds(): number | null | undefined {
  try {
    const { values } = parseArgs({ options: { seconds: { type: 'string' } } });
    if (values.seconds === undefined) return null;
    const seconds = Number(values.seconds);
    return Number.isFinite(seconds) && seconds > 0 ? seconds : undefined;
  } catch {
    return undefined;
  }
}

process.exitCode = await main();
process.stdout.write('', () => process.exit());
