import { present } from '../../base/assert.ts';
import { TidemarkError, isTidemarkError } from '../../base/errors.ts';
import type { Log } from '../../model/log.ts';
import type { Table } from '../../model/table.ts';
import type { Target } from '../../sinks/port.ts';
import type { Sink } from '../../sinks/sink.ts';
import type { Pipeline } from '../pipeline.ts';
import type { SourceUnit } from '../source-unit.ts';
import { waitForSink } from '../wait.ts';
import { Tally } from './answer.ts';
import type { TableAnswer, VerifyAnswer } from './answer.ts';
import { Comparison } from './compare.ts';
import type { ComparisonProgress, Difference, DifferenceKind, Sides } from './compare.ts';
import { Documents } from './documents.ts';
import { Repairer } from './repair.ts';
import type { Logged } from './repair.ts';
import type { FreshView } from './fresh-view.ts';
import { logSides, sourceSides } from './sides.ts';
import type { Compared } from './sides.ts';
import type { ViewQuery } from './view-query.ts';

/** A sink that is failing or being filled is waited for so long. */
const waitMsMax = 600_000;
/** A source that is being connected to, so long. */
const connectWaitMs = 60_000;

export interface VerifyRequest {
  readonly sink: string;
  /** Makes the sink hold what the log holds, where it differs; and reads tables again that differ from the log. */
  readonly repair: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: VerifyProgress) => void;
}

export interface VerifyProgress extends ComparisonProgress {
  /** What is being compared: the sink, or a table with the log. */
  readonly what: string;
  /** Rows found to differ so far. */
  readonly differences: number;
}

/**
 * Compares a sink with its source, while both change (docs/verify.md). SINK_UNKNOWN; SINK_UNREADABLE where nothing can be read back;
 * what waiting for the sink or reading the source fails with.
 */
export async function verifySink(pipeline: Pipeline, request: VerifyRequest): Promise<VerifyAnswer> {
  const startedMs = pipeline.clock.monotonic();
  const run = new Verification(pipeline, request);
  const answer = await run.run();
  return { ...answer, took_ms: Math.round(pipeline.clock.monotonic() - startedMs) };
}

class Verification {
  readonly #pipeline: Pipeline;
  readonly #request: VerifyRequest;
  readonly #sink: Sink;
  readonly #compared: Compared;
  readonly #repairer: Repairer;
  readonly #view: string | null;
  readonly #tally = new Tally();
  readonly #notes: string[] = [];
  #repaired = 0;
  #orderOnly = 0;
  /** Rows that are not there, of a sink whose rows expire; or in the sink alone, of a stream. */
  #byDesign = 0;
  /** Rows in which the log differs from the source. */
  #logDiffers = 0;
  /** What there should be is the sink's topic in the log itself. */
  #isOwnTopic = false;

  constructor(pipeline: Pipeline, request: VerifyRequest) {
    const { group: unit, view } = pipeline.sink(request.sink);
    this.#pipeline = pipeline;
    this.#request = request;
    this.#view = view;
    const group = unit.group;
    const sink = present(
      group?.sinks.find(({ name }) => name === request.sink),
      `sink ${request.sink}`,
    );
    const target = group?.target;
    if (group === undefined || target === undefined) throw unreadable(sink);
    this.#sink = sink;
    this.#compared = comparedSink(pipeline.log, sink, target);
    this.#repairer = new Repairer(this.#compared, group, sink.name, () => pipeline.sinkReport(sink.name).seq);
  }

