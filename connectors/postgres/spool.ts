import { join } from 'node:path';
import type { File, Files } from '../../base/files.ts';

/**
 * Messages of transactions that the server streams before they commit, kept until their outcome is known: in memory up to a limit
 * over all of them, beyond it in one file a transaction. Files left by a crash are of no use (the server streams such a
 * transaction again from its start) and are removed when the spool is opened.
 *
 * A record: u32 length of the message, u32 xid of the (sub-)transaction, the message as it would be outside a stream block.
 */
const headerBytes = 8;
const blockBytes = 256 * 1024;
/** Less is not worth a write: with very many transactions open, each keeps up to this much in memory beyond the limit. */
const spillBytesMin = 32 * 1024;

class SpooledTransaction {
  block: Buffer = Buffer.allocUnsafeSlow(8 * 1024);
  used = 0;
  file: File | null = null;
  fileBytes = 0;
  readonly aborted: Set<number> = new Set<number>();
}

export class StreamSpool {
  readonly #files: Files;
  readonly #directory: string;
  readonly #memoryMax: number;
  readonly #transactions = new Map<number, SpooledTransaction>();
  #memory = 0;

  private constructor(files: Files, directory: string, memoryMax: number) {
    this.#files = files;
    this.#directory = directory;
    this.#memoryMax = memoryMax;
  }

  static async open(files: Files, directory: string, memoryMax: number): Promise<StreamSpool> {
    await files.remove(directory);
    await files.makeDirectory(directory);
    return new StreamSpool(files, directory, memoryMax);
  }

  /** Keeps a message: `type`, then `buffer[start..end)`. A promise holds the stream back while a block goes to disk. */
  add(
    xid: number,
    subXid: number,
    type: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): Promise<void> | undefined {
    const transaction = this.#transaction(xid);
    const length = 1 + end - start;
    const needed = transaction.used + headerBytes + length;
    if (needed > transaction.block.length) this.#grow(transaction, needed);
    const { block } = transaction;
    let at = transaction.used;
    block.writeUInt32LE(length, at);
    block.writeUInt32LE(subXid, at + 4);
    block[at + headerBytes] = type;
    at += headerBytes + 1;
    buffer.copy(block, at, start, end);
    transaction.used = at + end - start;
    const spillAt = this.#memory > this.#memoryMax ? spillBytesMin : transaction.file !== null ? blockBytes : Infinity;
    if (transaction.used >= spillAt) return this.#spill(xid, transaction);
    return undefined;
  }

  /** A sub-transaction was rolled back: its messages are left out. */
  abortSub(xid: number, subXid: number): void {
    this.#transactions.get(xid)?.aborted.add(subXid);
  }

  /** Hands over what a transaction kept, in order, without what was rolled back; then forgets it. */
  async replay(
    xid: number,
    handle: (buffer: Buffer, start: number, end: number) => Promise<void> | undefined,
  ): Promise<void> {
    const transaction = this.#transactions.get(xid);
    if (transaction === undefined) return;
    const { file, aborted } = transaction;
    const walk = async (block: Buffer, used: number): Promise<number> => {
      let at = 0;
      while (at + headerBytes <= used) {
        const end = at + headerBytes + block.readUInt32LE(at);
        if (end > used) break;
        if (!aborted.has(block.readUInt32LE(at + 4))) {
          const pending = handle(block, at + headerBytes, end);
          if (pending !== undefined) await pending;
        }
        at = end;
      }
      return at;
    };
    if (file !== null) {
      let buffer = Buffer.allocUnsafeSlow(Math.max(blockBytes, headerBytes));
      for (let offset = 0; offset < transaction.fileBytes;) {
        const size = Math.min(buffer.length, transaction.fileBytes - offset);
        await file.read(buffer.subarray(0, size), offset);
        const done = await walk(buffer, size);
        offset += done;
        // A message larger than the buffer: read it whole.
        if (done === 0) buffer = Buffer.allocUnsafeSlow(headerBytes + buffer.readUInt32LE(0));
      }
    }
    await walk(transaction.block, transaction.used);
    await this.drop(xid);
  }

  /** Forgets a transaction that was rolled back or is done with. */
  async drop(xid: number): Promise<void> {
    const transaction = this.#transactions.get(xid);
    if (transaction === undefined) return;
    this.#transactions.delete(xid);
    this.#memory -= transaction.block.length;
    if (transaction.file === null) return;
    await transaction.file.close();
    await this.#files.remove(this.#path(xid));
  }

  /** Forgets everything: the connection is gone, and the server will send it again. */
  async clear(): Promise<void> {
    for (const xid of this.#transactions.keys()) await this.drop(xid);
  }

  #transaction(xid: number): SpooledTransaction {
    let transaction = this.#transactions.get(xid);
    if (transaction === undefined) {
      transaction = new SpooledTransaction();
      this.#transactions.set(xid, transaction);
      this.#memory += transaction.block.length;
    }
    return transaction;
  }

  #grow(transaction: SpooledTransaction, needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(transaction.block.length * 2, needed));
    transaction.block.copy(larger, 0, 0, transaction.used);
    this.#memory += larger.length - transaction.block.length;
    transaction.block = larger;
  }

  async #spill(xid: number, transaction: SpooledTransaction): Promise<void> {
    transaction.file ??= await this.#files.open(this.#path(xid), 'create');
    await transaction.file.write(transaction.block.subarray(0, transaction.used), transaction.fileBytes);
    transaction.fileBytes += transaction.used;
    transaction.used = 0;
    if (transaction.block.length > 2 * blockBytes) {
      this.#memory -= transaction.block.length - blockBytes;
      transaction.block = Buffer.allocUnsafeSlow(blockBytes);
    }
  }

  #path(xid: number): string {
    return join(this.#directory, `${xid}.spool`);
  }
}
