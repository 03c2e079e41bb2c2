import { TidemarkError } from '../../base/errors.ts';
import type { Frontier, LogWriter, Piece } from '../../model/log.ts';
import { vectorKey, viewsStream } from '../port.ts';
import type { PublishedVector, StageOptions, ViewStatus } from '../port.ts';
import type { StateStore } from '../state/port.ts';
import { OldResults, equalsTopics } from './old-results.ts';
import { FirstBuild } from './first-build.ts';
import { Publisher } from './publisher.ts';
import { SourceFeed } from './source-feed.ts';
import { fingerprint, openState, removeOldState } from './state-folder.ts';
import type { StateMeta } from './state-folder.ts';
import { Stepper } from './stepper.ts';

/** State is committed this often, when it has changed and unless so much has changed that it is due before. */
const persistMs = 1_000;
/** Longest wait for what wakes by itself. */
const idleMs = 60_000;
const keyHint =
  "Its sinks stay at the last good commit. Make the rows differ at their source, or correct the view's query or key.";
const none: Frontier = { seq: 0, position: null, timeMs: 0 };

/**
 * The stage's work with one state, from opening to closing it.
 *
 * Exactly once: the results of a step and the vector of inputs that they are made of are one commit of the stream `views`. State follows
 * behind: it is committed with its own vector, only after the results up to there are durable, so it is never ahead of what was
 * published. A start replays the inputs from the state's vector to exactly the published one without publishing anything, and goes on
 * from there; how transactions were put together into steps before does not matter, since the results at a vector are the same.
 *
 * State that cannot be brought to the published vector (it is new, of other definitions, or its source now gives a net transaction past
 * that vector) is brought to a consistent vector, and what its results differ in from the topics is published as one commit.
 */
export class Session {
  readonly stepper: Stepper;
  /** What is published, while the state is made that takes its place. */
  old: OldResults | null;
  readonly #options: StageOptions;
  readonly #store: StateStore;
  readonly #writer: LogWriter;
  readonly #publisher: Publisher;
  #feeds: SourceFeed[];
  readonly #fingerprint: string;
  /** Until a state that is new has been made. */
  #build: FirstBuild | null;
  /** Null once what was published equals the results. */
  #silent: { readonly target: ReadonlyMap<string, Frontier>; readonly isExact: boolean } | null;
  /** The feed whose transaction has been taken in part: nothing else is taken before its end. */
  #open: SourceFeed | null = null;
  /** The state cannot follow its source any more. */
  #isLost = false;
  #stateDue = false;
  #persistedAt: number;
  /** Up to where the inputs are contained in the state committed last. */
  #persisted: (readonly [string, number])[] = [];

