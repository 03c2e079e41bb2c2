/**
 * `npm run fuzz:views -- [--minutes 30] [--seed N] [--cases N] [--tpch]`: random views against PostgreSQL (docs/testing.md). Stops at the first
 * seed whose answers differ, with the smallest case that it finds; exit code 1.
 */
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import { loadSqlParser } from '../../views/sql/bind.ts';
import { startPostgres } from '../servers/postgres.ts';
import { explain, newStatistics, runSeed } from './oracle/fuzzer.ts';
import { OracleServer } from './oracle/oracle-server.ts';
import { runTpch } from './oracle/tpch/run.ts';
import { MemoryStore } from '../../views/state/memory.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    cases: { type: 'string', default: '1000000000' },
    /** Goes on after failures, and shows the first of each kind. */
    keep: { type: 'boolean', default: false },
    refused: { type: 'boolean', default: false },
    /** TPC-H at scale 0.01 with 100 refreshes instead. */
    tpch: { type: 'boolean', default: false },
    scale: { type: 'string', default: '0.01' },
    refreshes: { type: 'string', default: '100' },
  },
});

const first = Number(values.seed);
const deadline = performance.now() + Number(values.minutes) * 60_000;
const statistics = newStatistics();
console.log(`seed ${first}`);
await loadSqlParser();
const server = await startPostgres();
try {
  const client = new Client({ connectionString: server.url(), types: { getTypeParser: () => (text: string) => text } });
  client.on('error', () => undefined);
  await client.connect();
  await (values.tpch ? tpch(client) : fuzz(client));
  await client.end();
} finally {
  await server.stop('immediate');
}

async function fuzz(client: Client): Promise<void> {
  const oracle = await OracleServer.on(client);
  const seen = new Map<string, number>();
  for (let seed = first; seed < first + Number(values.cases) && performance.now() < deadline; seed++) {
    const started = performance.now();
    const found = await runSeed(seed, oracle, statistics).catch(outOfTime);
    if (found === 'out of time') {
      console.log(`seed ${seed} ran out of PostgreSQL's time`);
      continue;
    }
    if (performance.now() - started > 10_000)
      console.log(`seed ${seed} took ${Math.round(performance.now() - started)} ms`);
    if (found === null) continue;
    process.exitCode = 1;
    const gist = `${found.failure.kind} ${found.failure.message.split('\n', 1)[0]?.replaceAll(/\d+/g, '0')}`;
    const times = (seen.get(gist) ?? 0) + 1;
    seen.set(gist, times);
    if (times === 1 || (times <= 4 && found.failure.kind === 'rows'))
      console.log(`FAILED\n${await explain(found.test, found.failure, oracle)}\n`);
    if (!values.keep) break;
  }
  const { cases, queries, comparisons, rows, refused } = statistics;
  console.log(`${cases} cases, ${queries} queries, ${comparisons} answers and ${rows} rows compared`);
  for (const [gist, times] of [...seen].toSorted(([, a], [, b]) => b - a)) console.log(`${times} × ${gist}`);
  if (values.refused) {
    for (const [reason, { count, seed, sql }] of [...refused].toSorted(([, a], [, b]) => b.count - a.count)) {
      console.log(`refused ${count} ×: ${reason}\n    (seed ${seed}) ${sql.slice(0, 400)}`);
    }
  }
}

/** A busy machine may need more than the statement_timeout for a case that is large by chance. */
function outOfTime(error: unknown): 'out of time' {
  if (error instanceof Error && 'code' in error && error.code === '57014') return 'out of time';
  throw error;
}

async function tpch(client: Client): Promise<void> {
  const scale = Number(values.scale);
  const refreshes = Number(values.refreshes);
  const result = await runTpch({ client, store: new MemoryStore(), scale, seed: first, refreshes, say: console.log });
  for (const [name, reason] of result.refused) console.log(`${name} refused: ${reason}`);
  for (const [name, reason] of result.wrong) console.log(`${name} WRONG ${reason}`);
  if (result.empty.length > 0) console.log(`without a row: ${result.empty.join(', ')}`);
  console.log(
    `${result.passed.length} of 22 equal PostgreSQL after each of ${refreshes} refreshes: ${result.passed.join(' ')}`,
  );
  console.log(
    `engine: load ${Math.round(result.loadMs)} ms, ${(result.refreshMs / refreshes).toFixed(1)} ms a refresh`,
  );
  if (result.wrong.size > 0) process.exitCode = 1;
}
