import type { Client } from 'pg';
import { TidemarkError } from '../../base/errors.ts';
import { backoffMs } from '../../base/retry.ts';
import type { LogWriter } from '../../model/log.ts';
import { formatLsn, lsn } from '../../model/position.ts';
import type { Lsn } from '../../model/position.ts';
import type { SnapshotStatus, Source, SourceReader, SourceStatus } from '../../model/source.ts';
import { catchUp } from './catch-up.ts';
import type { PostgresOptions } from './options.ts';
import { openPipeline } from './pipeline.ts';
import type { Pipeline } from './pipeline.ts';
import { lookAtCatalog, prepare } from './prepare.ts';
import { publicationNames } from './publication.ts';
import { Replication } from './replication.ts';
import { connect, destroy, queryOf, sourceError } from './session.ts';
import type { Query } from './session.ts';
import { checkSlot, currentSnapshot, insertPosition, readServer, readSlot } from './slot.ts';
import { TableReader } from './table-reader.ts';
import type { ServerFacts, SlotWait } from './slot.ts';

const retryFirstMs = 250;
/** Every so many beats (seconds) a restart's starting point is written down. */
const visibleBeats = 5;

/** PostgreSQL 13+ by logical replication (docs/postgres.md). */
export class PostgresSource implements Source {
  readonly type = 'postgres';
  readonly name: string;
  readonly #options: PostgresOptions;
  #control: Client | null = null;
  #server: ServerFacts | null = null;
  #pipeline: Pipeline | null = null;
  #error: TidemarkError | null = null;
  #lagBytes: number | null = null;
  /** Whom the making of the slot waits for. */
  #waitingFor: string | null = null;
  #caughtUpMs: number | null = null;
  #stopping = new AbortController();
  /** Looks at the catalog, as the heartbeat does; null while there is no connection. */
  #look: (() => Promise<void>) | null = null;
  /** Aborted when the present connection ends. */
  #connection: AbortSignal = this.#stopping.signal;

  constructor(options: PostgresOptions) {
    this.#options = options;
    this.name = options.name;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { report, clock, random, log } = this.#options;
    let writer: LogWriter | null = null;
    try {
      writer = await log.writer(this.name);
      for (let attempt = 0; !signal.aborted;) {
        const started = clock.monotonic();
        try {
          await this.#session(writer, signal);
        } catch (error) {
          if (signal.aborted) break;
          const known = sourceError(error, this.name);
          this.#error = known;
          if (!isTransient(known)) throw known;
          if (clock.monotonic() - started > 30_000) attempt = 0;
          const waitMs = backoffMs(attempt++, retryFirstMs, random);
          report({ type: 'source.retrying', source: this.name, error: known, attempt, waitMs });
          await clock.sleep(waitMs, signal).catch(() => {});
        }
      }
    } finally {
      await this.#close();
      await writer?.close();
    }
  }

  status(): SourceStatus {
    const { log } = this.#options;
    const frontier = log.frontier(this.name);
    const snapshot = this.#pipeline?.snapshotter.status() ?? emptySnapshot(log.state(this.name));
    const state = log.state(this.name);
    const topics = this.#pipeline?.tables.all.map(({ topic }) => topic) ?? null;
    const consistent =
      topics === null
        ? frontier.seq > 0 && snapshot.state === 'done'
        : // A job that has just begun may not be in the log's state yet.
          topics.every(
            (topic) => state.has(`consistent:${topic}`) && this.#pipeline?.snapshotter.jobs.has(topic) !== true,
          );
    return {
      name: this.name,
      type: this.type,
      position: frontier.position,
      lagBytes: this.#lagBytes,
      lagSeconds: this.#lagSeconds(),
      snapshot: this.#waitingFor === null ? snapshot : { ...snapshot, waitingFor: this.#waitingFor },
      consistent,
      error: this.#error === null ? null : errorStatus(this.#error),
    };
  }

