import type { ChangeSet } from '../../sinks/change-set.ts';
import type { Cursor, RejectedRow, SinkShape, SinkState, Target } from '../../sinks/port.ts';

/** A target that hands everything on; what a test changes of it, it overrides. */
export class WrappedTarget<Inner extends Target> implements Target {
  readonly type: string;
  readonly wants: Target['wants'];
  protected readonly inner: Inner;

  constructor(inner: Inner) {
    this.inner = inner;
    this.type = inner.type;
    this.wants = inner.wants;
  }
  async open(): Promise<ReadonlyMap<string, SinkState>> {
    return this.inner.open();
  }
  async begin(): Promise<void> {
    return this.inner.begin();
  }
  async beginRebuild(sink: string): Promise<void> {
    return this.inner.beginRebuild(sink);
  }
  async reshape(sink: string, shape: SinkShape): Promise<void> {
    return this.inner.reshape(sink, shape);
  }
  async apply(sink: string, changes: ChangeSet, from: number, to: number): Promise<readonly RejectedRow[]> {
    return this.inner.apply(sink, changes, from, to);
  }
  async commitRebuild(sink: string): Promise<void> {
    return this.inner.commitRebuild(sink);
  }
  async commit(sinks: readonly string[], cursor: Cursor): Promise<void> {
    return this.inner.commit(sinks, cursor);
  }
  async rollback(): Promise<void> {
    return this.inner.rollback();
  }
  async close(): Promise<void> {
    return this.inner.close();
  }
}
