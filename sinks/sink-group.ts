import { present } from '../base/assert.ts';
import { TidemarkError } from '../base/errors.ts';
import { backoffMs } from '../base/retry.ts';
import { Bell } from './bell.ts';
import type { DeadLetter } from './dead-letters.ts';
import { Lane } from './lane.ts';
import type { Cursor, Target } from './port.ts';
import { Repairs } from './repairs.ts';
import type { RepairPlan } from './repairs.ts';
import { Retries } from './retries.ts';
import type { Sink, SinkDependencies, SinkStatus } from './sink.ts';
import { isLasting, pausedError, sinkError } from './sink-errors.ts';
import { Stall } from './stall.ts';

/** Bytes of changes applied at once: the time that an apply keeps the event loop is a few milliseconds. */
const batchBytes = 512 * 1024;
const retryFirstMs = 100;
/** How often it is looked whether a write takes too long. */
const lookEveryMs = 5_000;

/**
 * The sinks of one target, delivered to by one loop. It opens the target, goes on from the cursor that the target holds, and applies
 * whole transactions until it is told to stop. When the target fails, its last write is taken back, and after a growing pause the
 * target is opened again. Nothing here can delay another group.
 */
export class SinkGroup {
  readonly sinks: readonly Sink[];
  readonly target: Target;
  readonly #deps: SinkDependencies;
  readonly #listeners = new Set<() => void>();
  readonly #repairs: Repairs;
  readonly #retries: Retries;
  readonly #stall: Stall;
  readonly #bell = new Bell();
  readonly #loaded: () => Promise<void>;
  #lanes: Lane[] = [];
  #failures = 0;
  /** Which sinks are delivered to, and from where on, is to be looked at anew. */
  #rearranging = false;
  /** Why the target has to be opened again, although nothing was asked of it. */
  #broken: TidemarkError | null = null;
  /** Ends the wait for something to deliver. */
  #interrupt: () => void = () => undefined;

