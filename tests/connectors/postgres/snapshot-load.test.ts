import { expect, it, onTestFinished } from 'vitest';
import { randomFrom } from '../../simulation/random.ts';
import { describePostgresServer, connectTo } from '../../servers/suite.ts';
import { aroundReads } from './harness-parts.ts';
import { TestPipeline } from './harness.ts';
import { invisibleCommits } from './invisible.ts';
import { Writer, loadTables } from './random-load.ts';

/** How many loads; more by TIDEMARK_SNAPSHOT_LOADS, one by TIDEMARK_SEED. */
const loads = Number(process.env['TIDEMARK_SNAPSHOT_LOADS'] ?? 4);
const fixedSeed = process.env['TIDEMARK_SEED'];
const seeds = fixedSeed
  ? [Number(fixedSeed)]
  : Array.from({ length: loads }, () => Math.floor(Math.random() * 2 ** 31));

describePostgresServer('tables that change all the while they are read', invisibleCommits, (server) => {
  it.each(seeds)('equal their topics after catching up (seed %i)', async (seed) => {
    const random = randomFrom(seed);
    const database = `load_${seed}`;
    const admin = await connectTo(server().url());
    await admin.query(`CREATE DATABASE ${database}`);
    const url = server().url(database);
    const pipeline = await TestPipeline.create({
      url,
      tables: ['public.docs', 'public.pairs'],
      snapshot: { chunkRows: 10 + Math.floor(random() * 90), parallel: 1 + Math.floor(random() * 3) },
    });
    await pipeline.query(loadTables);
    let reads = 0;
    aroundReads(async (_request, read) => {
      reads++;
      return read();
    });
    const writing = { on: true };
    onTestFinished(() => {
      writing.on = false;
    });
    const opened: Writer[] = [];
    const work = async (part: number, settings: string): Promise<void> => {
      const writer = await Writer.open(url, randomFrom(seed + part), settings);
      opened.push(writer);
      while (writing.on) await writer.transaction();
    };
    const writers = Promise.all([work(1, ''), work(2, ''), work(3, 'SET synchronous_commit = on')]);
    const held = { on: true };
    const failed = writers.finally(() => {
      held.on = false;
    });
    failed.catch(() => undefined);
    // Commits of the third writer stay invisible until somebody lets them go.
    const release = async (): Promise<void> => {
      const delay = randomFrom(seed + 4);
      while (held.on) {
        await admin.query(
          `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = '${database}'`,
        );
        await pipeline.clock.sleep(delay() * 60);
      }
    };
    const releasing = release();
    await pipeline.start();
    for (const writer of opened) writer.truncates = true;
    for (let step = 0; step < 6; step++) {
      const target = reads + 1 + Math.floor(random() * 15);
      await Promise.race([
        failed,
        pipeline.until('some reads', () => reads >= target || pipeline.source.status().consistent),
      ]);
      const choice = random();
      if (choice < 0.3) {
        await pipeline.crash();
        await pipeline.start();
      } else if (choice < 0.45) {
        await pipeline.restart();
      } else if (choice < 0.8) {
        void pipeline.source.snapshot(`shop.public.${random() < 0.5 ? 'docs' : 'pairs'}`).catch(() => undefined);
      } else if (choice < 0.9) {
        await pipeline.query(`ALTER TABLE docs ADD COLUMN c${step} int DEFAULT ${step}`);
      } else {
        await pipeline.consistent();
      }
    }
    await Promise.race([failed, pipeline.consistent()]);
    writing.on = false;
    await writers;
    await releasing;
    await admin.end();
    await pipeline.settled('public.docs', 'public.pairs');
    await pipeline.restart();
    await pipeline.settled('public.docs', 'public.pairs');
    expect(reads).toBeGreaterThan(2);
  });
});
