import { expect, it } from 'vitest';
import { describePostgres } from '../../servers/suite.ts';
import { randomFrom } from '../../simulation/random.ts';
import { aroundReads } from './harness-parts.ts';
import { TestPipeline } from './harness.ts';

describePostgres('a snapshot that ends abruptly', (database) => {
  it('goes on with what is left, at whatever chunk it ended', async () => {
    await database.query(
      `CREATE TABLE resumed (a text COLLATE "C", b int, v text, PRIMARY KEY (a, b));
       INSERT INTO resumed SELECT chr(97 + i % 5), i, 'row ' || i FROM generate_series(1, 1000) i; ANALYZE resumed`,
    );
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = randomFrom(seed);
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.resumed'],
      snapshot: { chunkRows: 25, parallel: 3 },
    });
    let left = 0;
    let end = Promise.withResolvers<void>();
    aroundReads(async (_request, read) => {
      // Before the read or after it, which is to say with fewer or more chunks read and not yet published.
      const early = random() < 0.5;
      if (early && --left === 0) end.resolve();
      const chunk = await read();
      if (!early && --left === 0) end.resolve();
      return chunk;
    });
    let crashes = 0;
    for (let done = false; !done;) {
      left = 1 + Math.floor(random() * 8);
      end = Promise.withResolvers<void>();
      await pipeline.start();
      done = await Promise.race([pipeline.consistent().then(() => true), end.promise.then(() => false)]);
      if (done) break;
      await pipeline.crash();
      crashes++;
    }
    await pipeline.settled('public.resumed');
    const events = await pipeline.events('public.resumed');
    // A chunk and the progress that it means are one write: no row is missing, and none was published again.
    expect(events.length, `seed ${seed}`).toBe(1000);
    expect(new Set(events.map(({ key }) => key)).size).toBe(1000);
    expect(crashes).toBeGreaterThan(1);
  });

  it('goes on with what is left after a connection was lost', async () => {
    await database.query(
      `CREATE TABLE reconnected (id int PRIMARY KEY, v text); INSERT INTO reconnected SELECT i, 'row' FROM generate_series(1, 600) i; ANALYZE reconnected`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.reconnected'],
      snapshot: { chunkRows: 25, parallel: 2 },
    });
    let reads = 0;
    const purposes = ['snapshot', 'stream', 'control'];
    aroundReads(async (_request, read) => {
      if (++reads % 6 === 0 && purposes.length > 0) {
        await database.query(`UPDATE reconnected SET v = v || '!' WHERE id % 50 = ${reads % 50}`);
        await database.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tidemark shop ${String(purposes.shift())}'`,
        );
      }
      return read();
    });
    await pipeline.start();
    await pipeline.settled('public.reconnected');
    expect(purposes).toEqual([]);
    expect(pipeline.reports.filter(({ type }) => type === 'snapshot.started').length).toBe(1);
  });

  it('begins a re-read where it ended, and still deletes what is gone', async () => {
    await database.query(
      `CREATE TABLE reread (id int PRIMARY KEY, v text); INSERT INTO reread SELECT i, 'row' FROM generate_series(1, 200) i; ANALYZE reread`,
    );
    const pipeline = await TestPipeline.create({
      url: database.url,
      tables: ['public.reread'],
      snapshot: { chunkRows: 10, parallel: 2 },
    });
    await pipeline.start();
    await pipeline.settled('public.reread');
    await database.query(`ALTER PUBLICATION ${pipeline.slot} SET (publish = 'insert')`);
    await database.query(`DELETE FROM reread WHERE id % 3 = 0; UPDATE reread SET v = 'unseen' WHERE id % 5 = 0`);
    await database.query(`ALTER PUBLICATION ${pipeline.slot} SET (publish = 'insert, update, delete, truncate')`);
    await pipeline.reached(await pipeline.source.currentPosition());
    const end = Promise.withResolvers<void>();
    let reads = 0;
    aroundReads(async (_request, read) => {
      if (++reads === 8) {
        await database.query(
          `UPDATE reread SET v = 'meanwhile' WHERE id % 7 = 0; DELETE FROM reread WHERE id % 11 = 0; INSERT INTO reread VALUES (3, 'again'), (1000, 'new')`,
        );
        end.resolve();
      }
      return read();
    });
    const asked = pipeline.source.snapshot('shop.public.reread').catch(() => undefined);
    await end.promise;
    await pipeline.crash();
    await database.query(
      `UPDATE reread SET v = 'while away' WHERE id IN (1, 2, 4); DELETE FROM reread WHERE id IN (5, 7, 8)`,
    );
    await pipeline.start();
    await pipeline.settled('public.reread');
    void asked;
  });
});
