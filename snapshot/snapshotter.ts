import { isTidemarkError } from '../base/errors.ts';
import { backoffMs } from '../base/retry.ts';
import type { SnapshotStatus } from '../model/source.ts';
import { InFlight } from './in-flight.ts';
import { IncompleteKeys } from './incomplete.ts';
import type { Job } from './job.ts';
import { hasWork, loadJob, newJob, rangeTask, rewind, storeJob } from './job.ts';
import type { ReadTask, SnapshotOptions, Task, WaitingChunk } from './options.ts';
import type { Chunk, ChunkRequest } from './port.ts';
import { Publisher } from './publisher.ts';
import { StateChanges } from './state-changes.ts';
import { snapshotStatus } from './status.ts';

const keysPerRead = 100;
const barrierPollMs = 250;
const retryFirstMs = 200;

/**
 * Reads tables into the log while the stream goes on (docs/snapshot.md). Workers read chunks; the stream's side calls `reached`
 * between transactions, where the chunks whose HIGH has been reached are published.
 */
export class Snapshotter {
  readonly changes: StateChanges = new StateChanges();
  readonly incomplete: IncompleteKeys;
  readonly jobs: Map<string, Job> = new Map<string, Job>();
  readonly #options: SnapshotOptions;
  readonly #publisher: Publisher;
  #waiting: WaitingChunk[] = [];
  readonly #inFlight = new InFlight();
  #waitingFor: string | null = null;
  #wake: PromiseWithResolvers<void> = Promise.withResolvers<void>();

  constructor(options: SnapshotOptions) {
    this.#options = options;
    const state = options.log.state(options.stream);
    this.incomplete = new IncompleteKeys(this.changes, state);
    for (const [name, text] of state) {
      if (!name.startsWith('snapshot:')) continue;
      const topic = name.slice('snapshot:'.length);
      const job = loadJob(topic, text, options.clock.monotonic());
      this.jobs.set(topic, job);
      if (job.keyless) options.keyless.begin(topic);
    }
    this.#publisher = new Publisher(options, this);
  }

