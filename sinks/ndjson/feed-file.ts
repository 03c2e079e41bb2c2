import { dirname, join } from 'node:path';
import { assert } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import { replaceFile } from '../../base/files.ts';
import type { File, Files } from '../../base/files.ts';
import { formatPositions } from '../../model/position.ts';
import type { Positions } from '../../model/position.ts';
import { makeParent } from '../make-parent.ts';
import type { SinkState } from '../port.ts';
import type { Feed } from './feed.ts';
import { commitStart } from './commit-line.ts';

/** What is kept of a feed in data_dir: which feed the file is. Where it ends is told by the file itself. */
interface Descriptor {
  readonly path: string;
  readonly epoch: number;
  readonly fingerprint: string;
  /** `<path>.new` is complete and takes the file's place. */
  readonly replacing: boolean;
}

/** Lines not synced are at most about this many bytes; after a power cut only the end of the file of this size can be damaged. */
const unsyncedBytesMax = 8 * 1024 * 1024;
const scanBytes = 64 * 1024;

/**
 * A file of lines, synced at each commit. A file that does not end with a commit line (a crash, a full disk) is cut back to the last
 * one, and delivery goes on from there: so it holds each commit once.
 */
export class FeedFile implements Feed {
  readonly #files: Files;
  readonly #path: string;
  readonly #descriptorPath: string;
  readonly #sink: string;
  readonly #identity: { readonly epoch: number; readonly fingerprint: string };
  #file: File | null = null;
  /** The file that is to take this one's place with the present commit. */
  #anew: File | null = null;
  #committed = 0;
  #end = 0;
  #unsynced = 0;

  constructor(
    files: Files,
    directory: string,
    options: { readonly sink: string; readonly path: string; readonly epoch: number; readonly fingerprint: string },
  ) {
    this.#files = files;
    this.#path = options.path;
    this.#sink = options.sink;
    this.#descriptorPath = join(directory, `${encodeURIComponent(options.sink)}.feed.json`);
    this.#identity = { epoch: options.epoch, fingerprint: options.fingerprint };
  }

