import type { LogWriter } from '../../model/log.ts';
import { vectorKey, viewTopic, viewsStream } from '../port.ts';
import type { PublishedVector, StageOptions } from '../port.ts';
import type { StateStore } from '../state/port.ts';
import type { SourceFeed } from './source-feed.ts';
import { fingerprints } from './state-folder.ts';
import type { SteppedView, Stepper } from './stepper.ts';

/** A position without results is published at once when nothing else is at hand, and else this often. */
const markMs = 100;
/** Rows between two looks at who takes what is made of them. */
const pauseRows = 500;

/** Writes the stream of views: results with the vector of inputs that they are made of, in one commit. */
export class Publisher {
  /** Number of the newest commit handed to the log. */
  step: number;
  /** The inputs have moved on without results. */
  markDue = false;
  readonly #options: StageOptions;
  readonly #store: StateStore;
  readonly #writer: LogWriter;
  readonly #stepper: Stepper;
  readonly #feeds: readonly SourceFeed[];
  readonly #views: PublishedVector['views'];
  readonly #onProgress: () => void;
  #markedAt = -Infinity;
  /** Views whose topics hold their results, and those that the next commit makes so. */
  readonly #shown = new Set<string>();
  readonly #newlyShown = new Set<string>();

  constructor(
    options: StageOptions,
    parts: { store: StateStore; writer: LogWriter; stepper: Stepper; feeds: readonly SourceFeed[] },
    onProgress: () => void,
  ) {
    this.#options = options;
    this.#store = parts.store;
    this.#writer = parts.writer;
    this.#stepper = parts.stepper;
    this.#feeds = parts.feeds;
    this.#views = fingerprints(options);
    this.#onProgress = onProgress;
    this.step = parts.writer.last.seq;
    const state = options.log.state(viewsStream);
    for (const { name } of parts.stepper.views) if (state.has(consistentKey(name))) this.#shown.add(name);
  }

  /** Whether the view's topic has held its result at some time. */
  isShown(view: string): boolean {
    return this.#shown.has(view);
  }

  /** Publishes what the results differ in from the topics. */
  async publishAll(startMs: number): Promise<void> {
    for (const view of this.#stepper.views) {
      view.wasHeld = this.#stepper.isHeld(view.name);
      if (!view.wasHeld) await this.#publishDifferences(view);
    }
    this.#end(startMs);
  }

  /** Publishes the results of the step that has been taken; of one in several parts, with `isGathered`. */
  async publishStep(isGathered: boolean, startMs: number): Promise<void> {
    const { changes, views } = this.#stepper;
    for (const view of views) {
      const isHeld = this.#stepper.isHeld(view.name);
      if (isGathered) await this.#drain(view.output.settle(view.encoder, view.wasHeld || isHeld ? null : changes));
      if (view.wasHeld && !isHeld) await this.#publishDifferences(view);
      view.wasHeld = isHeld;
    }
    this.#end(startMs);
  }

  /** When a mark is due, by the monotonic clock; Infinity when none is. */
  get markAtMs(): number {
    return this.markDue ? this.#markedAt + markMs : Infinity;
  }

  /** Says how far the inputs have come. */
  mark(): void {
    if (!this.markDue) return;
    this.markDue = false;
    this.#markedAt = this.#options.clock.monotonic();
    const state = { [vectorKey]: JSON.stringify(this.#vector()) };
    this.#writer.mark({ position: this.#position(), timeMs: this.#timeMs(), state });
    this.#onProgress();
  }

  async #publishDifferences(view: SteppedView): Promise<void> {
    const { log } = this.#options;
    // The topic is read as far as it is durable.
    await this.#writer.durable();
    await view.published.load(log, async () => this.#store.relieve?.());
    await this.#drain(view.published.differences(this.#stepper.changes));
    if (!this.#shown.has(view.name)) this.#newlyShown.add(view.name);
  }

  /** Runs a generator to its end, with pauses for those who take what it makes. */
  async #drain(parts: Generator<void>): Promise<void> {
    let count = 0;
    for (let part = parts.next(); part.done !== true; part = parts.next()) {
      if (++count % pauseRows !== 0) continue;
      await this.#writer.drained();
      await this.#store.relieve?.();
    }
  }

  #end(startMs: number): void {
    const { changes } = this.#stepper;
    changes.flush();
    if (changes.any || this.#newlyShown.size > 0) this.#commit(startMs);
    else this.markDue = true;
  }

  #commit(startMs: number): void {
    const { report, clock } = this.#options;
    const { changes } = this.#stepper;
    const state: Record<string, string> = { [vectorKey]: JSON.stringify(this.#vector()) };
    const seq = this.#writer.last.seq + 1;
    for (const name of this.#newlyShown) {
      this.#shown.add(name);
      state[consistentKey(name)] = JSON.stringify({ seq });
    }
    this.#newlyShown.clear();
    const info = { position: this.#position(), commitTimeMs: this.#timeMs(), snapshot: false, txId: '', state };
    this.step = this.#writer.commit(info);
    this.markDue = false;
    const seconds = (clock.monotonic() - startMs) / 1000;
    report({ type: 'view.step', seq: this.step, seconds, changes: changes.total });
    changes.committed();
    this.#onProgress();
  }

  #vector(): PublishedVector {
    const points = this.#feeds.map(({ stream, reached: { seq, position } }) => [stream, { seq, position }] as const);
    const sources = Object.fromEntries(points.toSorted(([a], [b]) => (a < b ? -1 : 1)));
    return { epoch: this.#options.log.epoch, sources, views: this.#views };
  }

  #position(): string {
    const known = this.#feeds.flatMap(({ stream, reached }) =>
      reached.position === null ? [] : [[stream, reached.position] as const],
    );
    return this.#options.formatPosition(Object.fromEntries(known));
  }

  #timeMs(): number {
    const newest = Math.max(0, ...this.#feeds.map(({ reached }) => reached.timeMs));
    return newest === 0 ? this.#options.clock.now() : newest;
  }
}

function consistentKey(view: string): string {
  return `consistent:${viewTopic(view)}`;
}
