/**
 * `npm run crash -- --kills 200 [--seed S] [--minutes M]`: kills tidemark with SIGKILL at random moments under load, and compares what
 * it leaves with the database (docs/testing.md). Exit code 1 with the first differing rows when something differs.
 */
import { parseArgs } from 'node:util';
import { messageOf } from '../../base/errors.ts';
import { startPostgres } from '../servers/postgres.ts';
import { crashServer, runCrash } from './harness.ts';
import type { CrashResult } from './harness.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    minutes: { type: 'string', default: '60' },
    'compare-every': { type: 'string', default: '5' },
    keep: { type: 'boolean', default: false },
    torn: { type: 'boolean', default: false },
  },
});

const started = performance.now();
console.log(`seed ${values.seed}`);
const server = await startPostgres(crashServer);
try {
  const result = await runCrash(server, {
    kills: Number(values.kills),
    seed: Number(values.seed),
    minutes: Number(values.minutes),
    compareEvery: Number(values['compare-every']),
    torn: values.torn,
    keep: values.keep,
    say: (line) => console.log(line),
  });
  console.log(summary(result));
} catch (error) {
  console.log(`FAILED with seed ${values.seed}: ${messageOf(error)}`);
  if (!(error instanceof Error && error.name === 'Difference')) console.log(error);
  process.exitCode = 1;
} finally {
  await server.stop('immediate');
}

function summary({
  compactions,
  readAgain,
  kills,
  comparisons,
  transactions,
  matched,
  seq,
  feedCommits,
  rows,
  views,
  reader,
  counts,
}: CrashResult): string {
  const seconds = Math.round((performance.now() - started) / 1000);
  const kinds = [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => `${kind} ${count}`);
  return [
    `${kills} kills in ${seconds} s: no difference`,
    `load: ${transactions} transactions (${kinds.join(', ')})`,
    `${comparisons} comparisons with the database, ${rows} rows of log and sinks equal in the last; sinks compared with the log after every kill`,
    `log: seq 1 to ${seq} without a gap (${compactions} compactions; ${readAgain} tables asked to be read again), ${matched} transactions in the server's order; feed: ${feedCommits} commits, each once`,
    `views: sinks equal PostgreSQL's answers ${views.compared} times after kills, at ${views.commits} commits; ${views.rows} rows equal in the last comparison; ${views.step} steps, each output once; feed: ${views.feedCommits} commits, each once`,
    `view state at the kills: ${[...views.standings].map(([standing, count]) => `${standing} ${count}`).join(', ')}`,
    `reader: ${reader.polls} polls, ${reader.checked} of them checked, at ${reader.commits} commits; views ${reader.viewChecks}, at ${reader.viewCommits} commits; no half transaction`,
  ].join('\n');
}
