import { join } from 'node:path';
import { present } from '../../base/assert.ts';
import { ChangeCursor } from '../../model/change.ts';
import { ByteWriter } from '../../model/json-writer.ts';
import type { Log } from '../../model/log.ts';
import type { ChangeSet } from '../change-set.ts';
import { noneRejected } from '../port.ts';
import type { Cursor, RejectedRow, SinkShape, SinkState, Target } from '../port.ts';
import { LineEncoder, writeUpsert } from '../line-encoder.ts';
import { SpooledState } from '../spooled-state.ts';
import { commitLine } from './commit-line.ts';
import type { Feed } from './feed.ts';

/** Lines of an unfinished commit go to the feed when they are this many bytes. */
const bufferBytes = 256 * 1024;

/** What is particular to one sink of a feed. */
export interface FeedMember {
  /** What its commit lines name as their source. */
  readonly source: string;
  readonly numbers: 'exact' | 'string';
}

interface Line {
  encoder: LineEncoder | null;
  keyed: boolean;
  /** Where changes go until the feed may show them. */
  spool: SpooledState | null;
  rebuilding: boolean;
}

/**
 * A feed of JSON lines: every change in its order, and a line after each source transaction. Before a feed is consistent its changes
 * are folded in a spool; its first commit is the whole of that.
 */
export class NdjsonTarget implements Target {
  readonly type = 'ndjson';
  readonly wants = 'every';
  readonly #feed: Feed;
  readonly #members: ReadonlyMap<string, FeedMember>;
  readonly #log: Log;
  readonly #directory: string;
  readonly #lines = new Map<string, Line>();
  readonly #record = new ChangeCursor();
  readonly #output = new ByteWriter(bufferBytes * 2);
  /** Lines were written since the last commit line. */
  #open = false;

  constructor(feed: Feed, members: ReadonlyMap<string, FeedMember>, deps: { log: Log; directory: string }) {
    this.#feed = feed;
    this.#members = members;
    this.#log = deps.log;
    this.#directory = deps.directory;
  }

  async open(): Promise<ReadonlyMap<string, SinkState>> {
    this.#output.reset();
    this.#open = false;
    for (const sink of this.#members.keys()) {
      this.#lines.set(sink, { encoder: null, keyed: true, spool: null, rebuilding: false });
    }
    return this.#feed.open();
  }

  async begin(): Promise<void> {
    this.#output.reset();
    this.#open = false;
  }

  async beginRebuild(sink: string): Promise<void> {
    const line = this.#line(sink);
    line.spool?.close();
    line.spool = null;
    line.encoder = null;
    line.rebuilding = true;
  }

  async reshape(sink: string, shape: SinkShape): Promise<void> {
    const line = this.#line(sink);
    const { numbers } = present(this.#members.get(sink), `sink ${sink}`);
    line.encoder = new LineEncoder(shape, (schemaId) => this.#log.table(schemaId), numbers);
    line.keyed = shape.key.length > 0;
  }

  async apply(sink: string, changes: ChangeSet, from: number, to: number): Promise<readonly RejectedRow[]> {
    const line = this.#line(sink);
    const encoder = present(line.encoder, `the shape of sink ${sink}`);
    if (line.rebuilding) {
      const path = join(this.#directory, `${encodeURIComponent(sink)}.spool.db`);
      line.spool ??= new SpooledState(path, line.keyed);
      line.spool.apply(encoder, changes, from, to);
      return noneRejected;
    }
    const begin = this.#output.at;
    try {
      for (let index = from; index < to; index++) {
        changes.locate(index, this.#record);
        encoder.write(this.#record, changes.seqAt(index), this.#output);
      }
    } catch (error) {
      this.#output.at = begin;
      throw error;
    }
    this.#open = true;
    if (this.#output.at >= bufferBytes) await this.#flush();
    return noneRejected;
  }

  async endTransaction(sinks: readonly string[], cursor: Cursor): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#output.text(commitLine(this.#members.get(sinks[0] ?? '')?.source ?? '', cursor));
    if (this.#output.at >= bufferBytes) await this.#flush();
  }

  async commitRebuild(sink: string): Promise<void> {
    const line = this.#line(sink);
    // What was written in this commit for other sinks of the feed goes first; only a feed of one sink begins anew.
    await this.#feed.beginAnew(sink);
    for (const { key, doc, seq } of line.spool?.rows() ?? []) {
      writeUpsert(key, doc, seq, this.#output);
      if (this.#output.at >= bufferBytes) await this.#flush();
    }
    line.spool?.close();
    line.spool = null;
    line.rebuilding = false;
    this.#open = true;
  }

  async commit(sinks: readonly string[], cursor: Cursor): Promise<void> {
    await this.endTransaction(sinks, cursor);
    await this.#flush();
    const visible = sinks.filter((sink) => !this.#line(sink).rebuilding);
    if (visible.length > 0) await this.#feed.commit(visible, cursor);
  }

  async rollback(): Promise<void> {
    this.#output.reset();
    await this.#feed.rollback().catch(() => undefined);
  }

  async close(): Promise<void> {
    for (const line of this.#lines.values()) line.spool?.close();
    this.#lines.clear();
    await this.#feed.close();
  }

  #line(sink: string): Line {
    return present(this.#lines.get(sink), `sink ${sink}`);
  }

  async #flush(): Promise<void> {
    if (this.#output.at === 0) return;
    await this.#feed.write(this.#output.bytes());
    this.#output.reset();
  }
}