  async open(): Promise<ReadonlyMap<string, SinkState>> {
    const descriptor = await this.#describe();
    if (descriptor?.replacing === true) await this.#replace(descriptor);
    if (!(await this.#files.exists(this.#path))) return new Map();
    const file = await this.#files.open(this.#path, 'write');
    if (descriptor === null) {
      const size = await file.size();
      await file.close();
      if (size > 0) throw this.#foreign();
      return new Map();
    }
    this.#file = file;
    const last = await lastCommit(file);
    this.#committed = last?.end ?? 0;
    if ((await file.size()) > this.#committed) {
      await file.truncate(this.#committed);
      await file.sync();
    }
    this.#end = this.#committed;
    if (last === null) return new Map();
    const { epoch, fingerprint } = descriptor;
    const cursor = { epoch, seq: last.seq, position: last.position, timeMs: 0 };
    return new Map([[this.#sink, { cursor, rebuilding: false, visible: cursor, schemaId: 0, fingerprint }]]);
  }

  async beginAnew(): Promise<void> {
    await makeParent(this.#files, this.#path);
    await this.#anew?.close();
    this.#anew = await this.#files.open(`${this.#path}.new`, 'create');
    this.#end = 0;
    this.#unsynced = 0;
  }

  async write(lines: Buffer): Promise<void> {
    const file = this.#anew ?? this.#file;
    assert(file !== null, 'a feed that was not opened');
    await file.write(lines, this.#end);
    this.#end += lines.length;
    this.#unsynced += lines.length;
    if (this.#unsynced >= unsyncedBytesMax) await this.#sync(file);
  }

  async commit(): Promise<void> {
    const file = this.#anew ?? this.#file;
    if (file !== null && this.#unsynced > 0) await this.#sync(file);
    if (this.#anew !== null) {
      const directory = dirname(this.#descriptorPath);
      await this.#files.makeDirectory(directory);
      await this.#files.syncDirectory(dirname(directory));
      // The new file's name has to be there for good before the descriptor counts on it.
      await this.#files.syncDirectory(dirname(this.#path));
      const descriptor = { path: this.#path, ...this.#identity, replacing: true };
      await this.#save(descriptor);
      await this.#file?.close();
      this.#file = this.#anew;
      this.#anew = null;
      await this.#replace(descriptor);
    }
    this.#committed = this.#end;
  }

  async rollback(): Promise<void> {
    await this.#anew?.close();
    this.#anew = null;
    if (this.#file !== null && this.#end > this.#committed) {
      await this.#file.truncate(this.#committed);
      await this.#file.sync();
    }
    this.#end = this.#committed;
    this.#unsynced = 0;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await this.#anew?.close();
    this.#anew = null;
    await file?.close();
  }

  async #sync(file: File): Promise<void> {
    await file.sync();
    this.#unsynced = 0;
  }

  /** Gives the new file its name. Done again after a crash, until the descriptor says that it is done. */
  async #replace(descriptor: Descriptor): Promise<void> {
    const replacement = `${this.#path}.new`;
    if (await this.#files.exists(replacement)) await this.#files.rename(replacement, this.#path);
    await this.#files.syncDirectory(dirname(this.#path));
    await this.#save({ ...descriptor, replacing: false });
  }

  async #describe(): Promise<Descriptor | null> {
    if (!(await this.#files.exists(this.#descriptorPath))) return null;
    const file = await this.#files.open(this.#descriptorPath, 'read');
    try {
      const content = Buffer.alloc(await file.size());
      await file.read(content, 0);
      const descriptor = JSON.parse(content.toString()) as Descriptor;
      return descriptor.path === this.#path ? descriptor : null;
    } finally {
      await file.close();
    }
  }

  async #save(descriptor: Descriptor): Promise<void> {
    await replaceFile(this.#files, this.#descriptorPath, Buffer.from(JSON.stringify(descriptor)));
  }

  #foreign(): TidemarkError {
    return new TidemarkError('SINK_TARGET', `${this.#path} exists and is not of sink '${this.#sink}'s making`, {
      hint: 'Move the file away, or give the sink another path.',
      place: { sink: this.#sink, file: this.#path },
    });
  }
}

interface LastCommit {
  readonly seq: number;
  readonly position: string | null;
  /** Offset after its line. */
  readonly end: number;
}

/**
 * Finds the last whole commit line, reading backwards. No other line begins as one does. A power cut may have left zeros where lines
 * were not synced, and no line has any: what begins with the first of them is not looked at.
 */
async function lastCommit(file: File): Promise<LastCommit | null> {
  const size = await file.size();
  let limit = await firstDamage(file, Math.max(0, size - 2 * unsyncedBytesMax), size);
  // Offset of the newline that ends the line whose beginning is being looked for; -1 before the first.
  let lineEnd = -1;
  while (limit > 0) {
    const start = Math.max(0, limit - scanBytes);
    const block = await readAt(file, start, limit);
    for (let at = block.lastIndexOf(0x0a); at >= 0; at = at === 0 ? -1 : block.lastIndexOf(0x0a, at - 1)) {
      const commit = lineEnd < 0 ? null : await commitAt(file, start + at + 1, lineEnd);
      if (commit !== null) return commit;
      lineEnd = start + at;
    }
    limit = start;
  }
  return lineEnd < 0 ? null : commitAt(file, 0, lineEnd);
}

/** The commit that the line in [start, end) tells of, or null when it is another line. */
async function commitAt(file: File, start: number, end: number): Promise<LastCommit | null> {
  const head = await readAt(file, start, Math.min(end, start + commitStart.length));
  if (head.toString('latin1') !== commitStart) return null;
  const line = (await readAt(file, start, end)).toString();
  const { commit, position } = JSON.parse(line) as { commit: number; position: string | Positions | null };
  const text = position === null || typeof position === 'string' ? position : formatPositions(position, false);
  return { seq: commit, position: text, end: end + 1 };
}

async function firstDamage(file: File, from: number, to: number): Promise<number> {
  for (let at = from; at < to; at += scanBytes) {
    const found = (await readAt(file, at, Math.min(to, at + scanBytes))).indexOf(0);
    if (found >= 0) return at + found;
  }
  return to;
}

async function readAt(file: File, start: number, end: number): Promise<Buffer> {
  const block = Buffer.alloc(end - start);
  const length = await file.read(block, start);
  return block.subarray(0, length);
}
