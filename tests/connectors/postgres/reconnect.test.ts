import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../base/clock.ts';
import { Replication } from '../../../connectors/postgres/replication.ts';
import { lsn } from '../../../model/position.ts';
import { until } from '../../servers/process.ts';
import { connectTo, describePostgresServer } from '../../servers/suite.ts';
import { TcpProxy } from '../../simulation/tcp-proxy.ts';
import { TestPipeline } from './harness.ts';

/** While the network swallows bytes: found out soon. A machine that is busy with other things may never be as fast as this. */
const impatient = { connectMs: 500, queryMs: 1_000, pingAfterMs: 200, silentMaxMs: 800 };
/** While the network works: what is slow is not given up. */
const patient = { connectMs: 15_000, queryMs: 15_000, pingAfterMs: 200, silentMaxMs: 15_000 };

/** Writes transactions of two rows one after the other, through whatever happens to its connection, until it is stopped. */
class Load {
  /** Transactions whose COMMIT was answered. */
  committed = 0;
  #stopped = false;
  readonly #done: Promise<void>;

  constructor(url: string) {
    this.#done = this.#run(url);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #run(url: string): Promise<void> {
    let client: Client | null = null;
    for (let round = 0; !this.#stopped; round++) {
      try {
        client ??= await connectTo(url);
        await client.query(
          `BEGIN; INSERT INTO pairs (note) VALUES (${round}), (${round}); UPDATE pairs SET note = note + 1 WHERE id % 50 = ${round % 50}; DELETE FROM pairs WHERE id % 97 = ${round % 97}; COMMIT`,
        );
        this.committed++;
      } catch {
        await client?.end().catch(() => undefined);
        client = null;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    await client?.end().catch(() => undefined);
  }
}

describePostgresServer('a source whose connection fails', {}, (server) => {
  let admin: Client;

  beforeAll(async () => {
    admin = await connectTo(server().url());
    await admin.query(`CREATE TABLE pairs (id serial PRIMARY KEY, note int)`);
  });
  afterAll(async () => admin?.end());

  let load: Load;
  beforeEach(() => {
    load = new Load(server().url());
  });
  afterEach(async () => load.stop());

  async function moreCommits(count: number): Promise<void> {
    const from = load.committed;
    await until('the load to go on', () => load.committed >= from + count);
  }

  /** Everything is there, each transaction once: their ids in the log do not repeat over different numbers. */
  async function whole(pipeline: TestPipeline): Promise<void> {
    await load.stop();
    await pipeline.settled('public.pairs');
    const seqOfTransaction = new Map<string, number>();
    for (const { txId, seq, snapshot } of await pipeline.events('public.pairs')) {
      if (snapshot) continue;
      expect(seqOfTransaction.get(txId) ?? seq).toBe(seq);
      seqOfTransaction.set(txId, seq);
    }
    await pipeline.stop();
  }

  it('goes on after its walsender, or all of its connections, were ended again and again under load', async () => {
    const pipeline = await TestPipeline.started({ url: server().url(), tables: ['public.pairs'] });
    for (let round = 0; round < 4; round++) {
      await moreCommits(20);
      const which =
        round % 2 === 0 ? `application_name LIKE 'tidemark shop stream'` : `application_name LIKE 'tidemark shop%'`;
      let connected = 0;
      // The source tells that it is connected before it has begun to stream.
      await until('connections that can be ended', async () => {
        // Counted before: the source may be back by the time that the query's answer is.
        connected = pipeline.reports.filter(({ type }) => type === 'source.connected').length;
        const ended = await admin.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${which} AND EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'tidemark shop stream')`,
        );
        return ended.rows.length > 0;
      });
      await pipeline.until(
        'a new connection',
        () => pipeline.reports.filter(({ type }) => type === 'source.connected').length > connected,
      );
    }
    await whole(pipeline);
  });

  for (const mode of ['fast', 'immediate'] as const) {
    it(`goes on after the server was restarted (${mode})`, async () => {
      const pipeline = await TestPipeline.started({ url: server().url(), tables: ['public.pairs'] });
      await moreCommits(20);
      await server().shutDown(mode);
      await pipeline.until('the source to notice', () => pipeline.source.status().error?.code === 'SOURCE_UNREACHABLE');
      await server().start();
      await moreCommits(20);
      await whole(pipeline);
      admin = await connectTo(server().url());
    });
  }

  for (const directions of [['up', 'down'], ['up'], ['down']] as const) {
    it(`goes on after a network that swallowed bytes ${directions.join(' and ')} without closing anything`, async () => {
      const proxy = await TcpProxy.start(server().port);
      const pipeline = await TestPipeline.create({ url: server().url(), tables: ['public.pairs'] });
      // The source looks at these whenever it begins to wait: what it has begun when the network fails is impatient already.
      const timeouts = { ...patient };
      pipeline.options = { ...pipeline.options, url: proxy.through(server().url()), timeouts };
      await pipeline.start();
      await pipeline.consistent();
      Object.assign(timeouts, impatient);
      await moreCommits(10);
      proxy.stall(...directions);
      await pipeline.until('the source to notice', () => pipeline.source.status().error?.code === 'SOURCE_UNREACHABLE');
      await moreCommits(10);
      Object.assign(timeouts, patient);
      proxy.resume();
      await whole(pipeline);
      await proxy.stop();
    });
  }

  it('goes on after connections were cut in the middle of messages, also while it reads a table', async () => {
    await admin.query(
      `CREATE TABLE IF NOT EXISTS filled (id int PRIMARY KEY, body text); INSERT INTO filled SELECT g, repeat('x', 500) FROM generate_series(1, 5000) g`,
    );
    const proxy = await TcpProxy.start(server().port);
    const pipeline = await TestPipeline.create({ url: server().url(), tables: ['public.pairs', 'public.filled'] });
    pipeline.options = {
      ...pipeline.options,
      url: proxy.through(server().url()),
      timeouts: patient,
      snapshot: { chunkRows: 500 },
    };
    proxy.cutAfter('down', 300_001);
    await pipeline.launch();
    for (let round = 1; round <= 5; round++) {
      const { accepted } = proxy;
      await pipeline.until('a cut, and new connections', () => proxy.accepted > accepted + 2);
      proxy.cutAfter('down', round * 40_003);
    }
    proxy.resume();
    await load.stop();
    await pipeline.settled('public.filled');
    await whole(pipeline);
    await proxy.stop();
  });

  it('outlives a server that ends the stream in one breath with its greeting', async () => {
    const proxy = await TcpProxy.start(server().port);
    const target = {
      name: 'greeted',
      url: proxy.through(server().url()),
      slot: 'none',
      publication: 'none',
      tables: [],
      timeouts: patient,
    };
    proxy.stall('down');
    const handler = { message: () => undefined, keepalive: () => undefined, idle: () => undefined };
    const replication = new Replication(target, systemClock, handler, lsn(0n));
    const ended = replication
      .run(lsn(0n), { protocol: 1, publications: ['none'] }, new AbortController().signal)
      .catch((error: unknown) => error);
    const walsenders = `FROM pg_stat_activity WHERE application_name = 'tidemark greeted stream'`;
    await until('the walsender', async () => (await admin.query(`SELECT pid ${walsenders}`)).rows.length > 0);
    await until('the walsender to end', async () => {
      await admin.query(`SELECT pg_terminate_backend(pid) ${walsenders}`);
      return (await admin.query(`SELECT pid ${walsenders}`)).rows.length === 0;
    });
    proxy.resume();
    expect(await ended).toMatchObject({ code: 'SOURCE_UNREACHABLE' });
    await proxy.stop();
  });

  it('goes on when nobody answered for a while at its start', async () => {
    const proxy = await TcpProxy.start(server().port);
    const pipeline = await TestPipeline.create({ url: server().url(), tables: ['public.pairs'] });
    const timeouts = { ...impatient };
    pipeline.options = { ...pipeline.options, url: proxy.through(server().url()), timeouts };
    proxy.stall();
    await pipeline.launch();
    await pipeline.until('the source to complain', () => pipeline.source.status().error?.code === 'SOURCE_UNREACHABLE');
    Object.assign(timeouts, patient);
    proxy.resume();
    proxy.cut({ refuse: true });
    const before = pipeline.reports.length;
    await pipeline.until('the source to complain again', () => pipeline.reports.length > before);
    proxy.resume();
    await whole(pipeline);
    await proxy.stop();
  });
});
