import { present } from '../base/assert.ts';
import type { ChangeBatch } from '../model/change.ts';
import { ChangeCursor, ChangeWriter } from '../model/change.ts';
import { pieceBytesMax } from '../base/constants.ts';
import { writeDeleteOf } from '../model/tombstone.ts';
import type { Job } from './job.ts';
import { rewind, storeJob } from './job.ts';
import type { IncompleteKeys } from './incomplete.ts';
import type { SnapshotOptions, WaitingChunk } from './options.ts';
import type { StateChanges } from './state-changes.ts';
import type { Displacement } from './window.ts';
import { withoutKeys } from './window.ts';

/** What the publisher shares with the snapshotter. */
interface SharedState {
  readonly changes: StateChanges;
  readonly incomplete: IncompleteKeys;
  readonly jobs: Map<string, Job>;
}

/** Puts chunks into the log, each as one commit together with the progress that it means. */
export class Publisher {
  readonly #options: SnapshotOptions;
  readonly #snapshotter: SharedState;

  constructor(options: SnapshotOptions, snapshotter: SharedState) {
    this.#options = options;
    this.#snapshotter = snapshotter;
  }

  async publish(waiting: WaitingChunk, position: string, timeMs: number): Promise<void> {
    const { window, keyless } = this.#options;
    const { task, chunk } = waiting;
    const { job } = task;
    const displaced = window.displacement(job.topic, chunk.low);
    if (!chunk.stable || (displaced.kind === 'unknown' && task.kind !== 'whole')) {
      if (displaced.kind === 'unknown') job.barrier = [...job.barrier, displaced.txId];
      if (task.kind === 'range') rewind(task.range);
      if (task.kind === 'whole') {
        await task.rows.discard();
        job.wholeRead = false;
      }
      return;
    }
    if (task.kind === 'whole') {
      job.rows = await keyless.publish(job.topic, task.rows, chunk.low);
      job.ranges = [];
    } else if (task.kind === 'range') {
      await this.#appendRows(job.topic, chunk.batches, displaced);
      task.range.waiting--;
      task.range.after = chunk.lastKey;
      if (chunk.lastKey === null) job.ranges = job.ranges?.filter((range) => range !== task.range) ?? [];
      job.rows += chunk.rows;
    } else {
      await this.#appendKeys(waiting, task.keys, displaced);
    }
    if (this.#isCurrent(job)) this.#snapshotter.changes.set(`snapshot:${job.topic}`, storeJob(job));
    this.#commit(position, timeMs);
    this.#reportRows(job.topic, chunk.rows);
  }

  /** Ends a job whose last chunk is published: deletes what it did not see, and declares the topic consistent. */
  async finish(job: Job, position: string, timeMs: number): Promise<void> {
    const { writer, report, stream } = this.#options;
    const { changes, jobs } = this.#snapshotter;
    if (job.ghostsBefore !== null && job.ghostsBefore > 0) await this.#deleteGhosts(job.topic, job.ghostsBefore);
    const seq = writer.last.seq + 1;
    const current = this.#isCurrent(job);
    if (current) {
      jobs.delete(job.topic);
      changes.set(`snapshot:${job.topic}`, null);
      changes.set(`consistent:${job.topic}`, JSON.stringify({ seq }));
    }
    this.#commit(position, timeMs);
    await writer.durable();
    if (!current) return;
    report({ type: 'snapshot.done', source: stream, table: job.topic, rows: job.rows, seq });
    job.done.resolve();
  }

  /** Whether the job has not been begun anew, or cancelled, while its rows were being written. */
  #isCurrent(job: Job): boolean {
    return this.#snapshotter.jobs.get(job.topic) === job;
  }

  #commit(position: string, timeMs: number): void {
    const state = this.#snapshotter.changes.take();
    const seq = this.#options.writer.commit({
      position,
      commitTimeMs: timeMs,
      snapshot: true,
      txId: '',
      ...(state ? { state } : {}),
    });
    this.#options.committed(seq);
  }

  async #appendRows(topic: string, batches: readonly ChangeBatch[], displaced: Displacement): Promise<void> {
    const { writer } = this.#options;
    const { incomplete } = this.#snapshotter;
    if (displaced.kind === 'all') return;
    for (const batch of batches) {
      const kept = displaced.kind === 'keys' ? withoutKeys(batch, displaced.keys) : batch;
      if (kept.count === 0) continue;
      if (incomplete.has(topic)) this.#resolve(topic, kept);
      writer.append(kept);
      this.#options.appended(topic, kept);
      await writer.drained();
    }
  }

  #resolve(topic: string, batch: ChangeBatch): void {
    const cursor = new ChangeCursor().reset(batch.bytes);
    while (cursor.next()) {
      this.#snapshotter.incomplete.resolve(topic, cursor.bytes.toString('latin1', cursor.keyStart, cursor.keyEnd));
    }
  }

  /** A read of single keys: those displaced stay incomplete and are read again; one that is gone is deleted. */
  async #appendKeys(
    waiting: WaitingChunk,
    keys: readonly { key: string; values: readonly string[] }[],
    displaced: Displacement,
  ): Promise<void> {
    const { topic } = waiting.task.job;
    await this.#appendRows(topic, waiting.chunk.batches, displaced);
    const found = new Set<string>();
    const cursor = new ChangeCursor();
    for (const batch of waiting.chunk.batches) {
      cursor.reset(batch.bytes);
      while (cursor.next()) found.add(cursor.bytes.toString('latin1', cursor.keyStart, cursor.keyEnd));
    }
    for (const { key } of keys) {
      const open = displaced.kind === 'keys' && displaced.keys.has(key);
      // Not found and not displaced: the stream has carried its delete, or the truncate, already.
      if (!open && !found.has(key)) this.#snapshotter.incomplete.resolve(topic, key);
    }
  }

  async #deleteGhosts(topic: string, newestBefore: number): Promise<void> {
    const { log, writer } = this.#options;
    await writer.durable();
    const deletes = new ChangeWriter();
    const cursor = new ChangeCursor();
    const flush = async (): Promise<void> => {
      if (deletes.count === 0) return;
      writer.append(deletes.batch());
      deletes.reset();
      await writer.drained();
    };
    for await (const batch of log.rows(topic, { upToSeq: writer.last.seq, newestBefore })) {
      cursor.reset(batch.bytes);
      while (cursor.next()) {
        const table = present(log.table(cursor.schemaId), `table of schema ${cursor.schemaId}`);
        writeDeleteOf(cursor, table, cursor.schemaId, deletes);
        if (deletes.size >= pieceBytesMax) await flush();
      }
    }
    await flush();
  }

  #reportRows(topic: string, rows: number): void {
    this.#options.report({
      type: 'source.changes',
      source: this.#options.stream,
      table: topic,
      create: 0,
      update: 0,
      delete: 0,
      read: rows,
    });
  }
}
