import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { replaceFile } from '../../base/files.ts';
import type { Files } from '../../base/files.ts';
import type { Cursor, SinkState } from '../port.ts';
import type { Feed } from './feed.ts';

/** What a feed needs of standard output. */
export interface Output {
  write(chunk: Buffer, done: (error?: Error | null) => void): boolean;
}

/** How often the position is written down while lines flow. */
const saveMs = 1_000;

interface Saved {
  readonly cursor: Cursor;
  readonly fingerprint: string;
}

/**
 * Lines written to a pipe. It cannot be cut back or asked how far it came, so the positions are kept beside the log: after a crash, and
 * after a failed write, the commits since the last one written down come again (at least once).
 */
export class FeedPipe implements Feed {
  readonly #output: Output;
  readonly #files: Files;
  readonly #clock: Clock;
  readonly #directory: string;
  readonly #fingerprints: ReadonlyMap<string, string>;
  readonly #cursors = new Map<string, Cursor>();
  #unsaved = new Set<string>();
  #savedAt = -Infinity;

  constructor(
    output: Output,
    deps: { readonly files: Files; readonly clock: Clock; readonly directory: string },
    fingerprints: ReadonlyMap<string, string>,
  ) {
    this.#output = output;
    this.#files = deps.files;
    this.#clock = deps.clock;
    this.#directory = deps.directory;
    this.#fingerprints = fingerprints;
  }

  async open(): Promise<ReadonlyMap<string, SinkState>> {
    const states = new Map<string, SinkState>();
    this.#unsaved = new Set();
    this.#cursors.clear();
    for (const sink of this.#fingerprints.keys()) {
      const saved = await this.#load(sink);
      if (saved === null) continue;
      const { cursor, fingerprint } = saved;
      states.set(sink, { cursor, rebuilding: false, visible: cursor, schemaId: 0, fingerprint });
    }
    return states;
  }

  async beginAnew(): Promise<void> {
    // What went through the pipe cannot be taken back; the whole state follows it.
  }

  async write(lines: Buffer): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#output.write(Buffer.from(lines), (error) => (error ? reject(error) : resolve()));
    });
  }

  async commit(sinks: readonly string[], cursor: Cursor): Promise<void> {
    for (const sink of sinks) {
      this.#cursors.set(sink, cursor);
      this.#unsaved.add(sink);
    }
    if (this.#clock.monotonic() - this.#savedAt >= saveMs) await this.#save();
  }

  async rollback(): Promise<void> {
    // Nothing can be taken back.
  }

  async close(): Promise<void> {
    await this.#save();
  }

  async #save(): Promise<void> {
    this.#savedAt = this.#clock.monotonic();
    for (const sink of this.#unsaved) {
      const cursor = this.#cursors.get(sink);
      const fingerprint = this.#fingerprints.get(sink);
      if (cursor === undefined || fingerprint === undefined) continue;
      await this.#files.makeDirectory(this.#directory);
      await replaceFile(this.#files, this.#path(sink), Buffer.from(JSON.stringify({ cursor, fingerprint })));
    }
    this.#unsaved.clear();
  }

  async #load(sink: string): Promise<Saved | null> {
    const path = this.#path(sink);
    if (!(await this.#files.exists(path))) return null;
    const file = await this.#files.open(path, 'read');
    try {
      const content = Buffer.alloc(await file.size());
      await file.read(content, 0);
      return JSON.parse(content.toString()) as Saved;
    } finally {
      await file.close();
    }
  }

  #path(sink: string): string {
    return join(this.#directory, `${encodeURIComponent(sink)}.cursor.json`);
  }
}
