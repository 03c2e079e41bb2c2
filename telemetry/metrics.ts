import { createRequire } from 'node:module';
import type * as PromClient from 'prom-client';
import type { PipelineEvent } from '../model/events.ts';
import type { ServiceStatus } from './status.ts';

// prom-client's index also loads node:cluster, OpenTelemetry and its default metrics, 20 MB of memory that nothing here uses.
const require = createRequire(import.meta.url);
const Counter = require('prom-client/lib/counter.js') as typeof PromClient.Counter;
const Gauge = require('prom-client/lib/gauge.js') as typeof PromClient.Gauge;
const Histogram = require('prom-client/lib/histogram.js') as typeof PromClient.Histogram;
const Registry = require('prom-client/lib/registry.js') as typeof PromClient.Registry;

/**
 * The Prometheus metrics of one service. Counters are fed by the pipeline's events; gauges are set from the status document when
 * somebody scrapes, so that nothing is computed for nobody.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #gauges: readonly GaugeGroup[];
  readonly #events = this.#counter('events_total', 'Changes handed to the log.', ['source', 'table', 'op']);
  readonly #snapshotRows = this.#counter('snapshot_rows_total', 'Rows read by snapshots.', ['source', 'table']);
  readonly #sourceRetries = this.#counter(
    'source_retries_total',
    'Attempts of a source that failed and are repeated.',
    ['source', 'code'],
  );
  readonly #sinkWrites = this.#counter('sink_writes_total', 'Net changes applied to a sink.', ['sink', 'op']);
  readonly #sinkCommits = this.#counter('sink_commits_total', 'Commits applied to a sink.', ['sink']);
  readonly #sinkRetries = this.#counter('sink_retries_total', 'Attempts of a sink that failed and are repeated.', [
    'sink',
    'code',
  ]);
  readonly #viewSteps = this.#counter('view_steps_total', 'Steps of all views together.', []);
  readonly #viewSeconds = new Histogram({
    name: 'tidemark_view_step_seconds',
    help: 'Time that a step of all views took, from its input to its output in the log.',
    buckets: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
    registers: [this.#registry],
  });
  readonly #viewChanges = this.#counter('view_changes_total', 'Changes of results that steps published.', []);
  readonly #compactions = this.#counter('log_compactions_total', 'Compactions of a stream of the log.', ['stream']);

  constructor(version: string) {
    this.#gauges = [...this.#sourceGauges(), ...this.#viewGauges(), ...this.#sinkGauges(), ...this.#serviceGauges()];
    this.#gauge('build_info', 'The running version.', ['version']).set({ version }, 1);
  }

  /** The content type of what `scrape` returns. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  onEvent(event: PipelineEvent): void {
    switch (event.type) {
      case 'source.changes': {
        const labels = { source: event.source, table: event.table };
        if (event.create > 0) this.#events.inc({ ...labels, op: 'c' }, event.create);
        if (event.update > 0) this.#events.inc({ ...labels, op: 'u' }, event.update);
        if (event.delete > 0) this.#events.inc({ ...labels, op: 'd' }, event.delete);
        if (event.read > 0) {
          this.#events.inc({ ...labels, op: 'r' }, event.read);
          this.#snapshotRows.inc(labels, event.read);
        }
        return;
      }
      case 'source.retrying':
        this.#sourceRetries.inc({ source: event.source, code: event.error.code });
        return;
      case 'sink.applied':
        this.#sinkCommits.inc({ sink: event.sink });
        this.#sinkWrites.inc({ sink: event.sink, op: 'upsert' }, event.upserts);
        this.#sinkWrites.inc({ sink: event.sink, op: 'delete' }, event.deletes);
        return;
      case 'sink.retrying':
        this.#sinkRetries.inc({ sink: event.sink, code: event.error.code });
        return;
      case 'view.step':
        this.#viewSteps.inc();
        this.#viewSeconds.observe(event.seconds);
        this.#viewChanges.inc(event.changes);
        return;
      case 'log.compacted':
        this.#compactions.inc({ stream: event.stream });
        return;
      default:
    }
  }

  /** All metrics in Prometheus' text format, with the gauges as `status` has them. */
  async scrape(status: ServiceStatus): Promise<string> {
    for (const { gauge, values } of this.#gauges) {
      gauge.reset();
      for (const [labels, value] of values(status)) if (value !== null) gauge.set(labels, value);
    }
    return this.#registry.metrics();
  }

  #sourceGauges(): GaugeGroup[] {
    const of = (name: string, help: string, value: (source: ServiceStatus['sources'][number]) => number | null) => ({
      gauge: this.#gauge(name, help, ['source']),
      values: (status: ServiceStatus) =>
        status.sources.map((source): LabelledValue => [{ source: source.name }, value(source)]),
    });
    return [
      of(
        'source_lag_seconds',
        'Age of the newest change of the source that the log does not hold.',
        (s) => s.lag_seconds,
      ),
      of(
        'source_lag_bytes',
        'Bytes of the log of the source itself that tidemark has yet to make durable.',
        (s) => s.lag_bytes,
      ),
      of('source_consistent', '1 when every topic of the source equals its table.', (s) => Number(s.consistent)),
      of('source_up', '1 while the source makes progress.', (s) => Number(s.error === null)),
      of('snapshot_running', '1 while a snapshot is under way.', (s) => Number(s.snapshot.state === 'running')),
      of('snapshot_rows_estimated', 'Rows that the snapshot is expected to read.', (s) => s.snapshot.rows_estimated),
    ];
  }

  #viewGauges(): GaugeGroup[] {
    const of = (name: string, help: string, value: (view: ServiceStatus['views'][number]) => number | null) => ({
      gauge: this.#gauge(name, help, ['view']),
      values: (status: ServiceStatus) => status.views.map((view): LabelledValue => [{ view: view.name }, value(view)]),
    });
    return [
      of('view_rows', 'Rows of the result.', (v) => v.rows),
      of('view_state_bytes', 'Bytes of state; what views share is counted for each.', (v) => v.state_bytes),
      of('view_lag_seconds', 'Age of the oldest commit that the result does not contain.', (v) => v.lag_seconds),
      of('view_consistent', '1 when the result equals the query at its step.', (v) => Number(v.consistent)),
      of('view_up', '1 while the view makes progress.', (v) => Number(v.error === null)),
      of('view_dead_letters', 'Rows that an expression fails on.', (v) => v.dead_letters),
    ];
  }

  #sinkGauges(): GaugeGroup[] {
    const of = (name: string, help: string, value: (sink: ServiceStatus['sinks'][number]) => number | null) => ({
      gauge: this.#gauge(name, help, ['sink']),
      values: (status: ServiceStatus) => status.sinks.map((sink): LabelledValue => [{ sink: sink.name }, value(sink)]),
    });
    return [
      of('sink_lag_seconds', 'Age of the oldest commit that the sink does not hold.', (s) => s.lag_seconds),
      of('sink_seq', 'Newest transaction that the sink holds.', (s) => s.seq),
      of('sink_consistent', '1 when the sink equals the source at its position.', (s) => Number(s.consistent)),
      of('sink_up', '1 while the sink makes progress.', (s) => Number(s.error === null)),
      of('sink_paused', '1 while the sink is paused.', (s) => Number(s.paused)),
      of('sink_rebuilding', '1 while a state that readers do not see yet is being built.', (s) =>
        Number(s.rebuild !== null),
      ),
      of('dead_letters', 'Rows that the sink refused and that wait for a decision.', (s) => s.dead_letters),
    ];
  }

  #serviceGauges(): GaugeGroup[] {
    const of = (name: string, help: string, value: (status: ServiceStatus) => number | null) => ({
      gauge: this.#gauge(name, help, []),
      values: (status: ServiceStatus): LabelledValue[] => [[{}, value(status)]],
    });
    const plain = (name: string, help: string, value: () => number): GaugeGroup => {
      const gauge = new Gauge({ name, help, registers: [this.#registry] });
      return { gauge, values: () => [[{}, value()]] };
    };
    return [
      of('ready', '1 when every source and sink makes progress.', (status) => Number(status.ready)),
      of('log_bytes', 'Bytes that the log takes on disk.', (status) => status.log.bytes),
      of('log_topics', 'Topics in the log.', (status) => status.log.topics),
      of('disk_used_ratio', 'How full the disk under data_dir is, from 0 to 1.', (status) =>
        status.log.disk_used_percent === null ? null : status.log.disk_used_percent / 100,
      ),
      plain('process_resident_memory_bytes', 'Resident memory of the process.', () => process.memoryUsage.rss()),
      plain('process_cpu_seconds_total', 'User and system CPU time of the process.', cpuSeconds),
      plain('process_start_time_seconds', 'Start of the process, in seconds since 1970.', () =>
        Math.round(performance.timeOrigin / 1000),
      ),
    ];
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): PromClient.Counter<Label> {
    return new Counter({ name: `tidemark_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, labelNames: string[]): PromClient.Gauge {
    return new Gauge({ name: `tidemark_${name}`, help, labelNames, registers: [this.#registry] });
  }
}

type LabelledValue = [labels: Record<string, string>, value: number | null];

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** A gauge with what it shows of a status document. */
interface GaugeGroup {
  readonly gauge: PromClient.Gauge;
  readonly values: (status: ServiceStatus) => LabelledValue[];
}
