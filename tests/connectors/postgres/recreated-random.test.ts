import { it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';
import { BurstWriter, seededRandom } from './random-bursts.ts';

/** More of them: RECREATED_ROUNDS=2000 npx vitest run tests/connectors/postgres/recreated-random.test.ts; a seed: RECREATED_SEED=… */
const rounds = Number(process.env['RECREATED_ROUNDS'] ?? 40);
const seed = Number(process.env['RECREATED_SEED'] ?? Math.floor(Math.random() * 1e9));
const roundsPerPipeline = 10;

describePostgres('tables dropped, made and renamed in bursts', (database) => {
  it(`equal their topics whenever the source says so, seed ${seed}`, { timeout: 30_000 + 2_000 * rounds }, async () => {
    const random = seededRandom(seed);
    for (let done = 0; done < rounds; done += roundsPerPipeline) {
      const prefix = `fz${done}`;
      const bursts = new BurstWriter(random, prefix);
      await database.query(bursts.setUp());
      const pipeline = await TestPipeline.create({
        url: database.url,
        // The second name of four matches by a pattern, the others do not.
        tables: [`public.${prefix}_live*`],
        snapshot: { chunkRows: 7 },
        heartbeatMs: random() < 0.5 ? 100 : 600_000,
      });
      // The stream then knows new tables before the catalog was looked at.
      if (random() < 0.4) await database.query(`CREATE PUBLICATION ${pipeline.slot} FOR ALL TABLES`);
      await pipeline.start();
      for (let round = 0; round < Math.min(roundsPerPipeline, rounds - done); round++) {
        const burst = bursts.burst();
        for (const sql of burst) await database.query(sql);
        const end = random();
        if (end < 0.1) await pipeline.restart();
        else if (end < 0.2) {
          await pipeline.crash();
          for (const sql of bursts.burst()) await database.query(sql);
          await pipeline.start();
        }
        try {
          await pipeline.settled(...bursts.captured().map((name) => `public.${name}`));
        } catch (error) {
          throw new Error(`seed ${seed}, round ${done + round}: ${burst.join('\n')}`, { cause: error });
        }
      }
      await pipeline.stop();
    }
  });
});
