import type { ChangeSet } from '../change-set.ts';
import type { SearchSinkOptions } from '../options.ts';
import type { Cursor, RejectedRow, SinkDocument, SinkShape, SinkState, Target } from '../port.ts';
import { present } from '../../base/assert.ts';
import { SearchSession } from './search-session.ts';
import type { SearchDependencies } from './search-session.ts';

/**
 * An index of OpenSearch or Elasticsearch, which readers use by an alias. One sink is one target.
 *
 * Rows are written by `_bulk` under versions that make a replay harmless (bulk-encoder.ts); the cursor is a document of its own, written
 * after them (sink-record.ts). A rebuild fills an index beside the one that is read, then moves the alias; the one before is kept.
 */
export class SearchTarget implements Target {
  readonly type: 'opensearch' | 'elasticsearch';
  readonly wants = 'net';
  /** Many requests for each commit, since the last of them is alone in flight (benchmarks/sinks-search.ts). */
  readonly batchBytes = 4 * 1024 * 1024;
  readonly #options: SearchSinkOptions;
  readonly #deps: SearchDependencies;
  readonly #token: string;
  #session: SearchSession | null = null;

  constructor(member: SearchSinkOptions, deps: SearchDependencies) {
    this.type = member.type;
    this.#options = member;
    this.#deps = deps;
    this.#token = Array.from({ length: 4 }, () => Math.floor(deps.random() * 2 ** 32).toString(16)).join('-');
  }

  async open(): Promise<ReadonlyMap<string, SinkState>> {
    const session = new SearchSession(this.#options, this.#deps, this.#token);
    this.#session = session;
    const state = await session.open();
    return new Map(state === null ? [] : [[this.#options.name, state]]);
  }

  async begin(): Promise<void> {
    await this.#open().begin();
  }

  async beginRebuild(_sink: string): Promise<void> {
    await this.#open().beginRebuild();
  }

  async reshape(_sink: string, shape: SinkShape): Promise<void> {
    await this.#open().reshape(shape);
  }

  async apply(_sink: string, changes: ChangeSet, from: number, to: number): Promise<readonly RejectedRow[]> {
    return this.#open().apply(changes, from, to);
  }

  async commitRebuild(_sink: string): Promise<void> {
    this.#open().commitRebuild();
  }

  async commit(_sinks: readonly string[], cursor: Cursor): Promise<void> {
    await this.#open().commit(cursor);
  }

  async rollback(): Promise<void> {
    this.#session?.rollback();
  }

  /** What readers see, after a refresh. */
  async *scan(_sink: string): AsyncGenerator<readonly SinkDocument[]> {
    yield* this.#open().scan();
  }

  expect(_sink: string, changes: ChangeSet, from: number, to: number): readonly SinkDocument[] {
    return this.#open().expect(changes, from, to);
  }

  async repair(_sink: string, rows: ChangeSet, extra: readonly string[]): Promise<void> {
    await this.#open().repair(rows, extra);
  }

  /** Returns once searches see everything that was committed. */
  async makeSearchable(_sink: string): Promise<void> {
    await this.#open().refresher.searchable();
  }

  interrupt(): void {
    this.#session?.client.interrupt();
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    await session?.close();
  }

  #open(): SearchSession {
    return present(this.#session, 'the open index');
  }
}