  private constructor(
    options: StageOptions,
    opened: { store: StateStore; meta: StateMeta | null; old: OldResults | null },
    published: PublishedVector | null,
    writer: LogWriter,
    onProgress: () => void,
  ) {
    this.#options = options;
    this.#store = opened.store;
    this.old = opened.old;
    this.#writer = writer;
    this.#fingerprint = fingerprint(options);
    this.#persistedAt = options.clock.monotonic();
    this.stepper = new Stepper(options, opened.store, writer);
    const topics = new Map<string, Set<string>>();
    for (const { stream, relation } of this.stepper.inputs.values()) {
      topics.set(stream, (topics.get(stream) ?? new Set()).add(relation));
    }
    const { meta } = opened;
    const { log } = options;
    this.#feeds = [...topics].map(
      ([stream, wanted]) => new SourceFeed(stream, wanted, meta?.sources[stream] ?? none, log),
    );
    const isExact = meta?.isPublished === true && published !== null;
    const target = this.#feeds.map(({ stream }): [string, Frontier] => {
      const point = published?.sources[stream];
      if (isExact) return [stream, point === undefined ? none : { ...point, timeMs: 0 }];
      return [stream, log.frontier(stream)];
    });
    this.#silent = { target: new Map(target), isExact };
    const { stepper } = this;
    const parts = { store: opened.store, writer, stepper, feeds: [...this.#feeds] };
    this.#publisher = new Publisher(options, parts, onProgress);
    this.#build = meta === null ? new FirstBuild(options, opened.store, stepper) : null;
  }

  /** Opens the state, a new one if `isFresh`. */
  static async open(
    options: StageOptions,
    writer: LogWriter,
    isFresh: boolean,
    onProgress: () => void,
  ): Promise<Session> {
    const published = publishedVector(options);
    const wanted = fingerprint(options);
    const { log, directory, files } = options;
    const opened = await openState(
      options,
      (meta) => !isFresh && isUsable(meta, wanted, published, options),
      (meta) => equalsTopics(meta, published, log),
    );
    let old: OldResults | null = null;
    try {
      if (options.state === 'disk') old = await OldResults.open(directory, { files, log, published });
      return new Session(options, { ...opened, old }, published, writer, onProgress);
    } catch (error) {
      await old?.close();
      await opened.store.close();
      throw error;
    }
  }

  /** Works until the signal is aborted (true), or until the state must be made anew (false). */
  async run(signal: AbortSignal): Promise<boolean> {
    this.#forgetCursors();
    await this.#build?.open();
    for (const feed of this.#feeds) feed.open(signal);
    for (;;) {
      if (this.#silent !== null && this.#open === null && this.#hasCaughtUp()) await this.#catchUp(signal);
      const feed = await this.#next(signal);
      if (feed === null) break;
      const from = feed.reached;
      const pieces = feed.take(this.#limitOf(feed));
      if (pieces === null) break;
      await this.#take(feed, from, pieces);
      if (this.#isLost) return false;
      await this.#doWhatIsDue();
    }
    if (!signal.aborted) {
      throw new TidemarkError('LOG_CLOSED', 'the log that views read has ended', { place: { source: viewsStream } });
    }
    if (this.#open !== null || this.#build !== null) return true;
    await this.#persist();
    await this.#store.flushed();
    return true;
  }

  async close(): Promise<void> {
    for (const feed of this.#feeds) await feed.close();
    await this.old?.close();
    await this.#build?.close();
    await this.#store.close();
  }

  /** Number of the newest step handed to the log. */
  get step(): number {
    return this.#publisher.step;
  }

  /** Whether the view's topic holds its result, or will when the view's key is unique again. */
  isConsistent(view: string): boolean {
    return this.#silent === null && this.#publisher.isShown(view);
  }

  status(): ViewStatus[] {
    const sizes = this.#store.sizes();
    const { log, clock } = this.#options;
    const behind = this.#feeds.filter(({ stream, reached }) => reached.seq < log.frontier(stream).seq);
    const oldestMs = Math.min(...behind.map(({ reached }) => reached.timeMs).filter((timeMs) => timeMs > 0));
    const lagMs = Number.isFinite(oldestMs) ? Math.max(0, clock.now() - oldestMs) : 0;
    return this.stepper.views.map(({ name, output }) => {
      const states = this.stepper.engine.nodes
        .filter(({ views }) => views.has(name))
        .flatMap((node) => node.states.map((state) => state.name));
      const message = this.stepper.violationOf(name);
      return {
        name,
        step: this.step,
        rows: output.results.size,
        stateBytes: [...new Set(states), `result:${name}`].reduce((sum, state) => sum + (sizes.get(state) ?? 0), 0),
        lagSeconds: lagMs / 1000,
        deadLetters: this.stepper.deadLettersOf(name),
        consistent: this.isConsistent(name),
        error: message === null ? null : { code: 'VIEW_KEY', message, hint: keyHint },
      };
    });
  }

  /** The feed to go on with, in turns; null when the signal is aborted. */
  async #next(signal: AbortSignal): Promise<SourceFeed | null> {
    for (;;) {
      if (signal.aborted) return null;
      const wanted = this.#wanted();
      const ready = wanted.find(({ isReady }) => isReady);
      if (ready !== undefined) {
        this.#feeds = [...this.#feeds.filter((feed) => feed !== ready), ready];
        return ready;
      }
      await this.#wait(wanted, signal);
    }
  }

  #wanted(): readonly SourceFeed[] {
    if (this.#open !== null) return [this.#open];
    const silent = this.#silent;
    if (silent?.isExact !== true) return this.#feeds;
    // On the way to the published vector, each feed goes exactly as far as that says.
    return this.#feeds.filter(({ stream, reached }) => reached.seq < (silent.target.get(stream)?.seq ?? 0));
  }

  /** Waits for any of the feeds, or until something that was put off is due. */
  async #wait(feeds: readonly SourceFeed[], signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const now = clock.monotonic();
    const dues: number[] = [];
    if (this.#open === null) {
      if (this.#silent === null) dues.push(this.#publisher.markAtMs);
      if (this.#stateDue) dues.push(this.#persistedAt + persistMs);
    }
    const dueMs = Math.min(...dues) - now;
    if (dueMs <= 0) return this.#doWhatIsDue();
    const over = new AbortController();
    const end = (): void => over.abort();
    signal.addEventListener('abort', end);
    try {
      const timer = clock.sleep(Number.isFinite(dueMs) ? dueMs : idleMs, over.signal).catch(() => undefined);
      await Promise.race([timer, ...feeds.map(async (feed) => feed.ready())]);
    } finally {
      signal.removeEventListener('abort', end);
      over.abort();
    }
  }

  #limitOf({ stream }: SourceFeed): Frontier | null {
    return this.#silent?.isExact === true ? (this.#silent.target.get(stream) ?? null) : null;
  }

  async #take(feed: SourceFeed, from: Frontier, pieces: readonly Piece[]): Promise<void> {
    for (const { kind, seq } of pieces) {
      if (kind === 'full' && from.seq > 0) {
        this.#isLost = true;
        return;
      }
      if (kind === 'net' && seq > (this.#limitOf(feed)?.seq ?? Infinity)) this.#giveUpExactness();
    }
    const end = pieces.findLastIndex(({ last }) => last) + 1;
    if (this.#build !== null) {
      this.stepper.spool(pieces);
      if (pieces.length > 0) this.#open = end < pieces.length ? feed : null;
      return;
    }
    const publish = this.#silent === null;
    if (end > 0) {
      const startMs = this.#options.clock.monotonic();
      const isGathered = this.#open !== null && publish;
      this.stepper.take(pieces.slice(0, end), isGathered, publish);
      this.#open = null;
      this.#stateDue = true;
      if (publish) await this.#publisher.publishStep(isGathered, startMs);
    }
    if (end < pieces.length) {
      this.stepper.take(pieces.slice(end), publish, publish);
      this.#open = feed;
    }
    if (feed.reached.position !== from.position) this.#publisher.markDue = true;
  }

  /** The source gives a sum of transactions that goes past the published vector: what is different from the topics must be found. */
  #giveUpExactness(): void {
    const { log } = this.#options;
    this.#silent = { isExact: false, target: new Map(this.#feeds.map(({ stream }) => [stream, log.frontier(stream)])) };
  }

  #hasCaughtUp(): boolean {
    const silent = this.#silent;
    if (silent === null) return false;
    for (const { stream, reached } of this.#feeds)
      if (reached.seq < (silent.target.get(stream)?.seq ?? 0)) return false;
    return silent.isExact || [...this.stepper.inputs.values()].every((input) => this.#isTableConsistent(input));
  }

  #isTableConsistent({ stream, relation }: { stream: string; relation: string }): boolean {
    const value = this.#options.log.state(stream).get(`consistent:${relation}`);
    const feed = this.#feeds.find((each) => each.stream === stream);
    return value !== undefined && (JSON.parse(value) as { seq: number }).seq <= (feed?.reached.seq ?? 0);
  }

  /** State and topics are brought together; from here on results are published. */
  async #catchUp(signal: AbortSignal): Promise<void> {
    if (this.#build !== null) {
      if (!(await this.#build.run(signal))) return;
      await this.#build.close();
      this.#build = null;
      this.#stateDue = true;
    }
    const silent = this.#silent;
    this.#silent = null;
    if (silent?.isExact === true) {
      for (const feed of this.#feeds) {
        const target = silent.target.get(feed.stream);
        if (target?.seq === feed.reached.seq) feed.reached = { ...target, timeMs: feed.reached.timeMs };
      }
      for (const view of this.stepper.views) view.wasHeld = this.stepper.isHeld(view.name);
      await this.#forgetOld();
      return;
    }
    // A source that has brought nothing yet has a position all the same.
    for (const feed of this.#feeds) {
      const { seq, position, timeMs } = this.#options.log.frontier(feed.stream);
      if (seq === feed.reached.seq) feed.reached = { seq, position, timeMs: feed.reached.timeMs || timeMs };
    }
    await this.#publisher.publishAll(this.#options.clock.monotonic());
    await this.#forgetOld();
  }

  /** The new results are the published ones. */
  async #forgetOld(): Promise<void> {
    const { old } = this;
    if (old === null) return;
    this.old = null;
    await old.close();
    await removeOldState(this.#options.files, this.#options.directory);
  }

  /** What no state on disk waits for must not be kept for it. */
  #forgetCursors(): void {
    const { log } = this.#options;
    const read = new Set(this.#store.kind === 'disk' ? this.#feeds.map(({ stream }) => stream) : []);
    for (const stream of log.streams()) if (!read.has(stream)) log.registerCursor(stream, viewsStream, null);
  }

  async #doWhatIsDue(): Promise<void> {
    if (this.#build !== null) {
      await this.#build.relieve();
      return;
    }
    if (this.#open !== null) {
      await this.#store.relieve?.();
      return;
    }
    const now = this.#options.clock.monotonic();
    if (this.#silent === null && this.#publisher.markAtMs <= now) this.#publisher.mark();
    const isPersistDue = this.#store.isFull === true || now - this.#persistedAt >= persistMs;
    if (this.#stateDue && isPersistDue) await this.#persist();
  }

  /** Commits state, behind the results that it led to. */
  async #persist(): Promise<void> {
    const { log } = this.#options;
    // State that a kill leaves ahead of the published vector would have to be made anew.
    if (this.#silent === null) this.#publisher.mark();
    await this.#writer.durable();
    // One commit at a time is on its way, so that what waits stays bounded.
    await this.#store.flushed();
    for (const [stream, seq] of this.#persisted) log.registerCursor(stream, viewsStream, seq);
    const sources = Object.fromEntries(this.#feeds.map(({ stream, reached }) => [stream, reached]));
    const meta: StateMeta = {
      epoch: log.epoch,
      fingerprint: this.#fingerprint,
      isPublished: this.#silent?.isExact ?? true,
      sources,
      tables: Object.fromEntries(this.stepper.views.map(({ name, encoder }) => [name, encoder.schemaId])),
    };
    this.#store.commit(JSON.stringify(meta));
    this.#persisted =
      this.#store.kind === 'disk' ? this.#feeds.map(({ stream, reached }) => [stream, reached.seq]) : [];
    this.#stateDue = false;
    this.#persistedAt = this.#options.clock.monotonic();
  }
}

function publishedVector({ log }: StageOptions): PublishedVector | null {
  const text = log.state(viewsStream).get(vectorKey);
  if (text === undefined) return null;
  const vector = JSON.parse(text) as PublishedVector;
  return vector.epoch === log.epoch ? vector : null;
}

/** Whether the state is of these views and inputs, and not ahead of what it is to be brought to. */
function isUsable(meta: StateMeta, wanted: string, published: PublishedVector | null, { log }: StageOptions): boolean {
  if (meta.epoch !== log.epoch || meta.fingerprint !== wanted) return false;
  for (const [stream, { seq }] of Object.entries(meta.sources)) {
    if (seq > log.frontier(stream).seq) return false;
    if (meta.isPublished && seq > (published?.sources[stream]?.seq ?? 0)) return false;
  }
  return true;
}