  async run(): Promise<Omit<VerifyAnswer, 'took_ms'>> {
    await this.#connected();
    // It might be back in a moment; whoever asks to verify would rather know.
    if (this.#sink.error !== null) throw this.#sink.error;
    await this.#reached('now');
    const query = this.#view === null ? null : await this.#viewQuery(this.#view);
    if (query !== null) {
      try {
        return await this.#compare('query', this.#querySides(query), query);
      } catch (error) {
        // The tables can be read one by one, whatever the server has against the query.
        if (!isTidemarkError(error, 'SOURCE_PROTOCOL')) throw error;
        this.#notes.push(`the query of the view cannot be run at its source: ${error.message}`);
      }
    }
    const sides = this.#view === null ? this.#tableSides() : null;
    if (sides !== null) return this.#compare('table', sides, null);
    const fresh = this.#view === null ? null : await this.#freshView(this.#view);
    this.#isOwnTopic = fresh === null;
    const answer = await this.#compare('log', fresh === null ? this.#logSides() : this.#freshSides(fresh), null);
    return { ...answer, tables: await this.#tables() };
  }

  /** A service that has just started may not have reached its sources yet. What one has failed with shows when it is read. */
  async #connected(): Promise<void> {
    const { clock } = this.#pipeline;
    const endMs = clock.monotonic() + connectWaitMs;
    const { sources } = this.#pipeline.sink(this.#sink.name);
    while (sources.some(isComing) && clock.monotonic() < endMs) {
      await Promise.race([this.#pipeline.changed(), clock.sleep(50, this.#request.signal)]);
      this.#request.signal.throwIfAborted();
    }
  }

  // What is about views brings their engine, which a deployment of tables alone need not load.

  async #freshView(view: string): Promise<FreshView | null> {
    const { FreshView: fresh } = await import('./fresh-view.ts');
    return fresh.of(this.#pipeline, view);
  }

  async #viewQuery(view: string): Promise<ViewQuery | null> {
    const { viewQuery } = await import('./view-query.ts');
    const found = await viewQuery(this.#pipeline, view);
    if (typeof found !== 'string') return found;
    this.#notes.push(found);
    return null;
  }

  async #compare(
    against: VerifyAnswer['against'],
    sides: Sides,
    query: ViewQuery | null,
  ): Promise<Omit<VerifyAnswer, 'took_ms'>> {
    const comparison = new Comparison(sides, this.#request.signal, (progress) => this.#progress(progress));
    for await (const found of comparison.differences()) await this.#take(found, comparison, query);
    if (this.#request.repair && this.#logDiffers > 0) await this.#readAgain(sides);
    if (this.#logDiffers > 0) this.#notes.push(this.#aboutLog());
    if (this.#byDesign > 0) this.#notes.push(this.#aboutByDesign());
    if (this.#repairer.rejected > 0) {
      this.#notes.push(
        `the sink refuses ${this.#repairer.rejected} of these rows; 'tidemark dead-letters' has its reasons`,
      );
    }
    const { missing, extra, different } = this.#tally.sorted();
    return {
      sink: this.#sink.name,
      against,
      rows: comparison.rows,
      counts: this.#tally.counts,
      missing,
      extra,
      different,
      cut: this.#tally.cut,
      repaired: this.#repaired,
      log_differs: this.#logDiffers,
      order_only: this.#orderOnly,
      unsettled: comparison.unsettled,
      tables: [],
      notes: this.#notes,
    };
  }

  /** Sees what the log says of the differences, and repairs them if that is wanted. */
  async #take(found: readonly Difference[], comparison: Comparison, query: ViewQuery | null): Promise<void> {
    const { signal, repair } = this.#request;
    const logged = await this.#repairer.logged(found, signal);
    const anyOrder = query?.dependsOnOrder === true;
    const isReal = (difference: Difference): boolean => !anyOrder || !isOrderAlone(difference, logged);
    const inOrder = found.filter(isReal);
    this.#orderOnly += found.length - inOrder.length;
    const real = inOrder.filter(({ kind }) => !this.#isByDesign(kind));
    this.#byDesign += rowsIn(inOrder) - rowsIn(real);
    this.#tally.add(real);
    const isStrange = (difference: Difference): boolean =>
      this.#compared.isKeyless ? !isLogged(difference, logged) : !isAsExpected(difference, logged, anyOrder);
    const strange = this.#isOwnTopic ? [] : real.filter(isStrange);
    // What changed before it was looked up is another row in the log by now.
    const changed = await comparison.changed(strange);
    const inLog = new Set(strange.filter(({ key }) => !changed.has(key)));
    this.#logDiffers += rowsIn([...inLog]);
    const inSink = real.filter((difference) => !inLog.has(difference));
    if (!repair || inSink.length === 0) return;
    await this.#repairer.repair(inSink, signal);
    await this.#reached('now');
    const still = await comparison.again(inSink.map(({ key }) => key));
    this.#repaired += rowsIn(inSink) - rowsIn(still.filter(isReal));
  }

  /** Where the log differs from a table, only the table can put it right. */
  async #readAgain(sides: Sides): Promise<void> {
    const { sources } = this.#pipeline.sink(this.#sink.name);
    const source = sources[0];
    if (!this.#canReadAgain || source === undefined) return;
    await source.snapshot(this.#sink.topic);
    await this.#reached('now');
    const after = new Comparison(sides, this.#request.signal, (progress) => this.#progress(progress));
    let left = 0;
    for await (const found of after.differences()) left += rowsIn(found);
    this.#repaired += Math.max(0, this.#logDiffers - left);
  }

  /** Rows of some Redis sinks expire, and a stream keeps what its table has deleted. */
  #isByDesign(kind: DifferenceKind): boolean {
    if (kind === 'missing') return this.#expires;
    return kind === 'extra' && this.#table?.kind === 'stream';
  }

  get #expires(): boolean {
    const { options } = this.#sink;
    return options.type === 'redis' && options.ttlMs !== null;
  }

  /** The newest version of the sink's table. */
  get #table(): Table | undefined {
    return this.#pipeline.log.table(this.#sink.newestSchemaId());
  }

  #aboutByDesign(): string {
    return this.#expires
      ? `${this.#byDesign} rows are not there, and count as expired (ttl)`
      : `${this.#byDesign} rows are in the sink alone: a stream keeps what its table has deleted`;
  }

  /** What is read of a table without a key would be added to what is there. */
  get #canReadAgain(): boolean {
    return this.#view === null && !this.#compared.isKeyless;
  }

  #aboutLog(): string {
    const rows = `the log differs from the source in ${this.#logDiffers} of these rows`;
    if (this.#view !== null) {
      return `${rows}: repairing the sink is not enough; run 'tidemark snapshot --table' for each table of view ${this.#view}, and where the tables equal the log, remove the folder views of data_dir while tidemark is stopped`;
    }
    if (!this.#canReadAgain) return `${rows}, and its rows have no key by which a new reading could replace them`;
    if (this.#request.repair) return `${rows}: the table was read again`;
    return `${rows}: repairing the sink alone is not enough; run 'tidemark snapshot --table ${this.#sink.topic}', or verify with --repair, which does`;
  }

  #tableSides(): Sides | null {
    const source = this.#pipeline.source(this.#sink.stream);
    const reader = source.reader();
    if (reader === null) {
      this.#notes.push(`source ${source.name} cannot be read again: the sink was compared with the log`);
      return null;
    }
    const { topic } = this.#sink;
    return sourceSides(this.#compared, {
      ready: async (signal) => reader.settled(signal),
      read: async (take, signal) => reader.readTable(topic, take, signal),
      reached: async (position) => this.#reached(position),
    });
  }

  #querySides({ source, query }: ViewQuery): Sides {
    const reader = present(source.reader(), `a reader of ${source.name}`);
    return sourceSides(this.#compared, {
      ready: async (signal) => reader.settled(signal),
      read: async (take, signal) => reader.readQuery(query, take, signal),
      reached: async (position) => this.#reached(position, source.name),
    });
  }

  /** The view as an engine computes it from the log that has not kept it up to date. */
  #freshSides(view: FreshView): Sides {
    return sourceSides(this.#compared, {
      ready: async () => undefined,
      read: async (take, signal) => {
        await view.read(take, signal);
        return 'now';
      },
      reached: async (position) => this.#reached(position),
    });
  }

  #logSides(): Sides {
    const { clock } = this.#pipeline;
    return logSides(this.#compared, async (seq, signal) => {
      while (this.#pipeline.sinkReport(this.#sink.name).seq < seq) {
        await Promise.race([this.#pipeline.changed(), clock.sleep(20, signal)]);
        signal.throwIfAborted();
      }
    });
  }

  /** The other half, where a sink is compared with the log: the log's tables with those of the sources. */
  async #tables(): Promise<TableAnswer[]> {
    if (this.#view === null) return [];
    const { signal } = this.#request;
    const { compareTables } = await import('./log-tables.ts');
    return compareTables(this.#pipeline, this.#view, signal, (table, progress) => this.#progress(progress, table));
  }

  async #reached(position: string, source?: string): Promise<void> {
    const { sink, signal } = this.#request;
    const request = { sink, position, timeoutMs: waitMsMax, signal };
    await waitForSink(this.#pipeline, source === undefined ? request : { ...request, source });
  }

  #progress(progress: ComparisonProgress, what = `sink ${this.#sink.name}`): void {
    const { missing, extra, different } = this.#tally.counts;
    this.#request.onProgress({ ...progress, what, differences: missing + extra + different });
  }
}

