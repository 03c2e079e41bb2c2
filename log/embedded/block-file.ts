import { crc32 } from 'node:zlib';
import type { File, Files } from '../../base/files.ts';
import { freeBuffer } from '../../base/free-buffer.ts';
import { opDelete } from '../../model/change.ts';
import {
  encodeFileHead,
  flagDeletes,
  frameHeader,
  frameHeaderBytes,
  kindBlock,
  readU48,
  writeFrameHeader,
  writeU48,
} from './format.ts';
import { FrameReader } from './frames.ts';
import type { SortedSource } from './sorted-source.ts';
import { keyPrefix } from './sorted-source.ts';

/** Bytes of a seq in a block's meta. */
export const seqBytes = 6;

/** One topic's part of a sorted file. */
export interface Section {
  /** The topic's number: the smallest schema id of its tables. */
  readonly topic: number;
  readonly start: number;
  end: number;
  records: number;
  bytes: number;
}

/** Writes sorted records in blocks, none of which holds two topics, to a new file. */
export class BlockWriter {
  readonly salt: number;
  readonly sections: Section[] = [];
  /** Length of the file so far. */
  length = 0;
  readonly #file: File;
  readonly #blockBytes: number;
  #buffer: Buffer;
  #at = frameHeaderBytes;
  #seqs: Buffer;
  #count = 0;
  #topic = 0;
  #newest = 0;
  #deletes = false;

  private constructor(file: File, salt: number, blockBytes: number) {
    this.#file = file;
    this.salt = salt;
    this.#blockBytes = blockBytes;
    this.#buffer = Buffer.allocUnsafeSlow(blockBytes * 2);
    this.#seqs = Buffer.allocUnsafeSlow(8 * 1024 * seqBytes);
  }

  static async create(files: Files, path: string, description: unknown, blockBytes: number): Promise<BlockWriter> {
    const salt = crc32(JSON.stringify([path, description]));
    const writer = new BlockWriter(await files.open(path, 'create'), salt, blockBytes);
    const head = encodeFileHead(description, salt);
    await writer.#file.write(head, 0);
    writer.length = head.length;
    return writer;
  }

  /** Adds the source's current record. When it answers true, `flush` must be awaited before the next one. */
  add(source: SortedSource): boolean {
    const { bytes, start, end, topic, seq } = source;
    this.#topic = topic;
    const size = end - start;
    this.#room(size);
    this.#at += bytes.copy(this.#buffer, this.#at, start, end);
    writeU48(this.#seqs, this.#count * seqBytes, seq);
    this.#count++;
    this.#newest = Math.max(this.#newest, seq);
    this.#deletes ||= bytes[start + 4] === opDelete;
    return this.#at >= this.#blockBytes || (this.#count + 1) * seqBytes > this.#seqs.length;
  }

  /** Whether a record of `topic` must wait for a `flush`. */
  mustFlush(topic: number): boolean {
    return this.#count > 0 && topic !== this.#topic;
  }

  async flush(): Promise<void> {
    if (this.#count === 0) return;
    const metaBytes = this.#count * seqBytes;
    const recordBytes = this.#at - frameHeaderBytes;
    this.#room(metaBytes);
    this.#at += this.#seqs.copy(this.#buffer, this.#at, 0, metaBytes);
    writeFrameHeader(this.#buffer, 0, this.salt, {
      ...frameHeader(),
      kind: kindBlock,
      flags: this.#deletes ? flagDeletes : 0,
      bodyBytes: this.#at - frameHeaderBytes,
      bodyCrc: crc32(this.#buffer.subarray(frameHeaderBytes, this.#at)),
      count: this.#count,
      metaBytes,
      attempt: this.#topic,
      seq: this.#newest,
    });
    await this.#file.write(this.#buffer.subarray(0, this.#at), this.length);
    let section = this.sections.at(-1);
    if (section?.topic !== this.#topic) {
      section = { topic: this.#topic, start: this.length, end: 0, records: 0, bytes: 0 };
      this.sections.push(section);
    }
    this.length += this.#at;
    section.end = this.length;
    section.records += this.#count;
    section.bytes += recordBytes;
    this.#at = frameHeaderBytes;
    this.#count = 0;
    this.#newest = 0;
    this.#deletes = false;
  }

  async sync(): Promise<void> {
    await this.#file.sync();
  }

  async close(): Promise<void> {
    await this.#file.close();
    freeBuffer(this.#buffer);
    freeBuffer(this.#seqs);
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(this.#at + bytes + this.#blockBytes);
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

/** A part of a sorted file, read record by record. */
export class BlockSource implements SortedSource {
  readonly age: number;
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  topic = 0;
  seq = 0;
  prefix = 0;
  readonly #frames: FrameReader;
  readonly #limit: number;
  readonly #readBytes: number;
  #next = 0;
  #recordsEnd = 0;
  #seqAt = 0;

  constructor(
    source: { file: File; path: string; salt: number },
    range: { start: number; end: number },
    age: number,
    readBytes: number,
  ) {
    this.#frames = new FrameReader(source, range.start, true);
    this.#limit = range.end;
    this.age = age;
    this.#readBytes = readBytes;
  }

  next(): boolean {
    if (this.#next === this.#recordsEnd && !this.#nextBlock()) return false;
    const at = this.#next;
    this.start = at;
    this.#next = at + 4 + this.bytes.readUInt32LE(at);
    this.end = this.#next;
    this.seq = readU48(this.bytes, this.#seqAt);
    this.#seqAt += seqBytes;
    this.prefix = keyPrefix(this.bytes, at);
    return true;
  }

  /** Gives the memory back; of no more use afterwards. */
  free(): void {
    freeBuffer(this.bytes);
  }

  async fill(): Promise<boolean> {
    if (this.#frames.nextOffset >= this.#limit) return false;
    if (!(await this.#frames.fill(this.#limit, this.#readBytes))) throw this.#frames.corruption();
    if (!this.#nextBlock()) throw this.#frames.corruption();
    return true;
  }

  #nextBlock(): boolean {
    const frames = this.#frames;
    if (!frames.next()) {
      if (frames.bad !== null) throw frames.corruption();
      return false;
    }
    const { header, bodyStart, buffer } = frames;
    this.bytes = buffer;
    this.topic = header.attempt;
    this.#next = bodyStart;
    this.#recordsEnd = bodyStart + header.bodyBytes - header.metaBytes;
    this.#seqAt = this.#recordsEnd;
    return true;
  }
}