  /** Making the slot waits for every transaction that runs: says whose, in status and once in the log. */
  #slotWait(signal: AbortSignal): SlotWait {
    return {
      signal,
      for: (sessions) => {
        if (sessions !== null && this.#waitingFor === null) {
          const message = `making slot ${this.#options.slot} waits for ${sessions}`;
          this.#options.report({ type: 'source.notice', source: this.name, message });
        }
        this.#waitingFor = sessions;
      },
    };
  }

  /** Since when the source's commits are not all here: 0 when they were at the last look. */
  #lagSeconds(): number | null {
    if (this.#caughtUpMs === null) return null;
    return this.#lagBytes === 0 ? 0 : Math.max(0, (this.#options.clock.now() - this.#caughtUpMs) / 1000);
  }

  async currentPosition(): Promise<string> {
    const client = await connect(this.#options, 'position');
    try {
      const query = queryOf(client, this.#options);
      this.#server ??= await readServer(this.#options, query);
      // A table that was swapped under its name before the call is known to be before the position is.
      await this.#look?.().catch((error: unknown) => this.#lookFailed(error));
      const position = formatLsn(await insertPosition(query, this.#server));
      this.#pipeline?.pump.want(position);
      return position;
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** What ends the connection's life there is told by `run` and `status`. */
  #lookFailed(error: unknown): void {
    const known = sourceError(error, this.name);
    if (!isTransient(known)) throw known;
  }

  reader(): SourceReader {
    const { name, log, clock } = this.#options;
    const context = { target: this.#options, query: this.#query, server: () => this.#facts(), clock };
    return new TableReader({ ...context, state: () => log.state(name), pipeline: () => this.#connected() });
  }

  /** The pipeline, once there has been a connection. */
  #connected(): Pipeline {
    if (this.#pipeline !== null) return this.#pipeline;
    const place = { source: this.name };
    throw this.#error ?? new TidemarkError('SOURCE_UNREACHABLE', `source ${this.name} is not connected yet`, { place });
  }

  async snapshot(topic: string, where?: string): Promise<void> {
    const pipeline = this.#connected();
    if (pipeline.tables.captured(topic) === undefined) {
      throw new TidemarkError('TABLE_UNKNOWN', `source ${this.name} does not capture a table ${topic}`, {
        place: { source: this.name, table: topic },
      });
    }
    const job = pipeline.snapshotter.begin(topic, { reread: true, where: where ?? null, barrier: [] });
    pipeline.pump.want(formatLsn(lsn(pipeline.decoder.position + 1n)));
    await job.done.promise;
  }

  /** One connection's life: prepares what is missing, then streams until the connection fails or the signal is aborted. */
  async #session(writer: LogWriter, signal: AbortSignal): Promise<void> {
    const control = await connect(this.#options, 'control');
    this.#control = control;
    const query = queryOf(control, this.#options);
    try {
      const server = await readServer(this.#options, query);
      this.#server = server;
      const pipeline = (this.#pipeline ??= await openPipeline(this.#options, writer, {
        query: this.#query,
        server: () => this.#facts(),
        signal: () => this.#connection,
      }));
      const position = await prepare(pipeline, this.#options, { server, query, wait: this.#slotWait(signal) });
      pipeline.window.saw(await currentSnapshot(query));
      await this.#stream(pipeline, server, query, position, signal);
    } finally {
      this.#control = null;
      destroy(control);
    }
  }

  async #stream(
    pipeline: Pipeline,
    server: ServerFacts,
    query: Query,
    position: Lsn,
    signal: AbortSignal,
  ): Promise<void> {
    const { report } = this.#options;
    const ended = new AbortController();
    const both = AbortSignal.any([signal, ended.signal, this.#stopping.signal]);
    this.#connection = both;
    // What was handed to the log before the connection broke may still be on its way to the disk.
    await pipeline.writer.durable();
    pipeline.pump.begin();
    report({
      type: 'source.connected',
      source: this.name,
      server: `PostgreSQL ${Math.floor(server.version / 10_000)}`,
      position: formatLsn(position),
    });
    this.#error = null;
    let looking: Promise<void> = Promise.resolve();
    const look = async (): Promise<void> => {
      // One after the other: a look of before must not undo what a later one did to the publications.
      looking = looking.catch(() => {}).then(async () => lookAtCatalog(pipeline, this.#options, query));
      return looking;
    };
    this.#look = look;
    const work = [
      this.#follow(pipeline, server, position, both),
      pipeline.snapshotter.run(both),
      this.#heartbeat(pipeline, query, look, both),
    ];
    try {
      await Promise.race(work);
    } finally {
      this.#look = null;
      ended.abort();
      await Promise.allSettled(work);
      pipeline.pump.detach();
      await pipeline.decoder.reset();
    }
  }

  /** Works off a backlog, then streams. */
  async #follow(pipeline: Pipeline, server: ServerFacts, from: Lsn, signal: AbortSignal): Promise<void> {
    const { pump } = pipeline;
    const position = await catchUp(this.#options, pipeline, server, from, signal);
    const replication = new Replication(this.#options, this.#options.clock, pump, position);
    pump.attach(replication);
    const protocol = server.version >= 160_000 ? 4 : server.version >= 140_000 ? 2 : 1;
    await replication.run(position, { protocol, publications: publicationNames(this.#options) }, signal);
  }

  /** Looks at what the stream does not tell: lag, the slot's health, the catalog, and which transactions reads see. */
  async #heartbeat(pipeline: Pipeline, query: Query, look: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, heartbeatMs, report } = this.#options;
    const { tables, window, snapshotter, decoder } = pipeline;
    for (let beat = 0; !signal.aborted; beat++) {
      await clock.sleep(Math.min(1_000, heartbeatMs), signal).catch(() => {});
      if (signal.aborted) return;
      window.saw(await currentSnapshot(query));
      if (beat % visibleBeats === 0) pipeline.pump.noteVisible();
      const head = await insertPosition(query, this.#facts());
      this.#lagBytes = Number(head > decoder.position ? head - decoder.position : 0n);
      if (this.#lagBytes === 0) this.#caughtUpMs = clock.now();
      else if (decoder.commitTimeMs > 0) this.#caughtUpMs = Math.max(this.#caughtUpMs ?? 0, decoder.commitTimeMs);
      for (const counts of tables.takeCounts())
        report({
          type: 'source.changes',
          source: this.name,
          table: counts.topic,
          create: counts.create,
          update: counts.update,
          delete: counts.delete,
          read: 0,
        });
      const due = beat % Math.max(1, Math.round(heartbeatMs / 1_000)) === 0;
      // Others have seen a change of the catalog, and cannot act on it.
      if (due || tables.differs || snapshotter.hasUnplanned) await look();
      if (!due) continue;
      const slot = await readSlot(this.#options, query);
      if (slot.kind !== 'usable') checkSlot(this.#options, slot, decoder.position);
      if (slot.kind === 'usable' && slot.walStatus === 'unreserved') {
        report({
          type: 'source.notice',
          source: this.name,
          message: `the server is about to remove WAL that slot ${this.#options.slot} still needs`,
          hint: 'Raise max_slot_wal_keep_size, or find out what holds tidemark up.',
        });
      }
    }
  }

  /** Questions to whatever control connection there is at the moment. */
  readonly #query: Query = async (sql, values) => {
    const control = this.#control;
    if (control === null)
      throw new TidemarkError('SOURCE_UNREACHABLE', 'there is no connection to PostgreSQL at the moment', {
        place: { source: this.name },
      });
    return queryOf(control, this.#options)(sql, values);
  };

  #facts(): ServerFacts {
    if (this.#server === null) throw new TidemarkError('INTERNAL', 'the server has not been asked yet');
    return this.#server;
  }

  async #close(): Promise<void> {
    this.#stopping.abort();
    const pipeline = this.#pipeline;
    if (pipeline === null) return;
    for (const job of pipeline.snapshotter.jobs.values()) {
      const message = `source ${this.name} has stopped; the snapshot of ${job.topic} goes on when it runs again`;
      job.done.reject(
        new TidemarkError('SOURCE_UNREACHABLE', message, { place: { source: this.name, table: job.topic } }),
      );
    }
    const durable = await pipeline.writer.durable().catch(() => null);
    if (durable !== null) await pipeline.largeValues.settle(durable.seq).catch(() => {});
    await pipeline.largeValues.close();
    await pipeline.reader.close();
  }
}

/** Errors after which trying again can help without anybody doing something. */
function isTransient(error: TidemarkError): boolean {
  return error.code === 'SOURCE_UNREACHABLE' || error.code === 'SLOTS_EXHAUSTED' || error.code === 'SLOT_IN_USE';
}

function errorStatus(error: TidemarkError): NonNullable<SourceStatus['error']> {
  return { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
}

function emptySnapshot(state: ReadonlyMap<string, string>): SnapshotStatus {
  const running = [...state.keys()].some((name) => name.startsWith('snapshot:'));
  return {
    state: running ? 'running' : 'done',
    rows: 0,
    rowsEstimated: 0,
    chunksLeft: 0,
    rowsPerSecond: 0,
    waitingFor: null,
    tables: [],
  };
}
