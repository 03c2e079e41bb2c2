import { join } from 'node:path';
import { present } from '../../base/assert.ts';
import { pieceBytesMax } from '../../base/constants.ts';
import type { File, Files } from '../../base/files.ts';
import type { ChangeBatch } from '../../model/change.ts';
import { ChangeCursor, ChangeWriter } from '../../model/change.ts';
import type { Log, LogWriter } from '../../model/log.ts';
import { writeDeleteOf } from '../../model/tombstone.ts';

/**
 * Publishes TRUNCATE as the deletes of every key that the topic holds: those in the log, and those that the same transaction has
 * touched before. For the latter the deletes that would undo a transaction's changes are kept aside while it is open – of its
 * pieces only, that is, of large transactions.
 */
export class TruncateWriter {
  readonly #log: Log;
  readonly #files: Files;
  readonly #path: string;
  readonly #kept = new ChangeWriter();
  readonly #cursor = new ChangeCursor();
  #file: File | null = null;
  #blocks: number[] = [];
  #fileBytes = 0;

  constructor(log: Log, files: Files, directory: string) {
    this.#log = log;
    this.#files = files;
    this.#path = join(directory, 'touched-keys');
  }

  /** A piece of the open transaction goes to the log. */
  async keep(piece: ChangeBatch): Promise<void> {
    const cursor = this.#cursor.reset(piece.bytes);
    while (cursor.next()) {
      if (cursor.hasAfter) writeDeleteOf(cursor, this.#table(cursor.schemaId), cursor.schemaId, this.#kept);
    }
    if (this.#kept.size < pieceBytesMax) return;
    this.#file ??= await this.#files.open(this.#path, 'create');
    const { bytes } = this.#kept.batch();
    await this.#file.write(bytes, this.#fileBytes);
    this.#fileBytes += bytes.length;
    this.#blocks.push(bytes.length);
    this.#kept.reset();
  }

  /** Appends the deletes to the open transaction; returns how many. */
  async write(topic: string, writer: LogWriter): Promise<number> {
    const deletes = new ChangeWriter();
    let count = 0;
    const flush = async (): Promise<void> => {
      if (deletes.count === 0) return;
      count += deletes.count;
      writer.append(deletes.batch());
      deletes.reset();
      await writer.drained();
    };
    const cursor = new ChangeCursor();
    const { seq } = await writer.durable();
    for await (const batch of this.#log.rows(topic, { upToSeq: seq })) {
      cursor.reset(batch.bytes);
      while (cursor.next()) {
        writeDeleteOf(cursor, this.#table(cursor.schemaId), cursor.schemaId, deletes);
        if (deletes.size >= pieceBytesMax) await flush();
      }
    }
    for await (const block of this.#keptBlocks()) {
      cursor.reset(block);
      while (cursor.next()) {
        if (this.#table(cursor.schemaId).topic === topic) deletes.copy(cursor.record());
      }
      await flush();
    }
    await flush();
    return count;
  }

  /** The open transaction has ended, either way. */
  async end(): Promise<void> {
    this.#kept.reset();
    if (this.#file === null) return;
    const file = this.#file;
    this.#file = null;
    this.#blocks = [];
    this.#fileBytes = 0;
    await file.close();
    await this.#files.remove(this.#path);
  }

  async *#keptBlocks(): AsyncIterable<Buffer> {
    let offset = 0;
    for (const length of this.#blocks) {
      const block = Buffer.allocUnsafe(length);
      await this.#file?.read(block, offset);
      offset += length;
      yield block;
    }
    yield Buffer.from(this.#kept.batch().bytes);
  }

  #table(schemaId: number): NonNullable<ReturnType<Log['table']>> {
    return present(this.#log.table(schemaId), `table of schema ${schemaId}`);
  }
}
