import { TidemarkError } from '../../base/errors.ts';
import type { ChangeSet } from '../change-set.ts';
import type { SearchSinkOptions } from '../options.ts';
import type { Cursor, RejectedRow, SinkDocument, SinkShape, SinkState, Target } from '../port.ts';
import type { SinkDependencies } from '../sink.ts';

/** An index of OpenSearch or Elasticsearch. One sink is one target. */
export class SearchTarget implements Target {
  readonly type: 'opensearch' | 'elasticsearch';
  readonly wants = 'net';
  readonly batchBytes = 1024 * 1024;

  constructor(member: SearchSinkOptions, _deps: SinkDependencies) {
    this.type = member.type;
  }

  async open(): Promise<ReadonlyMap<string, SinkState>> {
    throw new TidemarkError('INTERNAL', `${this.type} is not there yet`);
  }

  async begin(): Promise<void> {}

  async beginRebuild(_sink: string): Promise<void> {}

  async reshape(_sink: string, _shape: SinkShape): Promise<void> {}

  async apply(_sink: string, _changes: ChangeSet, _from: number, _to: number): Promise<readonly RejectedRow[]> {
    return [];
  }

  async commitRebuild(_sink: string): Promise<void> {}

  async commit(_sinks: readonly string[], _cursor: Cursor): Promise<void> {}

  async rollback(): Promise<void> {}

  async close(): Promise<void> {}

  /** What readers see, by a scroll, after a refresh. */
  async *scan(_sink: string): AsyncGenerator<readonly SinkDocument[]> {
    yield [];
  }

  expect(_sink: string, _changes: ChangeSet, _from: number, _to: number): readonly SinkDocument[] {
    return [];
  }

  async repair(_sink: string, _rows: ChangeSet, _extra: readonly string[]): Promise<void> {}

  /** Returns once searches see everything that was committed. */
  async makeSearchable(_sink: string): Promise<void> {}
}
