import type { Files } from '../base/files.ts';
import { pieceBytesMax } from '../base/constants.ts';
import type { ChangeBatch } from '../model/change.ts';
import { ChangeWriter, opDelete } from '../model/change.ts';
import type { Log, LogWriter } from '../model/log.ts';
import { HeldRecords, RowCounts } from './held-records.ts';
import type { Visibility } from './port.ts';

/**
 * Tables whose rows cannot be told apart. They are read as one chunk and published as one commit; the stream's events of such a
 * table are held back until then, and those of transactions that the read saw are dropped. A restart begins the table again.
 */
export class KeylessTables {
  readonly #files: Files;
  readonly #directory: string;
  readonly #log: Log;
  readonly #writer: LogWriter;
  readonly #stream: string;
  readonly #held = new Map<string, HeldRecords>();

  constructor(options: { files: Files; directory: string; log: Log; writer: LogWriter; stream: string }) {
    this.#files = options.files;
    this.#directory = options.directory;
    this.#log = options.log;
    this.#writer = options.writer;
    this.#stream = options.stream;
  }

  /** Whether the stream's events of a topic are to be given to `hold` instead of the log. */
  holds(topic: string): boolean {
    return this.#held.has(topic);
  }

  begin(topic: string): void {
    if (!this.#held.has(topic)) this.#held.set(topic, new HeldRecords(this.#files, this.#directory, `${topic}.events`));
  }

  hold(topic: string, txId: string, batch: ChangeBatch): Promise<void> | undefined {
    return this.#held.get(topic)?.add(txId, batch);
  }

  /** A place for the rows of one read. */
  rows(topic: string): HeldRecords {
    return new HeldRecords(this.#files, this.#directory, `${topic}.rows`);
  }

  /**
   * Appends to the open commit: what takes the topic's present rows away, the rows that were read, and the events that the read did not see.
   * Returns the number of rows read.
   */
  async publish(topic: string, rows: HeldRecords, low: Visibility): Promise<number> {
    await this.clear(topic);
    let count = 0;
    for await (const { batch } of rows.batches()) {
      await this.#append(batch);
      count += batch.count;
    }
    const events = this.#held.get(topic);
    if (events !== undefined) {
      for await (const { txId, batch } of events.batches()) {
        if (txId !== null && !low.includes(txId)) await this.#append(batch);
      }
    }
    await this.end(topic);
    await rows.discard();
    return count;
  }

  /** The table is no longer being read: its events go to the log again. */
  async end(topic: string): Promise<void> {
    const events = this.#held.get(topic);
    this.#held.delete(topic);
    await events?.discard();
  }

  /** Appends the deletes of every row that the topic holds; returns how many. Its distinct rows must fit in memory. */
  async clear(topic: string): Promise<number> {
    const { seq } = await this.#writer.durable();
    if (seq === 0) return 0;
    const counts = new RowCounts();
    const reader = this.#log.read(this.#stream, { fromSeq: 0, topics: new Set([topic]), follow: false });
    for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
      for (const piece of batch.pieces)
        counts.add(piece.changes, (schemaId) => this.#log.table(schemaId)?.topic === topic);
    }
    await reader.close();
    const deletes = new ChangeWriter();
    let deleted = 0;
    for (const { row, schemaId, count } of counts.rows()) {
      for (let copy = 0; copy < count; copy++) {
        deletes.add({ op: opDelete, schemaId, key: Buffer.alloc(0), before: row });
        deleted++;
        if (deletes.size >= pieceBytesMax) {
          await this.#append(deletes.batch());
          deletes.reset();
        }
      }
    }
    if (deletes.count > 0) await this.#append(deletes.batch());
    return deleted;
  }

  async #append(batch: ChangeBatch): Promise<void> {
    this.#writer.append(batch);
    await this.#writer.drained();
  }
}
