/**
 * `npm run demo`: a PostgreSQL with a busy shop, `./tidemark run` beside it, and what comes of it on one screen.
 * `-- --seconds N` ends after N seconds of that by comparing index and database at one position, row by row; exit code 0 only if
 * they are equal. Ctrl-C stops everything and removes what was made.
 */
import { parseArgs } from 'node:util';
import { messageOf } from '../../base/errors.ts';
import { Demo } from './run-demo.ts';
import type { DemoOptions } from './run-demo.ts';
import { Screen } from './screen.ts';
import { shopCustomers } from './shop.ts';

const usage = `Usage: npm run demo [-- [--seconds N] [--customers N]]

  --seconds N     stop after N seconds, compare index and database row by row, and exit 0 only if they are equal
  --customers N   size of the shop, 50000 if not given
`;

async function main(): Promise<number> {
  const options = readOptions();
  if (options === null) {
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
    if (await new Demo(screen, options, stopping.signal).run()) return 0;
  } catch (error) {
    // The terminal sends Ctrl-C to all that runs in the foreground, and what it ended may have failed before we heard of it.
    await new Promise(setImmediate);
    if (signalCode === 0) screen.end(['', `The demo failed: ${messageOf(error)}`]);
  }
  if (signalCode !== 0) screen.end(['', 'Stopped; everything is removed.']);
  return signalCode === 0 ? 1 : signalCode;
}

/** Null when the command line is not understood. */
function readOptions(): DemoOptions | null {
  try {
    const { values } = parseArgs({ options: { seconds: { type: 'string' }, customers: { type: 'string' } } });
    const seconds = values.seconds === undefined ? null : Number(values.seconds);
    const customers = Number(values.customers ?? shopCustomers);
    const isPossible = (seconds === null || (Number.isFinite(seconds) && seconds > 0)) && isSize(customers);
    return isPossible ? { seconds, customers } : null;
  } catch {
    return null;
  }
}

function isSize(customers: number): boolean {
  return Number.isInteger(customers) && customers >= 100 && customers <= 10_000_000;
}

process.exitCode = await main();
process.stdout.write('', () => process.exit());