  constructor(sinks: readonly Sink[], target: Target, deps: SinkDependencies) {
    this.sinks = sinks;
    this.target = target;
    this.#deps = deps;
    this.#repairs = new Repairs(target);
    this.#stall = new Stall(deps.clock);
    target.onStep = () => this.#stall.step();
    this.#retries = new Retries(deps.log, this.#stall);
    this.#repairs.onAsked = () => this.#interrupt();
    this.#retries.onAsked = () => this.#interrupt();
    this.#loaded = once(async () => {
      for (const { wishes, deadLetters } of sinks) {
        await wishes.load();
        await deadLetters.load();
      }
    });
  }

  /** Delivers until the signal is aborted. Never rejects: what stops a sink for good is in its status. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.target.interrupt?.(), { once: true });
    const watching = this.#watch(signal);
    while (!signal.aborted) {
      this.#rearranging = false;
      try {
        await this.#loaded();
        if (this.sinks.every(({ wishes }) => wishes.paused)) {
          await this.#bell.wait(signal, this.#deps.clock);
          continue;
        }
        await this.#open(signal);
        await this.#deliver(signal);
        if (!signal.aborted) await this.#leave();
      } catch (error) {
        await this.#release();
        if (!signal.aborted) await this.#failed(error, signal);
      }
    }
    await this.#leave();
    await watching;
    this.#giveUp(() => new TidemarkError('SINK_FAILED', 'The service stopped before that was done'));
    for (const sink of this.sinks) await sink.deadLetters.close();
  }

  /**
   * Writes what the plan gives between two transactions, so that it is ordered with live changes, in one commit of the target. Resolves
   * with the number of rows that the target rejects. SINK_FAILED while the sink is being built.
   */
  async repair(sink: string, plan: RepairPlan): Promise<number> {
    this.#sinkAtWork(sink);
    return this.#repairs.ask(sink, plan);
  }

  /**
   * Stops a sink once what is being written to it has been, and lets it go on where it stopped, which one that failed does at once, too.
   * Survives the process.
   */
  async pause(name: string, paused: boolean): Promise<void> {
    const sink = this.#sink(name);
    await this.#loaded();
    const changes = sink.wishes.paused !== paused;
    if (!changes && (paused || sink.error === null)) return;
    await sink.wishes.change({ paused });
    if (paused) sink.error = null;
    if (changes) this.#deps.report({ type: 'sink.paused', sink: name, paused });
    this.#rearrange();
    // Nobody is left to wait for an answer that does not come.
    if (this.sinks.every(({ wishes }) => wishes.paused)) this.target.interrupt?.();
  }

  /**
   * Builds a sink anew from the log, beside what readers see; over when its status has no `rebuild` any more. One that is under way goes
   * on. SINK_PAUSED.
   */
  async rebuild(name: string): Promise<void> {
    const sink = this.#sink(name);
    await this.#loaded();
    if (sink.wishes.paused) throw pausedError(name);
    if (sink.wishes.rebuild || sink.building) return;
    await sink.wishes.change({ rebuild: true });
    this.#deps.report({ type: 'sink.rebuild', sink: name, state: 'started' });
    this.#rearrange();
  }

  /** Tries the dead letters of these rows again; those that the target refuses again stay. SINK_PAUSED, SINK_FAILED. */
  async retry(name: string, rows: ReadonlySet<string>): Promise<void> {
    await this.#loaded();
    return this.#retries.ask(this.#sinkAtWork(name), rows);
  }

  /** Lets the dead letters of these rows go. */
  async skip(name: string, rows: readonly string[]): Promise<void> {
    await this.#loaded();
    await this.#sink(name).deadLetters.update([], rows);
    this.#progressed();
  }

  /** What could not be written to a sink, in the order in which it came. */
  async deadLetters(name: string): Promise<readonly DeadLetter[]> {
    await this.#loaded();
    return this.#sink(name).deadLetters.list();
  }

  status(): SinkStatus[] {
    const now = this.#deps.clock.now();
    return this.sinks.map((sink) => sink.status(now, this.#stall.error(sink.name)));
  }

  /** Calls the listener after every progress of a sink of the group, and when one fails; returns what ends that. */
  onProgress(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #sink(name: string): Sink {
    return present(
      this.sinks.find((sink) => sink.name === name),
      `sink ${name}`,
    );
  }

  /** The sink, unless what is asked of it could not be done before somebody acts. */
  #sinkAtWork(name: string): Sink {
    const sink = this.#sink(name);
    if (sink.wishes.paused) throw pausedError(name);
    if (sink.error !== null) throw sink.error;
    return sink;
  }

  async #open(signal: AbortSignal): Promise<void> {
    for (const sink of this.sinks) await sink.deadLetters.load();
    // A target would forget that it has been interrupted.
    if (signal.aborted || this.#rearranging) return;
    this.#broken = null;
    const states = await this.#stall.time(this.target.open());
    this.target.onBroken = (error) => {
      this.#broken = error;
      this.#interrupt();
    };
    const lanes = new Map<string, Lane>();
    for (const sink of this.sinks) {
      const cursor = sink.resume(states.get(sink.name));
      if (sink.wishes.paused) continue;
      const at = `${sink.stream} ${cursor.seq}`;
      const lane = lanes.get(at);
      lanes.set(at, this.#lane(sink.stream, [...(lane?.sinks ?? []), sink], lane?.cursor ?? cursor));
    }
    this.#lanes = [...lanes.values()];
    for (const lane of this.#lanes) {
      lane.register();
      this.#read(lane, signal);
    }
    if (this.#lanes.every(({ stream, cursor }) => cursor.seq >= this.#deps.log.frontier(stream).seq)) this.#recovered();
    this.#progressed();
  }

  #lane(stream: string, sinks: Sink[], cursor: Cursor): Lane {
    return new Lane(stream, sinks, cursor, this.target, { ...this.#deps, onProgress: () => this.#progressed() });
  }

  #read(lane: Lane, signal: AbortSignal): void {
    const topics = new Set(lane.sinks.map(({ topic }) => topic));
    const options = { fromSeq: lane.cursor.seq, topics, follow: true, reuse: true, signal };
    lane.reader = this.#deps.log.read(lane.stream, options);
  }

  /** Delivers until the signal is aborted, or until the sinks are to be arranged anew. */
  async #deliver(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (!this.#lanes.some(({ writing }) => writing)) {
        if (this.#rearranging) return;
        if (this.#repairs.any) await this.#repairs.run(this.#lanes);
        if (this.#retries.any) await this.#retries.run(this.#lanes);
      }
      const lane = await this.#next();
      if (this.#broken !== null) throw this.#broken;
      if (lane === null) continue;
      const batch = await lane.pending;
      lane.pending = null;
      if (batch === null || batch === undefined) {
        if (signal.aborted) return;
        throw new TidemarkError('LOG_CLOSED', `The log of ${lane.stream} has ended`);
      }
      await this.#stall.time(lane.process(batch, this.#limit(lane)));
      if (lane.writing) continue;
      this.#recovered();
      if (this.#lanes.length > 1) await this.#merge(lane, signal);
    }
  }

  /** The lane to go on with: the one with an open write, else one that has something to apply, in turns. Null when a command comes first. */
  async #next(): Promise<Lane | null> {
    const writing = this.#lanes.find((lane) => lane.writing);
    const candidates = writing ? [writing] : this.#lanes;
    for (const lane of candidates) lane.pending ??= lane.reader?.next(this.target.batchBytes ?? batchBytes) ?? null;
    const chosen = await this.#first(candidates, writing === undefined);
    if (chosen === null || candidates.length === 1) return chosen;
    this.#lanes = [...this.#lanes.filter((lane) => lane !== chosen), chosen];
    return chosen;
  }

  /** The first lane whose reader has something; null when a command comes before, unless a write is open. */
  async #first(lanes: readonly Lane[], isBetween: boolean): Promise<Lane | null> {
    try {
      // A promise for each wait: one that lives on would keep a reaction for every batch of the group's life.
      return await new Promise<Lane | null>((resolve, reject) => {
        for (const lane of lanes) {
          if (lane.pending === null) resolve(lane);
          else lane.pending.then(() => resolve(lane), reject);
        }
        if (!isBetween) return;
        this.#interrupt = () => resolve(null);
        if (this.#rearranging || this.#repairs.any || this.#retries.any || this.#broken !== null) resolve(null);
      });
    } finally {
      this.#interrupt = () => undefined;
    }
  }

  /** How far a lane may go: to the position of the next one on its stream, so that they can be merged there. */
  #limit(lane: Lane): Cursor | null {
    let limit: Cursor | null = null;
    for (const { stream, cursor } of this.#lanes) {
      if (stream !== lane.stream || cursor.seq <= lane.cursor.seq) continue;
      if (limit === null || cursor.seq < limit.seq) limit = cursor;
    }
    return limit;
  }

  /** Joins the lane with the one whose position it has reached. */
  async #merge(lane: Lane, signal: AbortSignal): Promise<void> {
    const other = this.#lanes.find(
      (each) => each !== lane && each.stream === lane.stream && each.cursor.seq === lane.cursor.seq,
    );
    if (other === undefined) return;
    await close(lane);
    await close(other);
    const merged = this.#lane(lane.stream, [...other.sinks, ...lane.sinks], lane.cursor);
    this.#lanes = [...this.#lanes.filter((each) => each !== lane && each !== other), merged];
    this.#read(merged, signal);
  }

  #progressed(): void {
    for (const listener of this.#listeners) listener();
  }

  #recovered(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    for (const sink of this.sinks) {
      sink.error = null;
      this.#deps.report({ type: 'sink.recovered', sink: sink.name });
    }
  }

  /** Records a failure and waits before the next attempt: for a while, or, where trying again is of no use, for somebody to act. */
  async #failed(thrown: unknown, signal: AbortSignal): Promise<void> {
    const attempt = this.#failures++;
    const last = isLasting(thrown);
    const waitMs = backoffMs(attempt, retryFirstMs, this.#deps.random);
    for (const sink of this.sinks) {
      if (sink.wishes.paused) continue;
      const error = sinkError(thrown, sink);
      sink.error = error;
      if (last) this.#deps.report({ type: 'sink.failed', sink: sink.name, error });
      else this.#deps.report({ type: 'sink.retrying', sink: sink.name, error, attempt, waitMs });
    }
    this.#giveUp((sink) => sinkError(thrown, sink));
    this.#progressed();
    if (!this.#rearranging) await this.#bell.wait(signal, this.#deps.clock, last ? undefined : waitMs);
  }

  #giveUp(error: (sink: Sink) => TidemarkError): void {
    for (const sink of this.sinks) this.#repairs.reject(error(sink));
    this.#retries.reject(error);
  }

  #rearrange(): void {
    this.#rearranging = true;
    this.#interrupt();
    this.#bell.ring();
    this.#progressed();
  }

  /** Tells, once for each time, when a write takes too long. */
  async #watch(signal: AbortSignal): Promise<void> {
    let isTold = false;
    while (!signal.aborted) {
      await this.#deps.clock.sleep(lookEveryMs, signal).catch(() => undefined);
      const stalled = this.sinks.some(({ name }) => this.#stall.error(name) !== null);
      if (stalled === isTold) continue;
      isTold = stalled;
      for (const sink of this.sinks) {
        const error = this.#stall.error(sink.name);
        if (error !== null && !sink.wishes.paused) this.#deps.report({ type: 'sink.stalled', sink: sink.name, error });
      }
      this.#progressed();
    }
  }

  /** After a failure: takes back the open write and lets everything go. */
  async #release(): Promise<void> {
    await this.target.rollback();
    for (const lane of this.#lanes) await close(lane).catch(() => undefined);
    this.#lanes = [];
    await this.target.close().catch(() => undefined);
  }

  /** Lets everything go: nothing that is whole is lost, and a transaction that is not is taken back. */
  async #leave(): Promise<void> {
    try {
      if (this.#lanes.some((lane) => lane.writing)) await this.target.rollback();
      else for (const lane of this.#lanes) await lane.persist();
    } catch {
      // The position is found again from the log; what was committed stays.
    }
    await this.#release();
  }
}

async function close(lane: Lane): Promise<void> {
  const { reader, pending } = lane;
  lane.reader = null;
  lane.pending = null;
  await reader?.close();
  await pending?.catch(() => undefined);
}

/** The work, done once however often it is asked for; again after it has failed. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return async () => {
    done ??= work().catch((error: unknown) => {
      done = null;
      throw error;
    });
    return done;
  };
}
