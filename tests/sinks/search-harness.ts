import { rowJsonEncoder } from '../../model/json.ts';
import type { Table } from '../../model/table.ts';
import { packRow } from '../../model/row.ts';
import { createSinkGroups } from '../../sinks/create-groups.ts';
import type { SearchSinkOptions } from '../../sinks/options.ts';
import { SearchTarget } from '../../sinks/search/search-target.ts';
import type { SinkGroup } from '../../sinks/sink-group.ts';
import type { SinkDependencies } from '../../sinks/sink.ts';
import { until } from '../servers/process.ts';
import type { SearchSuite } from '../servers/search-suite.ts';
import { Harness } from './harness.ts';
import type { Row } from './harness.ts';

export const deadlineMs = 90_000;

export type Changes = Partial<Omit<SearchSinkOptions, 'type' | 'url'>>;

/** One sink on a search engine, its log, and questions to the engine. */
export class SearchFixture {
  readonly harness: Harness;
  readonly suite: SearchSuite;
  readonly deployment: string;
  readonly options: SearchSinkOptions;
  target: SearchTarget;
  group: SinkGroup | null = null;
  #stop = new AbortController();
  #running: Promise<void> | null = null;

  constructor(suite: SearchSuite, harness: Harness, from: Table, changes: Changes, deployment: string) {
    this.suite = suite;
    this.harness = harness;
    this.deployment = deployment;
    this.options = {
      name: 'search',
      type: suite.engine,
      url: suite.url,
      from: from.topic,
      index: `${deployment}-rows`,
      mapping: null,
      settings: { number_of_replicas: 0 },
      routing: null,
      refresh: 100,
      start: 'consistent',
      ...changes,
    };
    this.target = new SearchTarget(this.options, this.dependencies());
  }

  static async create(suite: SearchSuite, from: Table, changes: Changes = {}): Promise<SearchFixture> {
    return new SearchFixture(suite, await Harness.create({ segmentBytes: 64 * 1024 }), from, changes, suite.name('d'));
  }

  dependencies(changes: Partial<SinkDependencies> = {}): SinkDependencies {
    return this.harness.dependencies({ name: this.deployment, ...changes });
  }

  get feeder(): Harness['feeder'] {
    return this.harness.feeder;
  }

  /** Starts delivery. */
  run(): SinkGroup {
    const [group] = createSinkGroups([this.options], this.dependencies(), { search: SearchTarget });
    if (group === undefined) throw new Error('no group');
    if (group.target instanceof SearchTarget) this.target = group.target;
    this.group = group;
    this.#stop = new AbortController();
    this.#running = group.run(this.#stop.signal);
    return group;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#running = null;
  }

  /** Stops, and leaves the engine as it was: what is there makes its next start longer. */
  async close(): Promise<void> {
    await this.stop();
    await this.harness.close();
    const names = `${this.options.index}-*,.tidemark-${this.deployment}`;
    const query = 'expand_wildcards=all&ignore_unavailable=true&filter_path=*.aliases';
    const { body } = await this.suite.request('GET', `/${names}?${query}`);
    for (const index of Object.keys(body)) await this.suite.request('DELETE', `/${index}`);
  }

  /** Waits until the sink holds everything that was fed, and searches see it. */
  async searchable(): Promise<void> {
    await this.reached(this.feeder.seq);
    await this.target.makeSearchable(this.options.name);
  }

  async reached(seq: number): Promise<void> {
    const { group } = this;
    await until(`the sink to reach ${seq} from ${JSON.stringify(group?.status())}`, () => this.at() >= seq, deadlineMs);
  }

  /** Number of the transaction that readers see. */
  at(): number {
    return this.group?.status()[0]?.seq ?? 0;
  }

  error(): string | undefined {
    return this.group?.status()[0]?.error?.code;
  }

  /** Ids that a query finds, in their order. */
  async find(query: unknown): Promise<string[]> {
    const { status, body, text } = await this.suite.request('POST', `/${this.options.index}/_search`, {
      size: 100,
      query,
    });
    if (status !== 200) throw new Error(text);
    return body.hits.hits.map((hit: { _id: string }) => hit._id).toSorted();
  }

  /** `_source` of a document, to the byte. */
  async source(id: string): Promise<string | null> {
    const path = `/${this.options.index}/_source/${encodeURIComponent(id)}`;
    const { status, text } = await this.suite.request('GET', path);
    return status === 200 ? text : null;
  }

  /** The index behind the alias. */
  async index(): Promise<string> {
    const { body } = await this.suite.request('GET', `/_alias/${this.options.index}`);
    return Object.keys(body).join(',');
  }

  /** All that searches see: id and what verify compares. */
  async contents(): Promise<Map<string, string>> {
    const contents = new Map<string, string>();
    for await (const documents of this.target.scan(this.options.name)) {
      for (const { key, text } of documents) contents.set(key, text);
    }
    return contents;
  }
}

/** The row as PostgreSQL prints it as JSON. */
export function jsonOf(of: Table, row: Row, numbers: 'exact' | 'string' = 'exact'): string {
  const packed = packRow(of.columns.map(({ name }) => row[name] ?? null));
  return rowJsonEncoder(of, { singleLine: true, numbers }).stringify(packed, 0);
}
