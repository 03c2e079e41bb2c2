import { join } from 'node:path';
import type { File, Files } from '../base/files.ts';
import type { ChangeBatch } from '../model/change.ts';
import { ChangeCursor } from '../model/change.ts';

/**
 * Change records kept aside, in memory up to a block and beyond it in a file: the rows of a table without a key while it is read,
 * and the stream's events of it meanwhile. Nothing here survives a restart, which begins the table again.
 *
 * A block is a batch of records, preceded in memory by who they belong to: a transaction, or (null) the read itself.
 */
const blockBytes = 256 * 1024;

interface Block {
  readonly txId: string | null;
  readonly offset: number;
  readonly bytes: number;
  readonly count: number;
}

export class HeldRecords {
  readonly #files: Files;
  readonly #path: string;
  #file: File | null = null;
  #fileBytes = 0;
  readonly #blocks: Block[] = [];
  #waiting: { txId: string | null; bytes: Buffer; count: number }[] = [];
  #waitingBytes = 0;

  constructor(files: Files, directory: string, name: string) {
    this.#files = files;
    this.#path = join(directory, `${encodeURIComponent(name)}.held`);
  }

  /** Keeps a copy of the records. A promise asks the caller to wait while they go to disk. */
  add(txId: string | null, batch: ChangeBatch): Promise<void> | undefined {
    const last = this.#waiting.at(-1);
    const bytes = Buffer.from(batch.bytes);
    if (last !== undefined && last.txId === txId) {
      last.bytes = Buffer.concat([last.bytes, bytes]);
      last.count += batch.count;
    } else {
      this.#waiting.push({ txId, bytes, count: batch.count });
    }
    this.#waitingBytes += bytes.length;
    return this.#waitingBytes > blockBytes ? this.#flush() : undefined;
  }

  /** What was kept, in order. */
  async *batches(): AsyncGenerator<{ txId: string | null; batch: ChangeBatch }> {
    for (const { txId, offset, bytes, count } of this.#blocks) {
      const buffer = Buffer.allocUnsafe(bytes);
      await this.#file?.read(buffer, offset);
      yield { txId, batch: { bytes: buffer, count } };
    }
    for (const { txId, bytes, count } of this.#waiting) yield { txId, batch: { bytes, count } };
  }

  async discard(): Promise<void> {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#blocks.length = 0;
    this.#fileBytes = 0;
    const file = this.#file;
    this.#file = null;
    await file?.close();
    await this.#files.remove(this.#path);
  }

  async #flush(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#file ??= await this.#files.open(this.#path, 'create');
    for (const { txId, bytes, count } of waiting) {
      await this.#file.write(bytes, this.#fileBytes);
      this.#blocks.push({ txId, offset: this.#fileBytes, bytes: bytes.length, count });
      this.#fileBytes += bytes.length;
    }
  }
}

/** How often each row stands in a topic without a key, by the records seen so far: the only way to tell its rows apart. */
export class RowCounts {
  readonly #counts = new Map<string, { count: number; schemaId: number }>();
  readonly #cursor = new ChangeCursor();

  add(batch: ChangeBatch, wanted: (schemaId: number) => boolean): void {
    const cursor = this.#cursor.reset(batch.bytes);
    while (cursor.next()) {
      if (!wanted(cursor.schemaId)) continue;
      if (cursor.hasBefore) this.#count(cursor, cursor.beforeStart, cursor.beforeEnd, -1);
      if (cursor.hasAfter) this.#count(cursor, cursor.afterStart, cursor.afterEnd, 1);
    }
  }

  *rows(): Iterable<{ row: Buffer; schemaId: number; count: number }> {
    for (const [row, { count, schemaId }] of this.#counts) yield { row: Buffer.from(row, 'latin1'), schemaId, count };
  }

  #count(cursor: ChangeCursor, start: number, end: number, change: number): void {
    const row = cursor.bytes.toString('latin1', start, end);
    const count = (this.#counts.get(row)?.count ?? 0) + change;
    if (count === 0) this.#counts.delete(row);
    else this.#counts.set(row, { count, schemaId: cursor.schemaId });
  }
}
