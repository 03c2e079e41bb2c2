import type { Clock } from '../base/clock.ts';
import { present } from '../base/assert.ts';
import { TidemarkError } from '../base/errors.ts';
import type { PipelineEvent, Report } from '../model/events.ts';
import type { Log, TopicInfo } from '../model/log.ts';
import type { LogReport, ServiceStatus, SinkReport } from '../telemetry/status.ts';
import type { DiskLevel, DiskWatch } from './disk-watch.ts';
import { SinkUnit } from './sink-unit.ts';
import type { FedSink, SinkGroupPlan } from './sink-unit.ts';
import { SourceUnit } from './source-unit.ts';
import type { SourcePlan } from './source-unit.ts';
import type { ViewsUnit } from './views-unit.ts';
import { WaitBoard } from './wait-board.ts';

/** Sizes of topics change slowly and cost a look at every segment; status is asked for several times a second. */
const topicsAgeMsMax = 1000;

/** What a pipeline is made of. */
export interface PipelinePlan {
  readonly name: string;
  readonly log: Log;
  readonly sources: readonly SourcePlan[];
  /** Makes what keeps the views; null when the file has none. It is told when no further tables will appear in the log. */
  readonly views: ((tablesAreKnown: () => boolean) => ViewsUnit) | null;
  readonly sinks: readonly SinkGroupPlan[];
}

/** All sources, views and sinks of one deployment around their log, and what they look like from outside. */
export class Pipeline {
  readonly name: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly sources: readonly SourceUnit[];
  readonly views: ViewsUnit | null;
  readonly sinkGroups: readonly SinkUnit[];
  readonly waits: WaitBoard;
  #disk: DiskWatch | null = null;
  #topics: { atMs: number; value: Promise<TopicInfo[]> } | null = null;
  #changed = Promise.withResolvers<void>();

