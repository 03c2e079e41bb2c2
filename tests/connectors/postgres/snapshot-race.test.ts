import { expect, it } from 'vitest';
import { describePostgresServer } from '../../servers/suite.ts';
import { Gate, aroundReads } from './harness-parts.ts';
import { TestPipeline } from './harness.ts';
import { commitInvisibly, invisibleCommits } from './invisible.ts';

/** Rows `id`, `v` of a topic as the log has them. */
const logged = async (pipeline: TestPipeline, topic: string): Promise<Record<string, string | null>> =>
  Object.fromEntries([...(await pipeline.replay(topic)).values()].map((row) => [row.get(1), row.get(2) ?? null]));

/** Waits until the log holds what the table's newest invisible commit made of it. */
const streamed = async (pipeline: TestPipeline, topic: string, xid: string): Promise<void> => {
  await pipeline.until(`transaction ${xid} in the log`, async () =>
    (await pipeline.events(topic)).some(({ txId }) => txId === xid),
  );
};

const change = (table: string): string =>
  `UPDATE ${table} SET v = 'new' WHERE id = 1; DELETE FROM ${table} WHERE id = 2; UPDATE ${table} SET id = 30 WHERE id = 3; INSERT INTO ${table} VALUES (5, 'new')`;
const changed = { '1': 'new', '4': 'old', '5': 'new', '30': 'old' };