  /**
   * Begins to read a table again. `reread`: what the topic holds and the read does not see is deleted at the end. A job for the same
   * topic is begun anew. Its state travels with the next commit.
   */
  begin(topic: string, options: { reread: boolean; where: string | null; barrier: readonly string[] }): Job {
    const { window, writer, clock, isKeyless } = this.#options;
    const running = this.jobs.get(topic);
    const barrier = [...new Set([...options.barrier, ...(running?.barrier ?? [])])];
    if (running !== undefined && running.ghostsBefore === null) {
      // Nothing of it has been read yet, and it reads everything.
      running.barrier = barrier;
      this.changes.set(`snapshot:${topic}`, storeJob(running));
      return running;
    }
    const earlier = running?.ghostsBefore ?? 0;
    // What an unfinished job has left to do, the new one does: two conditions make the whole table.
    const reread = options.reread || earlier > 0;
    const where = running === undefined || !hasWork(running) || running.where === options.where ? options.where : null;
    // Rows that an unfinished job has published stay right: the new one deletes only what is older than both.
    const ghostsBefore = earlier > 0 ? earlier : (window.oldestSeq ?? writer.last.seq + 1);
    const keyless = isKeyless(topic);
    return this.#replace(
      newJob(topic, clock.monotonic(), {
        where,
        keyless,
        ghostsBefore: reread && where === null && !keyless ? ghostsBefore : 0,
        barrier,
      }),
    );
  }

  /**
   * Begins a new generation of a topic: nothing that it holds is known to be the table's. Everything published before the next pause between
   * transactions is deleted at the end, unless the read sees it, and the read sees every transaction that was streamed before.
   */
  beginAnew(topic: string, barrier: readonly string[]): Job {
    return this.#replace(this.#generation(topic, barrier, true));
  }

  /** The topic is no longer known to be the table's. Nothing is read until `beginAnew` says that it can be. */
  withdraw(topic: string): void {
    // Their keys may be no keys of the table that is there now, and a new generation reads every row.
    this.incomplete.resolveAll(topic);
    if (this.jobs.get(topic)?.planned === false) return;
    this.#replace(this.#generation(topic, [], false));
  }

  /** Whether a topic waits for `beginAnew` or `cancel`. */
  get hasUnplanned(): boolean {
    for (const job of this.jobs.values()) if (!job.planned) return true;
    return false;
  }

  /** No transaction is open and no chunk is being published: what has been published until now is of earlier generations. */
  async drawBoundaries(): Promise<void> {
    const { writer, window, keyless } = this.#options;
    for (const job of this.jobs.values()) {
      if (!job.planned || job.ghostsBefore !== null) continue;
      job.barrier = [...new Set([...job.barrier, ...window.unseen()])];
      job.ghostsBefore = job.keyless || writer.last.seq === 0 ? 0 : writer.last.seq + 1;
      this.changes.set(`snapshot:${job.topic}`, storeJob(job));
      if (!job.keyless) continue;
      await keyless.end(job.topic);
      keyless.begin(job.topic);
    }
  }

  #generation(topic: string, barrier: readonly string[], planned: boolean): Job {
    const { clock, isKeyless } = this.#options;
    return newJob(topic, clock.monotonic(), {
      where: null,
      keyless: isKeyless(topic),
      ghostsBefore: null,
      barrier: [...new Set([...barrier, ...(this.jobs.get(topic)?.barrier ?? [])])],
      planned,
    });
  }

  /** Puts a job in the place of the topic's present one, if there is one. */
  #replace(job: Job): Job {
    const { topic } = job;
    const running = this.jobs.get(topic);
    if (running !== undefined) {
      this.#discard(running);
      job.done.promise.then(running.done.resolve, running.done.reject);
    }
    if (job.keyless) this.#options.keyless.begin(topic);
    else if (running?.keyless === true) void this.#options.keyless.end(topic);
    this.jobs.set(topic, job);
    this.changes.set(`snapshot:${topic}`, storeJob(job));
    this.changes.set(`consistent:${topic}`, null);
    this.#wakeUp();
    return job;
  }

  /** No read of a job under way may miss these transactions from now on. */
  waitFor(txIds: readonly string[]): void {
    if (txIds.length === 0) return;
    for (const job of this.jobs.values()) {
      job.barrier = [...new Set([...job.barrier, ...txIds])];
      this.changes.set(`snapshot:${job.topic}`, storeJob(job));
    }
  }

  /** The table is gone or no longer captured. */
  cancel(topic: string, reason: Error): void {
    const job = this.jobs.get(topic);
    this.incomplete.resolveAll(topic);
    if (job === undefined) return;
    this.#discard(job);
    this.jobs.delete(topic);
    void this.#options.keyless.end(topic);
    this.changes.set(`snapshot:${topic}`, null);
    job.done.reject(reason);
  }

  /** An update of a row came without a value that is not held: the row is read by its key, and the topic is not consistent until then. */
  hold(topic: string, key: string, values: readonly string[]): void {
    this.incomplete.hold(topic, key, values);
    if (this.jobs.has(topic)) return;
    const job = newJob(topic, this.#options.clock.monotonic(), {
      where: null,
      keyless: false,
      ghostsBefore: 0,
      barrier: [],
    });
    job.ranges = [];
    this.jobs.set(topic, job);
    this.changes.set(`snapshot:${topic}`, storeJob(job));
    this.changes.set(`consistent:${topic}`, null);
    this.#wakeUp();
  }

  /** Whether `reached` has something to do: chunks that wait, or state that no commit has taken along. */
  get pending(): boolean {
    return this.#waiting.length > 0 || this.changes.any || this.jobs.size > 0;
  }

  /** The stream has come to `position` and no transaction is open: publishes what is due. */
  async reached(position: string, timeMs: number): Promise<void> {
    const { order } = this.#options;
    await this.drawBoundaries();
    const late: WaitingChunk[] = [];
    for (const waiting of this.#waiting.splice(0)) {
      if (!order.covers(position, waiting.chunk.high)) {
        late.push(waiting);
        continue;
      }
      const { task } = waiting;
      const current = this.jobs.get(task.job.topic) === task.job;
      if (!current || (task.kind === 'range' && waiting.attempt !== task.range.attempt)) {
        this.#drop(waiting);
        continue;
      }
      await this.#publisher.publish(waiting, position, timeMs);
      this.#drop(waiting);
    }
    this.#waiting.push(...late);
    for (const job of this.jobs.values()) {
      const finished = job.ranges?.length === 0 && !this.incomplete.has(job.topic);
      if (finished && !this.#isWaiting(job)) await this.#publisher.finish(job, position, timeMs);
    }
    if (this.changes.any) {
      this.#options.writer.mark({ position, timeMs, state: this.changes.take() ?? {} });
    }
    this.#wakeUp();
  }

  /** Reads until aborted. Rejects with what needs a person. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#wakeUp();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await Promise.all(Array.from({ length: this.#options.parallel }, async () => this.#work(signal)));
    } finally {
      signal.removeEventListener('abort', stop);
      for (const waiting of this.#waiting.splice(0)) this.#drop(waiting);
      for (const job of this.jobs.values()) {
        job.wholeRead = false;
        job.ranges?.forEach(rewind);
      }
    }
  }

  status(): SnapshotStatus {
    return snapshotStatus(this.jobs.values(), {
      now: this.#options.clock.monotonic(),
      chunkRows: this.#options.chunkRows,
      waitingFor: this.#waitingFor,
    });
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      // Taken before looking, so that what happens meanwhile is not missed.
      const wake = this.#wake.promise;
      const task = this.#nextTask();
      if (task === null) {
        await wake;
        continue;
      }
      setBusy(task, true);
      try {
        if (task.kind === 'split') await this.#split(task.job);
        else await this.#read(task, signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (isTidemarkError(error, 'TABLE_UNKNOWN')) {
          // Gone, or gone for a moment: whoever looks at the catalog next decides.
          if (this.jobs.get(task.job.topic) === task.job) this.withdraw(task.job.topic);
        } else if (isTidemarkError(error, 'SOURCE_UNREACHABLE') || isTidemarkError(error, 'SLOTS_EXHAUSTED')) {
          const waitMs = backoffMs(failures++, retryFirstMs, this.#options.random);
          await this.#options.clock.sleep(waitMs, signal).catch(() => {});
        } else {
          throw error;
        }
      } finally {
        setBusy(task, false);
        this.#wakeUp();
      }
    }
  }

  async #read(task: ReadTask, signal: AbortSignal): Promise<void> {
    const { reader, window, nudge } = this.#options;
    const { job } = task;
    if (!(await this.#passBarrier(job, signal))) return;
    const attempt = task.kind === 'range' ? task.range.attempt : 0;
    const read = window.open();
    let chunk: Chunk | null = null;
    this.#inFlight.readBegins();
    try {
      const request = this.#request(task);
      chunk =
        task.kind === 'whole'
          ? await reader.readWhole(request, (batch) => task.rows.add(null, batch), signal)
          : await reader.read(request, signal);
    } catch (error) {
      window.close(read);
      throw error;
    } finally {
      this.#inFlight.readEnds(chunk?.bytes ?? 0);
    }
    const waiting = { task, attempt, chunk, read };
    const current = this.jobs.get(job.topic) === job && (task.kind !== 'range' || task.range.attempt === attempt);
    if (!current || signal.aborted) {
      this.#drop(waiting);
      return;
    }
    read.low = chunk.low;
    window.saw(chunk.low);
    if (task.kind === 'range') {
      task.range.readAfter = chunk.lastKey;
      task.range.readToEnd = chunk.lastKey === null;
      task.range.waiting++;
    }
    if (task.kind === 'whole') job.wholeRead = true;
    this.#waiting.push(waiting);
    nudge(chunk.high);
  }

  #request(task: ReadTask): ChunkRequest {
    const { job } = task;
    const common = { topic: job.topic, where: job.where, rowsMax: this.#options.chunkRows };
    if (task.kind === 'range') return { ...common, range: { after: task.range.readAfter, upTo: task.range.upTo } };
    const range = { after: null, upTo: null };
    return task.kind === 'keys'
      ? { ...common, range, keys: task.keys.map(({ values }) => values) }
      : { ...common, range };
  }

  /** Waits until every transaction of the job's barrier is seen by reads. False when aborted meanwhile. */
  async #passBarrier(job: Job, signal: AbortSignal): Promise<boolean> {
    const { reader, clock, window } = this.#options;
    while (job.barrier.length > 0) {
      const seen = await reader.visibility();
      window.saw(seen);
      const left = job.barrier.filter((txId) => !seen.includes(txId));
      job.barrier = left;
      if (left.length === 0) break;
      this.#waitingFor = await reader.describeWait(left);
      await clock.sleep(barrierPollMs, signal).catch(() => {});
      if (signal.aborted) return false;
    }
    this.#waitingFor = null;
    return true;
  }

  /** Something to do, or null at the moment. Two workers must not be given the same: mark it before anything is awaited. */
  #nextTask(): Task | null {
    const { parallel } = this.#options;
    if (this.#waiting.length >= parallel || !this.#inFlight.hasRoom) return null;
    for (const job of this.jobs.values()) {
      if (!job.planned || job.ghostsBefore === null) continue;
      if (job.keyless && job.ranges === null) {
        const rows = this.#options.keyless.rows(job.topic);
        if (!job.reading && !job.wholeRead) return { kind: 'whole', job, rows };
        continue;
      }
      if (job.ranges === null) {
        if (!job.reading) return { kind: 'split', job };
        continue;
      }
      for (const range of job.ranges) {
        if (!range.reading && !range.readToEnd && range.waiting < 2) return { kind: 'range', job, range };
      }
      if (job.ranges.length === 0 && !job.reading && !this.#isWaiting(job)) {
        const keys = this.incomplete.some(job.topic, keysPerRead);
        if (keys.length > 0) return { kind: 'keys', job, keys };
      }
    }
    return null;
  }

  async #split(job: Job): Promise<void> {
    const { reader, chunkRows, parallel, report, stream } = this.#options;
    job.rowsEstimated = await reader.estimate(job.topic);
    const parts = job.rowsEstimated > 4 * chunkRows ? 2 * parallel : 1;
    const ranges = parts > 1 ? await reader.split(job.topic, parts) : [{ after: null, upTo: null }];
    job.ranges = ranges.map(rangeTask);
    report({ type: 'snapshot.started', source: stream, table: job.topic, rowsEstimated: job.rowsEstimated });
  }

  #isWaiting(job: Job): boolean {
    return this.#waiting.some(({ task }) => task.job === job);
  }

  #discard(job: Job): void {
    this.#waiting = this.#waiting.filter((waiting) => {
      if (waiting.task.job !== job) return true;
      this.#drop(waiting);
      return false;
    });
    for (const range of job.ranges ?? []) range.attempt++;
  }

  /** A chunk is published, or never will be. */
  #drop({ chunk, read }: WaitingChunk): void {
    chunk.release?.();
    this.#inFlight.release(chunk.bytes);
    this.#options.window.close(read);
  }

  #wakeUp(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}

function setBusy(task: Task, busy: boolean): void {
  if (task.kind === 'range') task.range.reading = busy;
  else task.job.reading = busy;
}