  constructor(plan: PipelinePlan, clock: Clock, report: Report) {
    this.name = plan.name;
    this.waits = new WaitBoard(this);
    this.log = plan.log;
    this.clock = clock;
    this.sources = plan.sources.map((source) => new SourceUnit(source, clock, report));
    this.sinkGroups = plan.sinks.map((group) => new SinkUnit(group, clock, report));
    // What a source has not shown in the log once it is consistent, it will not bring.
    const areKnown = (): boolean => this.sources.every((source) => source.rawStatus().consistent);
    this.views = plan.views && plan.views(areKnown);
    this.views?.onProgress(() => this.#wake());
    for (const group of plan.sinks) group.onProgress(() => this.#wake());
  }

  watchDisk(disk: DiskWatch): void {
    this.#disk = disk;
  }

  /** Runs everything until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const parts = [...this.sources, ...this.sinkGroups].map(({ supervised }) => supervised.run(signal));
    if (this.views) parts.push(this.views.supervised.run(signal));
    if (this.#disk) parts.push(this.#disk.run(signal));
    await Promise.all(parts);
  }

  /** Hears everything that the parts report. */
  onEvent(event: PipelineEvent): void {
    if ('source' in event) this.sources.find(({ name }) => name === event.source)?.onEvent(event);
    if ('sink' in event) for (const group of this.sinkGroups) group.onEvent(event);
    if (event.type === 'source.changes') return;
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /** Resolves at the next event that may move a sink or change its health. */
  changed(): Promise<void> {
    return this.#changed.promise;
  }

  /** A nearly full disk pauses what fills it; sinks go on, since they only read. */
  onDiskLevel(level: DiskLevel): void {
    for (const { supervised } of this.sources) {
      if (level !== 'stop') supervised.resume();
      else supervised.pause(diskFullError(this.#disk?.usedPercent ?? null));
    }
    // Views write what changes in them, and nothing does while the sources are paused.
  }

  source(name: string): SourceUnit {
    const found = this.sources.find((source) => source.name === name);
    if (found) return found;
    throw new TidemarkError('SOURCE_UNKNOWN', `there is no source '${name}'`, {
      hint: knownNames('sources', this.sources),
    });
  }

  /** The source that writes a topic. */
  sourceOfTopic(topic: string): SourceUnit {
    const found = this.sources.find(({ name }) => topic.startsWith(`${name}.`));
    if (found) return found;
    throw new TidemarkError('TOPIC_UNKNOWN', `no source of the file writes '${topic}'`, {
      hint: knownNames('sources', this.sources),
    });
  }

  /** The group of a sink, its view, if it is fed by one, and the sources that what it holds is made of. */
  sink(name: string): { group: SinkUnit; view: string | null; sources: readonly SourceUnit[] } {
    const group = this.sinkUnit(name);
    const sink = present(
      group.sinks.find((candidate) => candidate.name === name),
      `sink ${name}`,
    );
    const view = 'view' in sink.fedBy ? sink.fedBy.view : null;
    return { group, view, sources: this.#sourcesOf(sink) };
  }

  /** While the tables of a view are not known, they may be of any source. */
  #sourcesOf({ fedBy }: FedSink): readonly SourceUnit[] {
    if ('source' in fedBy) return [this.source(fedBy.source)];
    const names = this.views?.sourcesOf(fedBy.view) ?? [];
    return names.length === 0 ? this.sources : names.map((name) => this.source(name));
  }

  /** The unit that a sink belongs to; SINK_UNKNOWN. */
  sinkUnit(name: string): SinkUnit {
    const unit = this.sinkGroups.find(({ sinks }) => sinks.some((sink) => sink.name === name));
    if (unit) return unit;
    const known = this.sinkGroups.flatMap(({ sinks }) => sinks);
    throw new TidemarkError('SINK_UNKNOWN', `there is no sink '${name}'`, { hint: knownNames('sinks', known) });
  }

  /** What commands about a sink act on; SINK_UNKNOWN. */
  sinkGroup(name: string): SinkUnit['group'] {
    return this.sinkUnit(name).group;
  }

  sinkReport(name: string): SinkReport {
    const report = this.sinkUnit(name)
      .status()
      .find((sink) => sink.name === name);
    if (!report) throw new TidemarkError('INTERNAL', `sink '${name}' has no status`);
    return report;
  }

  /** Why the deployment is not ready, one sentence a reason; empty when it is. */
  reasons(): string[] {
    const reasons: string[] = [];
    for (const source of this.sources) {
      const { error } = source.status();
      if (error) reasons.push(`source ${source.name}: ${error.message}`);
      else if (!source.isConnected) reasons.push(`source ${source.name}: is connecting`);
    }
    for (const view of this.views?.status() ?? []) {
      if (view.error) reasons.push(`view ${view.name}: ${view.error.message}`);
      else if (view.dead_letters > 0)
        reasons.push(`view ${view.name}: an expression fails on ${view.dead_letters} of its rows`);
    }
    for (const group of this.sinkGroups) {
      for (const sink of group.status()) if (sink.error) reasons.push(`sink ${sink.name}: ${sink.error.message}`);
    }
    return reasons;
  }

  /** What is not as usual and yet wanted, one sentence each. */
  notes(): string[] {
    const sinks = this.sinkGroups.flatMap((group) => group.status());
    return sinks.flatMap(({ name, paused, rebuild, position }) => [
      ...(paused ? [`sink ${name}: is paused`] : []),
      ...(rebuild !== null && position !== null ? [`sink ${name}: is being rebuilt`] : []),
    ]);
  }

  async #sinkReports(): Promise<SinkReport[]> {
    const reports = this.sinkGroups.flatMap((group) => group.status());
    return Promise.all(
      reports.map(async (report) => {
        if (report.rebuild === null) return report;
        return { ...report, rebuild: { ...report.rebuild, changes_total: await this.topicChanges(report.name) } };
      }),
    );
  }

  /** Changes that the log holds of a sink's topic; null while that is not known. */
  async topicChanges(sink: string): Promise<number | null> {
    const own = this.sinkUnit(sink).sinks.find(({ name }) => name === sink)?.topic;
    const topics = await this.topics().catch(() => []);
    return topics.find(({ topic }) => topic === own)?.records ?? null;
  }

  async status(): Promise<ServiceStatus> {
    const reasons = this.reasons();
    return {
      name: this.name,
      ready: reasons.length === 0,
      reasons,
      notes: this.notes(),
      sources: this.sources.map((source) => source.status()),
      log: await this.#logReport(),
      views: this.views?.status() ?? [],
      sinks: await this.#sinkReports(),
    };
  }

  topics(): Promise<TopicInfo[]> {
    const now = this.clock.monotonic();
    if (!this.#topics || now - this.#topics.atMs > topicsAgeMsMax) {
      const value = this.log.topics();
      // A failed look is not kept.
      value.catch(() => (this.#topics = null));
      this.#topics = { atMs: now, value };
    }
    return this.#topics.value;
  }

  async #logReport(): Promise<LogReport> {
    const topics = await this.topics().catch(() => []);
    return {
      type: this.log.type,
      bytes: topics.reduce((sum, topic) => sum + topic.bytes, 0),
      topics: topics.length,
      disk_used_percent: this.#disk?.usedPercent ?? null,
    };
  }
}

function diskFullError(usedPercent: number | null): TidemarkError {
  const used = usedPercent === null ? '' : ` (${usedPercent.toFixed(1)} % used)`;
  return new TidemarkError('DISK_FULL', `the disk under data_dir is nearly full${used}; sources are paused`, {
    hint: 'Make room; the sources go on by themselves. The database keeps the changes meanwhile, and its WAL grows.',
  });
}

function knownNames(what: string, items: readonly { name: string }[]): string {
  return items.length === 0
    ? `The file has no ${what}.`
    : `Known ${what}: ${items.map(({ name }) => name).join(', ')}.`;
}