/** PostgreSQL streams a commit before queries see it: a read that begins afterwards may still show the old row. */
describePostgresServer('a commit that is streamed before it is visible', invisibleCommits, (server) => {
  const withRows = async (table: string, count = 4): Promise<TestPipeline> => {
    const pipeline = await TestPipeline.create({
      url: server().url(),
      tables: [`public.${table}`],
      snapshot: { chunkRows: 2, parallel: 1 },
    });
    await pipeline.query(
      `CREATE TABLE ${table} (id int PRIMARY KEY, v text); INSERT INTO ${table} SELECT i, 'old' FROM generate_series(1, ${count}) i`,
    );
    return pipeline;
  };

  it('is not undone by the first snapshot', async () => {
    const pipeline = await withRows('first');
    const gate = new Gate();
    const seen: (string | undefined)[] = [];
    aroundReads(async (_request, read) => {
      await gate.pass();
      const chunk = await read();
      seen.push(chunk.low.text);
      return chunk;
    });
    await pipeline.start();
    await gate.arrived;
    const invisible = await commitInvisibly(server().url(), change('first'));
    await streamed(pipeline, 'public.first', invisible.xid);
    gate.open();
    await pipeline.consistent();
    // The database still shows the old rows to every query; the log must not.
    expect(await pipeline.query(`SELECT count(*) FROM first WHERE v = 'old'`)).toEqual([{ count: '4' }]);
    expect(await logged(pipeline, 'public.first')).toEqual(changed);
    expect(seen.length).toBeGreaterThan(1);
    await invisible.release();
    await pipeline.settled('public.first');
  });

  it('would be undone if a position in the log said what a read sees (negative control)', async () => {
    const pipeline = await withRows('naive');
    const gate = new Gate();
    // LOW as a log position: everything that was streamed before the read began is taken to be seen by it.
    aroundReads(async (_request, read) => {
      await gate.pass();
      return { ...(await read()), low: { includes: () => true, text: 'everything before a position' } };
    });
    await pipeline.start();
    await gate.arrived;
    const invisible = await commitInvisibly(server().url(), change('naive'));
    await streamed(pipeline, 'public.naive', invisible.xid);
    gate.open();
    await pipeline.consistent();
    expect(await logged(pipeline, 'public.naive')).toEqual({
      '1': 'old',
      '2': 'old',
      '3': 'old',
      '4': 'old',
      '5': 'new',
      '30': 'old',
    });
    await invisible.release();
    await pipeline.caughtUp();
    await expect(pipeline.expectEqual('public.naive')).rejects.toThrow(/expected/);
  });

  it('is not undone when its table is added to a stream that runs', async () => {
    const pipeline = await withRows('later');
    await pipeline.query(`CREATE TABLE other (id int PRIMARY KEY)`);
    const all = pipeline.options;
    pipeline.options = { ...all, tables: ['public.other'] };
    await pipeline.start();
    await pipeline.caughtUp();
    await pipeline.stop();
    pipeline.options = { ...all, tables: ['public.other', 'public.later'] };
    const gate = new Gate();
    aroundReads(async (request, read) => {
      if (request.topic === 'shop.public.later') await gate.pass();
      return read();
    });
    await pipeline.start();
    await gate.arrived;
    const invisible = await commitInvisibly(server().url(), change('later'));
    await streamed(pipeline, 'public.later', invisible.xid);
    gate.open();
    await pipeline.consistent();
    expect(await logged(pipeline, 'public.later')).toEqual(changed);
    await invisible.release();
    await pipeline.settled('public.later');
  });

  it('is not undone by a re-read that begins after it, nor taken for a ghost', async () => {
    const pipeline = await withRows('again');
    await pipeline.start();
    await pipeline.settled('public.again');
    const invisible = await commitInvisibly(server().url(), change('again'));
    await streamed(pipeline, 'public.again', invisible.xid);
    // Visible transactions follow, so that the invisible one is not the newest.
    await pipeline.query(`INSERT INTO again VALUES (6, 'later'); UPDATE again SET v = 'later' WHERE id = 4`);
    await pipeline.reached(await pipeline.source.currentPosition());
    await pipeline.source.snapshot('shop.public.again');
    const wanted = { ...changed, '4': 'later', '6': 'later' };
    expect(await logged(pipeline, 'public.again')).toEqual(wanted);
    await invisible.release();
    await pipeline.settled('public.again');
    await pipeline.source.snapshot('shop.public.again');
    await pipeline.settled('public.again');
    expect(await logged(pipeline, 'public.again')).toEqual(wanted);
  });

  it('is not undone by a TRUNCATE that is not visible either', async () => {
    const pipeline = await withRows('cut');
    const gate = new Gate();
    aroundReads(async (request, read) => {
      if (request.range.after !== null) await gate.pass();
      return read();
    });
    await pipeline.start();
    await gate.arrived;
    // A TRUNCATE keeps its lock until it is visible: the read waits for it, and sees it then.
    const invisible = await commitInvisibly(server().url(), `TRUNCATE cut; INSERT INTO cut VALUES (4, 'new')`);
    await streamed(pipeline, 'public.cut', invisible.xid);
    gate.open();
    await invisible.release();
    await pipeline.settled('public.cut');
  });

  it.each(['crash', 'stop'] as const)('is not undone after a %s, from the log alone', async (end) => {
    const table = `again_${end}`;
    const pipeline = await withRows(table, 8);
    let gate = new Gate();
    const seen: string[] = [];
    aroundReads(async (request, read, signal) => {
      if (request.range.after !== null) {
        const stopped = new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => resolve(), { once: true }),
        );
        await Promise.race([gate.pass(), stopped]);
      }
      const chunk = await read();
      seen.push(...(request.range.after ?? []));
      return chunk;
    });
    await pipeline.start();
    await gate.arrived;
    const invisible = await commitInvisibly(
      server().url(),
      `UPDATE ${table} SET v = 'new' WHERE id IN (2, 3, 8); DELETE FROM ${table} WHERE id = 5`,
    );
    await streamed(pipeline, `public.${table}`, invisible.xid);
    // Later transactions, and what they leave behind in marks, must not hide it.
    await pipeline.query(`INSERT INTO ${table} VALUES (100, 'later')`);
    await pipeline.reached(await pipeline.source.currentPosition());
    for (let round = 0; round < 3; round++) {
      await (end === 'crash' ? pipeline.crash() : pipeline.stop());
      gate = new Gate();
      await pipeline.start();
      await gate.arrived;
      await pipeline.reached(await pipeline.source.currentPosition());
    }
    gate.open();
    await pipeline.consistent();
    const wanted = {
      '1': 'old',
      '2': 'new',
      '3': 'new',
      '4': 'old',
      '6': 'old',
      '7': 'old',
      '8': 'new',
      '100': 'later',
    };
    expect(await logged(pipeline, `public.${table}`)).toEqual(wanted);
    expect(seen).toContain('2');
    await invisible.release();
    await pipeline.settled(`public.${table}`);
  });

  it('is not undone after a crash, when the log was compacted over it', async () => {
    const pipeline = await withRows('compacted', 8);
    pipeline.options = { ...pipeline.options, segmentBytes: 4_096 };
    let gate = new Gate();
    aroundReads(async (request, read, signal) => {
      if (request.range.after !== null) {
        const stopped = new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => resolve(), { once: true }),
        );
        await Promise.race([gate.pass(), stopped]);
      }
      return read();
    });
    await pipeline.start();
    await gate.arrived;
    const invisible = await commitInvisibly(
      server().url(),
      `UPDATE compacted SET v = 'new' WHERE id IN (2, 3, 8); DELETE FROM compacted WHERE id = 5`,
    );
    await streamed(pipeline, 'public.compacted', invisible.xid);
    await pipeline.query(`INSERT INTO compacted SELECT i, repeat('filler', 100) FROM generate_series(100, 120) i`);
    await pipeline.query(`DELETE FROM compacted WHERE id >= 100`);
    await pipeline.reached(await pipeline.source.currentPosition());
    await pipeline.log.compact('shop');
    const topics = await pipeline.log.topics();
    expect(topics[0]?.compactedSeq).toBeGreaterThan(1);
    await pipeline.crash();
    gate = new Gate();
    gate.open();
    await pipeline.start();
    await pipeline.until('the snapshot to wait', () => pipeline.source.status().snapshot.waitingFor !== null);
    await invisible.release();
    await pipeline.settled('public.compacted');
  });

  it('makes reads wait for it when its keys no longer fit in memory', async () => {
    const pipeline = await withRows('huge');
    pipeline.options = { ...pipeline.options, snapshot: { chunkRows: 100_000, parallel: 1 } };
    const gate = new Gate();
    let reads = 0;
    aroundReads(async (_request, read) => {
      await gate.pass();
      reads++;
      return read();
    });
    await pipeline.start();
    await gate.arrived;
    const invisible = await commitInvisibly(
      server().url(),
      `UPDATE huge SET v = 'new' WHERE id = 1; INSERT INTO huge SELECT i, 'many' FROM generate_series(1000, 500000) i`,
    );
    await pipeline.until('the large transaction in the log', () => pipeline.log.frontier('shop').seq > 0);
    gate.open();
    await pipeline.until('the snapshot to wait', () => pipeline.source.status().snapshot.waitingFor !== null);
    expect([reads, pipeline.source.status().consistent]).toEqual([1, false]);
    await invisible.release();
    await pipeline.caughtUp();
    const held = await logged(pipeline, 'public.huge');
    expect([Object.keys(held).length, held['1'], held['2']]).toEqual([499_005, 'new', 'old']);
  });
});