/** A sink as it is read back. SINK_UNREADABLE where it cannot be. */
function comparedSink(log: Log, sink: Sink, target: Target): Compared {
  const { name, topic, stream } = sink;
  if (target.scan === undefined || target.expect === undefined) throw unreadable(sink);
  const scan = target.scan.bind(target);
  const expect = target.expect.bind(target);
  const documents = new Documents(log, topic, (changes, from, to) => expect(name, changes, from, to));
  return {
    log,
    stream,
    documents,
    // Asked when it is needed: a sink may have been configured before its table was known.
    get isKeyless() {
      return log.table(sink.newestSchemaId())?.key.length === 0;
    },
    scan: async function* () {
      if (sink.error !== null) throw sink.error;
      await target.makeSearchable?.(name);
      yield* scan(name);
    },
  };
}

function isComing({ isConnected, supervised }: SourceUnit): boolean {
  return !isConnected && supervised.failure === null && supervised.pausedFor === null;
}

/** Whether the log holds what there should be, so that the sink alone is wrong. */
function isAsExpected(difference: Difference, logged: ReadonlyMap<string, Logged>, anyOrder: boolean): boolean {
  const { key, kind, expected, expectedBag } = difference;
  const held = logged.get(key);
  if (kind === 'extra') return held === undefined || held.rows === 0;
  if (held === undefined || held.rows === 0) return false;
  return held.hash === expected || (anyOrder && held.bag === expectedBag);
}

/** The same for a table without a key, of which the log has every row that ever was. */
function isLogged({ key, kind, rows }: Difference, logged: ReadonlyMap<string, Logged>): boolean {
  return kind === 'extra' || (logged.get(key)?.rows ?? 0) >= rows;
}

/** Whether sink and log agree, and the source has the same in another order. */
function isOrderAlone(difference: Difference, logged: ReadonlyMap<string, Logged>): boolean {
  const { key, kind, held, expectedBag, heldBag } = difference;
  return kind === 'different' && expectedBag === heldBag && logged.get(key)?.hash === held;
}

function rowsIn(found: readonly Difference[]): number {
  return found.reduce((sum, { rows }) => sum + rows, 0);
}

function unreadable({ name, type }: Sink): TidemarkError {
  return new TidemarkError('SINK_UNREADABLE', `what sink '${name}' holds cannot be read back: it is of type ${type}`, {
    hint: 'Verify a sink of another type on the same table or view; `tidemark rebuild` makes this one anew.',
    place: { sink: name },
  });
}
