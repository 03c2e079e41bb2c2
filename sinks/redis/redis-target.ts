import { TidemarkError } from '../../base/errors.ts';
import type { ChangeSet } from '../change-set.ts';
import type { RedisSinkOptions } from '../options.ts';
import { noneRejected } from '../port.ts';
import type { Cursor, RejectedRow, SinkDocument, SinkShape, SinkState, Target } from '../port.ts';
import type { SinkDependencies } from '../sink.ts';

/** A database of a Redis server. */
export class RedisTarget implements Target {
  readonly type = 'redis';
  readonly wants = 'net';
  readonly #members: readonly RedisSinkOptions[];
  readonly #deps: SinkDependencies;

  constructor(members: readonly RedisSinkOptions[], deps: SinkDependencies) {
    this.#members = members;
    this.#deps = deps;
  }

  async open(): Promise<ReadonlyMap<string, SinkState>> {
    throw new TidemarkError('INTERNAL', `not written: ${this.#deps.name} ${this.#members.length}`);
  }
  async begin(): Promise<void> {}
  async beginRebuild(_sink: string): Promise<void> {}
  async reshape(_sink: string, _shape: SinkShape): Promise<void> {}
  async apply(_sink: string, _changes: ChangeSet, _from: number, _to: number): Promise<readonly RejectedRow[]> {
    return noneRejected;
  }
  async commitRebuild(_sink: string): Promise<void> {}
  async commit(_sinks: readonly string[], _cursor: Cursor): Promise<void> {}
  async rollback(): Promise<void> {}
  async *scan(_sink: string): AsyncIterable<readonly SinkDocument[]> {}
  expect(_sink: string, _changes: ChangeSet, _from: number, _to: number): readonly SinkDocument[] {
    return [];
  }
  async repair(_sink: string, _rows: ChangeSet, _extra: readonly string[]): Promise<void> {}
  async close(): Promise<void> {}
}
