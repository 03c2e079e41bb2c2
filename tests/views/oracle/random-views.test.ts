import { beforeAll, expect, it } from 'vitest';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { describePostgres } from '../../servers/suite.ts';
import { explain, newStatistics, runSeed } from './fuzzer.ts';
import { OracleServer } from './oracle-server.ts';

/** TIDEMARK_VIEWS_SEED runs a seed again; each has about six queries, twelve transactions and four ways to run the engine. */
const seeded = process.env['TIDEMARK_VIEWS_SEED'];
const first = Number(seeded ?? Math.floor(Math.random() * 1e9));
const cases = seeded === undefined ? 350 : 1;
/** A machine that is busy with other things is let off with fewer. */
const longestMs = 90_000;

describePostgres('views', (database) => {
  beforeAll(loadSqlParser);

  it(`answer as PostgreSQL does, for random queries after each of random transactions (seeds from ${first})`, async () => {
    const server = await OracleServer.on(await database.connect());
    const statistics = newStatistics();
    const until = performance.now() + longestMs;
    for (let seed = first; seed < first + cases && performance.now() < until; seed++) {
      const found = await runSeed(seed, server, statistics);
      if (found !== null) expect.fail(`seed ${seed}\n${await explain(found.test, found.failure, server)}`);
    }
    // A generator whose queries are refused, or have no rows, proves nothing.
    expect(statistics.queries).toBeGreaterThan(statistics.cases * 4);
    expect(statistics.rows).toBeGreaterThan(statistics.cases * 20);
  }, 240_000);
});
