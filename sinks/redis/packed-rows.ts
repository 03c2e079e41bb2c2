import { ByteWriter } from '../../model/json-writer.ts';

/**
 * Rows on their way to a script, as MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), which the server's own
 * cmsgpack.unpack reads: one array32 of key, value, key, value …
 *
 *   string   0xdb, four bytes of length (big-endian), the bytes
 *   array    0xdd, four bytes of length, the elements
 *   false    0xc2, in place of the value of a key that is to go
 */
const array32 = 0xdd;
const string32 = 0xdb;
const no = 0xc2;

const headerBytes = 5;
/** Room that a write of unusual size has taken is given back. */
const spareBytesMax = 4 * 1024 * 1024;

export class PackedRows {
  #writer = new ByteWriter(64 * 1024);
  /** Rows and deletes. */
  count = 0;

  constructor() {
    this.clear();
  }

  /** Where the next row goes. */
  get into(): ByteWriter {
    return this.#writer;
  }

  get sizeBytes(): number {
    return this.#writer.at;
  }

  clear(): void {
    if (this.#writer.buffer.length > spareBytesMax) this.#writer = new ByteWriter(64 * 1024);
    this.#writer.reset();
    this.#writer.at = headerBytes;
    this.count = 0;
  }

  /** What was packed, as it is sent; valid until the next `clear`. */
  bytes(): Buffer {
    const { buffer } = this.#writer;
    buffer[0] = array32;
    buffer.writeUInt32BE(this.count * 2, 1);
    return this.#writer.bytes();
  }

  /** Appends a delete of a key that is known as text. */
  addDelete(key: string): void {
    const into = this.#writer;
    const at = beginString(into);
    into.text(key);
    endString(into, at);
    packFalse(into);
    this.count++;
  }
}

/** Starts a string, whose bytes go next; returns what `endString` takes. */
export function beginString(into: ByteWriter): number {
  into.reserve(headerBytes);
  into.buffer[into.at] = string32;
  into.at += headerBytes;
  return into.at;
}

export function endString(into: ByteWriter, start: number): void {
  writeLength(into, start - headerBytes + 1, into.at - start);
}

/** Starts an array whose length `endArray` tells. */
export function beginArray(into: ByteWriter): number {
  into.reserve(headerBytes);
  into.buffer[into.at] = array32;
  into.at += headerBytes;
  return into.at;
}

export function endArray(into: ByteWriter, start: number, elements: number): void {
  writeLength(into, start - headerBytes + 1, elements);
}

export function packFalse(into: ByteWriter): void {
  into.reserve(1);
  into.buffer[into.at++] = no;
}

function writeLength({ buffer }: ByteWriter, at: number, length: number): void {
  buffer[at] = length >>> 24;
  buffer[at + 1] = length >>> 16;
  buffer[at + 2] = length >>> 8;
  buffer[at + 3] = length;
}

/** A string as it stands among others. */
export function packedString(text: string): Buffer {
  const into = new ByteWriter(headerBytes + 3 * text.length);
  const at = beginString(into);
  into.text(text);
  endString(into, at);
  return Buffer.from(into.bytes());
}

/** An array of strings by itself. */
export function packedStrings(texts: readonly string[]): Buffer {
  const into = new ByteWriter(1024);
  const array = beginArray(into);
  for (const text of texts) {
    const at = beginString(into);
    into.text(text);
    endString(into, at);
  }
  endArray(into, array, texts.length);
  return into.bytes();
}
