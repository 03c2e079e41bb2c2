import { crc32 } from 'node:zlib';
import type { File } from '../../base/files.ts';
import { freeBuffer } from '../../base/free-buffer.ts';
import { corrupt, frameHeader, frameHeaderBytes, readFrameHeader } from './format.ts';

const blockBytesDefault = 1024 * 1024;
/** A block larger than this was made for a huge row, and is not kept for those that follow. */
const keptBlockBytesMax = 4 * blockBytesDefault;

/**
 * Reads the frames of a file one after the other, in large blocks, checking every checksum. Bytes are looked at in memory by
 * `next`; `fill` brings more. `header`, `bodyStart` and the buffer describe the current frame.
 */
export class FrameReader {
  readonly header = frameHeader();
  readonly path: string;
  readonly #salt: number;
  readonly #reuse: boolean;
  readonly #file: File;
  buffer: Buffer = Buffer.alloc(0);
  /** Where the current frame's body begins in `buffer`. */
  bodyStart = 0;
  /** Offset in the file of the current frame. */
  offset: number;
  /** Offset in the file of the next frame. */
  nextOffset: number;
  /** Why the frame at `nextOffset` is not valid, once `next` has met such a one. */
  bad: string | null = null;
  #bufferOffset: number;
  #length = 0;

  /** `reuse`: views of a block become invalid with the next `fill`. `block`: a reader's that is done with, to go on in its buffer. */
  constructor(source: { file: File; path: string; salt: number }, offset: number, reuse: boolean, block?: Buffer) {
    this.#file = source.file;
    if (reuse && block) this.buffer = block;
    this.path = source.path;
    this.#salt = source.salt;
    this.#reuse = reuse;
    this.offset = offset;
    this.nextOffset = offset;
    this.#bufferOffset = offset;
  }

  /** Moves to the next frame if it lies whole in the buffer and is valid. */
  next(): boolean {
    const at = this.nextOffset - this.#bufferOffset;
    if (this.bad !== null || at + frameHeaderBytes > this.#length) return false;
    const { header, buffer } = this;
    if (!readFrameHeader(buffer, at, this.#salt, header)) {
      this.bad = 'the header of a frame fails its checksum';
      return false;
    }
    const end = at + frameHeaderBytes + header.bodyBytes;
    if (end > this.#length) return false;
    this.bodyStart = at + frameHeaderBytes;
    if (header.bodyBytes > 0 && crc32(buffer.subarray(this.bodyStart, end)) !== header.bodyCrc) {
      this.bad = `the body of a frame (${header.bodyBytes} bytes) fails its checksum`;
      return false;
    }
    this.offset = this.nextOffset;
    this.nextOffset = this.#bufferOffset + end;
    return true;
  }

  /** Reads on, up to the file's offset `limit`, about `bytes`. False when no further whole frame lies before the limit. */
  async fill(limit: number, bytes = blockBytesDefault): Promise<boolean> {
    const start = this.nextOffset;
    const left = limit - start;
    if (this.bad !== null || left < frameHeaderBytes) return false;
    // What the last block holds of the next frame: less than all of it, or `next` would have taken it.
    const kept = this.#bufferOffset + this.#length - start;
    let wanted = Math.max(bytes, frameHeaderBytes);
    if (kept >= frameHeaderBytes && readFrameHeader(this.buffer, start - this.#bufferOffset, this.#salt, this.header)) {
      wanted = Math.max(wanted, frameHeaderBytes + this.header.bodyBytes);
      if (frameHeaderBytes + this.header.bodyBytes > left) return false;
    }
    wanted = Math.min(wanted, left);
    await this.#load(start, kept, wanted, bytes);
    if (this.#length < wanted) return false;
    // A frame with a damaged header is left for `next` to find.
    if (!readFrameHeader(this.buffer, 0, this.#salt, this.header)) return true;
    const whole = frameHeaderBytes + this.header.bodyBytes;
    if (whole > left) return false;
    if (whole > wanted) await this.#load(start, wanted, whole, bytes);
    return this.#length >= whole;
  }

  async #load(start: number, kept: number, wanted: number, bytes: number): Promise<void> {
    const from = start - this.#bufferOffset;
    const size = Math.max(wanted, kept);
    const isKept = this.#reuse && this.buffer.length >= size && this.buffer.length <= keptBlockBytesMax;
    // Room for the next block too, which ends with a whole frame: memory that is not touched costs nothing.
    const usual = Math.max(size, bytes);
    const room = this.#reuse && usual < keptBlockBytesMax ? Math.min(keptBlockBytesMax, usual + (usual >> 2)) : size;
    const into = isKept ? this.buffer : Buffer.allocUnsafeSlow(room);
    if (kept > 0) this.buffer.copy(into, 0, from, from + kept);
    if (this.#reuse && !isKept) freeBuffer(this.buffer);
    const read = size > kept ? await this.#file.read(into.subarray(kept, size), start + kept) : 0;
    this.buffer = into;
    this.#bufferOffset = start;
    this.#length = kept + read;
  }

  /** The error to throw where a valid frame had to be. */
  corruption(): Error {
    return corrupt(this.path, this.nextOffset, this.bad ?? 'the file ends within a frame');
  }
}

export const headerWindowBytes = 32 * 1024;

/** Reads frame headers only, hopping over the bodies. Neighbouring headers come from one read. */
export class HeaderReader {
  readonly header = frameHeader();
  readonly #file: File;
  readonly #path: string;
  readonly #salt: number;
  readonly #window: Buffer;
  #windowStart = 0;
  #windowEnd = 0;
  /** Offset of the current frame. */
  offset = 0;
  nextOffset: number;

  /** `window`: room for the headers of one read, when the caller has some. */
  constructor(
    source: { file: File; path: string; salt: number },
    offset: number,
    window: Buffer = Buffer.allocUnsafeSlow(headerWindowBytes),
  ) {
    this.#window = window;
    this.#file = source.file;
    this.#path = source.path;
    this.#salt = source.salt;
    this.nextOffset = offset;
  }

  /** Moves to the next frame before `limit`; false at the limit. */
  async next(limit: number): Promise<boolean> {
    const at = this.nextOffset;
    if (at >= limit) return false;
    if (at < this.#windowStart || at + frameHeaderBytes > this.#windowEnd) {
      const wanted = Math.min(this.#window.length, limit - at);
      const read = await this.#file.read(this.#window.subarray(0, wanted), at);
      this.#windowStart = at;
      this.#windowEnd = at + read;
      if (read < frameHeaderBytes) throw corrupt(this.#path, at, 'the file ends within a frame');
    }
    if (!readFrameHeader(this.#window, at - this.#windowStart, this.#salt, this.header)) {
      throw corrupt(this.#path, at, 'the header of a frame fails its checksum');
    }
    this.offset = at;
    this.nextOffset = at + frameHeaderBytes + this.header.bodyBytes;
    return true;
  }
}
