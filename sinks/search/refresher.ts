import type { Clock } from '../../base/clock.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { SearchSinkOptions } from '../options.ts';
import type { EngineClient } from './engine-client.ts';

/** A refresh that failed is tried again after this, unless a write comes before. */
const retryMs = 1_000;

/**
 * Decides when searches see what was written. An engine that refreshes an index by itself shows whatever it holds at that moment: half of
 * a transaction. So ours are made with `refresh_interval: -1`, and refreshed here: only while nothing is being written, when the index
 * holds whole transactions and nothing beyond them. On one shard, a search then sees the source as it was after one commit.
 *
 * What holds that up: realtime gets, flushes, merges, a full indexing buffer and mapping changes refresh an engine's inner reader, not the
 * one of searches (tests/sinks/search-suite.ts). What does refresh that one behind our back: a shard that is opened – on a restart, a
 * relocation, a new replica –, somebody's `_refresh`, on Elasticsearch `_forcemerge`. Several shards or replicas are refreshed one after
 * the other, each to the same commit.
 *
 * After a write that failed the index may hold parts of transactions after the cursor. Until delivery has passed these (`held`), nothing
 * is refreshed: searches stay where they were.
 */
export class Refresher {
  /** The index holds parts of transactions that are not committed yet. */
  held = false;
  readonly #client: EngineClient;
  readonly #clock: Clock;
  readonly #mode: SearchSinkOptions['refresh'];
  #index: string | null = null;
  /** Something was written that searches do not see. */
  #dirty = false;
  #writing = false;
  #refreshedAt = -Infinity;
  #running: Promise<void> | null = null;
  #timer: AbortController | null = null;
  #waiters: PromiseWithResolvers<void>[] = [];

  constructor(client: EngineClient, clock: Clock, mode: SearchSinkOptions['refresh']) {
    this.#client = client;
    this.#clock = clock;
    this.#mode = mode;
  }

  /** From now on it is about this index; none while there is nothing that readers could see. */
  watch(index: string | null, dirty: boolean): void {
    this.#index = index;
    this.#dirty = dirty;
  }

  /** A write begins: waits for the refresh that is under way, and lets none begin. */
  async enter(): Promise<void> {
    while (this.#running !== null) await this.#running;
    this.#writing = true;
  }

  wrote(): void {
    this.#dirty = true;
  }

  /** Shows what is committed before the index is left; inside a write that has not written yet. */
  async finish(): Promise<void> {
    if (this.#mode !== 'engine' && this.#isDue()) await this.#refresh();
  }

  /** Everything of the write is acknowledged, its cursor is not yet saved. */
  async beforeCursor(): Promise<void> {
    if (this.#mode === 'commit' && this.#isDue()) await this.#refresh();
  }

  /** The write is over. */
  leave(): void {
    this.#writing = false;
    this.kick();
  }

  /** Refreshes in the background when it is time, else sees to it that it will be done. */
  kick(): void {
    if (this.#writing || !this.#isDue() || (this.#mode === 'engine' && this.#waiters.length === 0)) {
      // Who waits for the refresh under way is told by its end.
      if (!this.#dirty && this.#running === null) this.#answer();
      return;
    }
    const wait = typeof this.#mode === 'number' ? this.#refreshedAt + this.#mode - this.#clock.monotonic() : 0;
    if (wait <= 0 || this.#waiters.length > 0) this.#start();
    else this.#later(wait);
  }

  /** Resolves once searches see everything that is committed now. */
  async searchable(): Promise<void> {
    while (this.#running !== null) await this.#running;
    if (!this.#dirty || this.#index === null) return;
    const waiter = Promise.withResolvers<void>();
    this.#waiters.push(waiter);
    this.kick();
    return waiter.promise;
  }

  /** Shows what is committed, and lets go of the index; who waits is told. */
  async close(): Promise<void> {
    this.#stopTimer();
    while (this.#running !== null) await this.#running;
    this.#writing = false;
    // An engine that fails now is refreshed when it is opened again.
    await this.finish().catch(() => undefined);
    this.#stopTimer();
    this.#index = null;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) {
      reject(new TidemarkError('SINK_FAILED', 'The sink was closed before what it holds could be searched'));
    }
  }

  #isDue(): boolean {
    return this.#dirty && !this.held && this.#index !== null;
  }

  #stopTimer(): void {
    this.#timer?.abort();
    this.#timer = null;
  }

  #later(ms: number): void {
    if (this.#timer !== null) return;
    const timer = new AbortController();
    this.#timer = timer;
    const elapsed = async (): Promise<void> => {
      await this.#clock.sleep(ms, timer.signal);
      this.#timer = null;
      this.kick();
    };
    // Aborted: nobody waits for it any more.
    elapsed().catch(() => undefined);
  }

  #start(): void {
    if (this.#running !== null) return;
    this.#running = this.#attempt();
  }

  /** Never rejects: the next write meets whatever is wrong with the engine, and says so. */
  async #attempt(): Promise<void> {
    try {
      await this.#refresh();
      this.#running = null;
      if (this.#waiters.length > 0) this.kick();
    } catch (error) {
      this.#running = null;
      this.#answer(error);
      this.#later(retryMs);
    }
  }

  async #refresh(): Promise<void> {
    if (this.#index === null) return;
    this.#dirty = false;
    this.#refreshedAt = this.#clock.monotonic();
    try {
      await this.#client.json('POST', `/${encodeURIComponent(this.#index)}/_refresh?filter_path=_shards.failed`);
    } catch (error) {
      this.#dirty = true;
      throw error;
    }
    this.#answer();
  }

  #answer(error?: unknown): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { resolve, reject } of waiters) {
      if (error === undefined) resolve();
      else reject(error);
    }
  }
}
