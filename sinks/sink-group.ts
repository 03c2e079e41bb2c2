import { TidemarkError, isTidemarkError, messageOf } from '../base/errors.ts';
import { backoffMs } from '../base/retry.ts';
import { Lane } from './lane.ts';
import type { Cursor, SinkState, Target } from './port.ts';
import { Repairs } from './repairs.ts';
import type { RepairPlan } from './repairs.ts';
import type { Sink, SinkDependencies, SinkStatus } from './sink.ts';
import { isUnfit } from './unfit.ts';

/** Bytes of changes applied at once: the time that an apply keeps the event loop is a few milliseconds. */
const batchBytes = 512 * 1024;
const retryFirstMs = 100;

/** What nobody but a person can put right; everything else is tried again. */
const permanent = new Set<string>([
  'SINK_STOPPED',
  'SINK_FENCED',
  'LOG_CORRUPT',
  'LOG_CLOSED',
  'LOG_FORMAT',
  'INTERNAL',
]);

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
  #lanes: Lane[] = [];
  #failures = 0;

  constructor(sinks: readonly Sink[], target: Target, deps: SinkDependencies) {
    this.sinks = sinks;
    this.target = target;
    this.#deps = deps;
    this.#repairs = new Repairs(target);
  }

  /** Delivers until the signal is aborted. Never rejects: what stops a sink for good is in its status. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.target.interrupt?.(), { once: true });
    while (!signal.aborted) {
      try {
        await this.#open(signal);
        await this.#deliver(signal);
      } catch (error) {
        await this.#release();
        if (!signal.aborted && !(await this.#failed(error, signal))) await aborted(signal);
      }
    }
    await this.#stop();
    this.#repairs.reject(new TidemarkError('SINK_FAILED', 'The service stopped before the sink was repaired'));
    for (const sink of this.sinks) await sink.deadLetters.close();
  }

  /**
   * Writes what the plan gives between two transactions, so that it is ordered with live changes, in one commit of the target. Resolves
   * with the number of rows that the target rejects. SINK_FAILED while the sink is being built.
   */
  async repair(sink: string, plan: RepairPlan): Promise<number> {
    return this.#repairs.ask(sink, plan);
  }

  status(): SinkStatus[] {
    return this.sinks.map((sink) => this.#statusOf(sink));
  }

  /** Calls the listener after every progress of a sink of the group, and when one fails; returns what ends that. */
  onProgress(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #statusOf(sink: Sink): SinkStatus {
    const { visible, progress, error } = sink;
    const seq = visible?.seq ?? 0;
    const timeMs = progress?.timeMs ?? 0;
    const behind = (progress?.seq ?? 0) < this.#deps.log.frontier(sink.stream).seq;
    const lagMs = behind && timeMs > 0 ? this.#deps.clock.now() - timeMs : 0;
    return {
      name: sink.name,
      type: sink.type,
      seq,
      position: visible?.position ?? null,
      lagSeconds: Math.max(0, lagMs / 1000),
      consistent: sink.consistent && !sink.rebuilding && !sink.rebuildDue,
      deadLetters: sink.deadLetters.count,
      error:
        error === null
          ? null
          : { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) },
    };
  }

  async #open(signal: AbortSignal): Promise<void> {
    for (const sink of this.sinks) await sink.deadLetters.load();
    // A target would forget that it has been interrupted.
    if (signal.aborted) return;
    const states = await this.target.open();
    const lanes = new Map<string, Lane>();
    for (const sink of this.sinks) {
      const cursor = this.#resume(sink, states.get(sink.name));
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

  /** Takes over what the target knows of a sink, and decides where it goes on. */
  #resume(sink: Sink, state: SinkState | undefined): Cursor {
    const { log } = this.#deps;
    const cursor = state?.cursor ?? null;
    const usable =
      state !== undefined &&
      cursor !== null &&
      cursor.epoch === log.epoch &&
      state.fingerprint === sink.fingerprint &&
      // A cursor ahead of the log is of a log that lost its end; what the sink holds beyond it may never have existed.
      cursor.seq <= log.frontier(sink.stream).seq;
    sink.rebuildDue = !usable;
    sink.rebuilding = usable && state.rebuilding;
    sink.schemaId = usable ? state.schemaId : 0;
    sink.progress = usable ? cursor : null;
    sink.visible = state?.visible ?? null;
    sink.notBefore = sink.visible?.epoch === log.epoch ? sink.visible.seq : 0;
    sink.consistent =
      sink.visible !== null &&
      !sink.rebuildDue &&
      !sink.rebuilding &&
      (sink.options.start === 'consistent' || sink.consistentAt(sink.visible.seq));
    return usable ? cursor : { epoch: log.epoch, seq: 0, position: null, timeMs: 0 };
  }

  #read(lane: Lane, signal: AbortSignal): void {
    const topics = new Set(lane.sinks.map(({ topic }) => topic));
    const options = { fromSeq: lane.cursor.seq, topics, follow: true, reuse: true, signal };
    lane.reader = this.#deps.log.read(lane.stream, options);
  }

  async #deliver(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#repairs.any && !this.#lanes.some(({ writing }) => writing)) await this.#repairs.run(this.#lanes);
      const lane = await this.#next();
      if (lane === null) continue;
      const batch = await lane.pending;
      lane.pending = null;
      if (batch === null || batch === undefined) {
        if (signal.aborted) return;
        throw new TidemarkError('LOG_CLOSED', `The log of ${lane.stream} has ended`);
      }
      await lane.process(batch, this.#limit(lane));
      if (lane.writing) continue;
      this.#recovered();
      if (this.#lanes.length > 1) await this.#merge(lane, signal);
    }
  }

  /** The lane to go on with: the one with an open write, else one that has something to apply, in turns. Null when a repair comes first. */
  async #next(): Promise<Lane | null> {
    const writing = this.#lanes.find((lane) => lane.writing);
    const candidates = writing ? [writing] : this.#lanes;
    for (const lane of candidates) lane.pending ??= lane.reader?.next(batchBytes) ?? null;
    const chosen = await this.#first(candidates, writing === undefined);
    if (chosen === null || candidates.length === 1) return chosen;
    this.#lanes = [...this.#lanes.filter((lane) => lane !== chosen), chosen];
    return chosen;
  }

  /** The first lane whose reader has something; null when a repair is asked for before, unless a write is open. */
  async #first(lanes: readonly Lane[], isBetween: boolean): Promise<Lane | null> {
    try {
      // A promise for each wait: one that lives on would keep a reaction for every batch of the group's life.
      return await new Promise<Lane | null>((resolve, reject) => {
        for (const lane of lanes) {
          if (lane.pending === null) resolve(lane);
          else lane.pending.then(() => resolve(lane), reject);
        }
        if (isBetween) this.#repairs.onAsked = () => resolve(null);
        if (isBetween && this.#repairs.any) resolve(null);
      });
    } finally {
      this.#repairs.onAsked = () => undefined;
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

  /** Records a failure and waits before the next attempt; false when there is to be none. */
  async #failed(thrown: unknown, signal: AbortSignal): Promise<boolean> {
    const attempt = this.#failures++;
    const last = isUnfit(thrown) || (isTidemarkError(thrown) && permanent.has(thrown.code));
    const waitMs = backoffMs(attempt, retryFirstMs, this.#deps.random);
    for (const sink of this.sinks) {
      const error = sinkError(thrown, sink);
      sink.error = error;
      if (last) this.#deps.report({ type: 'sink.failed', sink: sink.name, error });
      else this.#deps.report({ type: 'sink.retrying', sink: sink.name, error, attempt, waitMs });
    }
    this.#progressed();
    if (last) return false;
    await this.#deps.clock.sleep(waitMs, signal).catch(() => undefined);
    return true;
  }

  /** After a failure: takes back the open write and lets everything go. */
  async #release(): Promise<void> {
    await this.target.rollback();
    for (const lane of this.#lanes) await close(lane).catch(() => undefined);
    this.#lanes = [];
    await this.target.close().catch(() => undefined);
  }

  /** After the signal: nothing that is whole is lost, and a transaction that is not is taken back. */
  async #stop(): Promise<void> {
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

function sinkError(thrown: unknown, sink: Sink): TidemarkError {
  if (isTidemarkError(thrown)) return thrown;
  return new TidemarkError('SINK_FAILED', `Sink '${sink.name}' failed: ${messageOf(thrown)}`, {
    hint: 'It is tried again with growing pauses; nothing is lost meanwhile.',
    place: { sink: sink.name },
    cause: thrown,
  });
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
