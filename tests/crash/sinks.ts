/**
 * `npm run crash:sinks -- --kills 60 [--engine elasticsearch] [--seed S]`: kills tidemark, two Redis servers (one keeps its data, one
 * loses it) and a search engine with SIGKILL at random moments under load, and compares what the sinks hold with the database
 * (docs/testing.md). Exit code 1 when anything differs.
 */
import { parseArgs } from 'node:util';
import { messageOf } from '../../base/errors.ts';
import { startPostgres } from '../servers/postgres.ts';
import { crashServer } from './harness.ts';
import { runSinkCrash } from './sink-run.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    minutes: { type: 'string', default: '60' },
    'compare-every': { type: 'string', default: '6' },
    engine: { type: 'string', default: 'opensearch' },
  },
});

const started = performance.now();
console.log(`seed ${values.seed}`);
const server = await startPostgres(crashServer);
try {
  const { kills, comparisons, transactions, rows, polls, commits } = await runSinkCrash(server, {
    kills: Number(values.kills),
    seed: Number(values.seed),
    minutes: Number(values.minutes),
    compareEvery: Number(values['compare-every']),
    engine: values.engine === 'elasticsearch' ? 'elasticsearch' : 'opensearch',
    say: (line) => console.log(line),
  });
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(
    `${[...kills].map(([victim, count]) => `${count} kills of ${victim}`).join(', ')} in ${seconds} s: no difference\n` +
      `load: ${transactions} transactions; ${comparisons} comparisons with the database, ${rows} rows equal in the last, verify clean each time\n` +
      `reader of Redis: ${polls} polls at ${commits} commits; no half transaction, none older than before`,
  );
} catch (error) {
  console.log(`FAILED with seed ${values.seed}: ${messageOf(error)}`);
  if (!(error instanceof Error && error.name === 'Difference')) console.log(error);
  process.exitCode = 1;
} finally {
  await server.stop('immediate');
}
