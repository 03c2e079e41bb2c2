import type { Client } from 'pg';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { systemFiles } from '../../../base/files.ts';
import { parseLsn } from '../../../model/position.ts';
import type { Lsn } from '../../../model/position.ts';
import { until } from '../../servers/process.ts';
import { connectTo, describePostgresServer } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

const timeouts = { connectMs: 5_000, queryMs: 10_000, pingAfterMs: 100, silentMaxMs: 10_000 };

/** The disk under the log: while it is held, no fsync ends. */
class SlowDisk {
  #held: PromiseWithResolvers<void> | null = null;

  constructor() {
    const open = systemFiles.open.bind(systemFiles);
    const spy = vi.spyOn(systemFiles, 'open').mockImplementation(async (path, mode) => {
      const file = await open(path, mode);
      const sync = file.sync.bind(file);
      file.sync = async () => {
        await this.#held?.promise;
        await sync();
      };
      return file;
    });
    onTestFinished(() => {
      this.release();
      spy.mockRestore();
    });
  }

  hold(): void {
    this.#held = Promise.withResolvers<void>();
  }

  release(): void {
    this.#held?.resolve();
    this.#held = null;
  }
}

describePostgresServer('the position of a source', {}, (server) => {
  let admin: Client;
  beforeAll(async () => {
    admin = await connectTo(server().url());
    await admin.query('CREATE DATABASE busy');
    await admin.query('CREATE TABLE orders (id serial PRIMARY KEY, note text)');
  });
  afterAll(async () => admin?.end());

  async function lsnOf(sql: string, values: unknown[] = []): Promise<Lsn> {
    const { rows } = await admin.query<{ lsn: string }>(sql, values);
    return parseLsn(rows[0]?.lsn ?? '');
  }

  const confirmed = async (pipeline: TestPipeline): Promise<Lsn> =>
    lsnOf('SELECT confirmed_flush_lsn AS lsn FROM pg_replication_slots WHERE slot_name = $1', [pipeline.slot]);

  /** Waits until our walsender has heard from the source a few times more. */
  async function moreReplies(pipeline: TestPipeline): Promise<void> {
    let last: string | null = null;
    let replies = 0;
    await until('replies to the server', async () => {
      const { rows } = await admin.query<{ at: string | null }>(
        'SELECT reply_time::text AS at FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid WHERE slot_name = $1',
        [pipeline.slot],
      );
      const at = rows[0]?.at ?? null;
      if (at !== null && at !== last) replies++;
      last = at;
      return replies > 4;
    });
  }

  it('is acknowledged to the server only when the log has it on disk, also after a reconnection', async () => {
    const disk = new SlowDisk();
    const pipeline = await TestPipeline.started({ url: server().url(), tables: ['public.orders'], timeouts });
    await pipeline.settled('public.orders');
    // Before the pipeline's own clean-up, which waits for the disk.
    onTestFinished(() => disk.release());
    disk.hold();
    const before = await lsnOf('SELECT pg_current_wal_insert_lsn() AS lsn');
    await admin.query(`INSERT INTO orders (note) VALUES ('held')`);
    const after = await lsnOf('SELECT pg_current_wal_insert_lsn() AS lsn');
    await until('the transaction to be sent', async () => {
      const { rows } = await admin.query<{ sent: string }>('SELECT sent_lsn AS sent FROM pg_stat_replication');
      return rows.some(({ sent }) => parseLsn(sent) >= after);
    });
    await moreReplies(pipeline);
    expect(await confirmed(pipeline)).toBeLessThanOrEqual(before);
    // The next connection begins where the log ends – in memory, that is.
    await admin.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [
      pipeline.slot,
    ]);
    const connections = (): number => pipeline.reports.filter(({ type }) => type === 'source.retrying').length;
    await pipeline.until('the source to lose its connection', () => connections() > 0);
    for (let look = 0; look < 40; look++) {
      expect(await confirmed(pipeline)).toBeLessThanOrEqual(before);
      await admin.query('SELECT pg_sleep(0.02)');
    }
    disk.release();
    await pipeline.settled('public.orders');
    await until('the acknowledgement', async () => (await confirmed(pipeline)) >= after);
    await pipeline.stop();
  });

  it('moves on beside a busy database that has nothing for it, so that the server can let WAL go', async () => {
    const pipeline = await TestPipeline.started({ url: server().url(), tables: ['public.orders'], timeouts });
    await pipeline.caughtUp();
    const { seq } = pipeline.log.frontier('shop');
    const busy = await connectTo(server().url('busy'));
    await busy.query('CREATE TABLE filler (a text)');
    const restart = async (): Promise<Lsn> =>
      lsnOf('SELECT restart_lsn AS lsn FROM pg_replication_slots WHERE slot_name = $1', [pipeline.slot]);
    const [flushed, from] = [await confirmed(pipeline), await restart()];
    await busy.query(`INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 20000)`);
    const written = await lsnOf('SELECT pg_current_wal_lsn() AS lsn');
    expect(written - flushed).toBeGreaterThan(16n * 1024n * 1024n);
    await until('the slot to move on', async () => {
      // What the server has to remember for the slot moves with records that checkpoints write, among others.
      await busy.query('CHECKPOINT');
      return (await confirmed(pipeline)) >= written && (await restart()) > from && (await restart()) >= flushed;
    });
    expect(pipeline.log.frontier('shop').seq).toBe(seq);
    await busy.end();
    await pipeline.stop();
  });

  it('is reached soon on an idle database, also where a page of WAL ends', async () => {
    const pipeline = await TestPipeline.started({ url: server().url(), tables: ['public.orders'], timeouts });
    await pipeline.caughtUp();
    for (const header of [24n, 24n, null]) {
      if (header !== null) {
        await until('the insert position to be right after a page header', async () => {
          const at = await lsnOf('SELECT pg_current_wal_insert_lsn() AS lsn');
          if (at % 8_192n === header) return true;
          // A message's record: its content and about 60 bytes, in steps of 8.
          const left = Number(8_192n - (at % 8_192n));
          const content = left > 300 ? left - 200 : Math.max(0, left - 56 - Math.floor(Math.random() * 24));
          await admin.query(`SELECT pg_logical_emit_message(false, 'p', repeat('x', $1))`, [content]);
          return false;
        });
      }
      const started = performance.now();
      await pipeline.caughtUp();
      expect(performance.now() - started).toBeLessThan(3_000);
    }
    await pipeline.stop();
  });

  it('is reached although another session has written WAL that nobody has flushed', async () => {
    const pipeline = await TestPipeline.started({ url: server().url(), tables: ['public.orders'], timeouts });
    await pipeline.caughtUp();
    const other = await connectTo(server().url());
    await other.query('BEGIN');
    for (let round = 0; round < 5; round++) {
      await other.query(`INSERT INTO orders (note) SELECT 'open' FROM generate_series(1, 20)`);
      const started = performance.now();
      const position = await pipeline.source.currentPosition();
      await pipeline.reached(position);
      expect(performance.now() - started).toBeLessThan(3_000);
    }
    await other.query('COMMIT');
    await pipeline.settled('public.orders');
    await other.end();
    await pipeline.stop();
  });
});
