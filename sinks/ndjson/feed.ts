import type { Cursor, SinkState } from '../port.ts';

/** Where lines go: a file, which can be cut back, or a pipe, which cannot. */
export interface Feed {
  /** Says where each sink stands, after taking away what was not committed. */
  open(): Promise<ReadonlyMap<string, SinkState>>;
  /** From now on lines belong to a feed that begins anew with the present commit. */
  beginAnew(sink: string): Promise<void>;
  /** Adds lines to the open commit. The bytes are copied or written before it resolves. */
  write(lines: Buffer): Promise<void>;
  /** Ends the commit: `sinks` hold everything up to the cursor, whose line has been written. */
  commit(sinks: readonly string[], cursor: Cursor): Promise<void>;
  rollback(): Promise<void>;
  close(): Promise<void>;
}
