/** A buffer that grows, for encoders that write bytes in place. */
export class ByteWriter {
  buffer: Buffer;
  /** Where the next byte goes. */
  at = 0;
  /** All bytes of values written since it was last cleared, or-ed together: bit 7 tells that something is not ASCII. */
  seen = 0;

  constructor(sizeBytes = 16 * 1024) {
    this.buffer = Buffer.allocUnsafeSlow(sizeBytes);
  }

  /** Makes room for `bytes` more at `at`. Invalidates references to `buffer`. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }

  /** Appends bytes as they are. */
  raw(bytes: Uint8Array): void {
    const { length } = bytes;
    this.reserve(length);
    const { buffer, at } = this;
    if (length > 64) buffer.set(bytes, at);
    else for (let index = 0; index < length; index++) buffer[at + index] = bytes[index] as number;
    this.at = at + length;
  }

  /** Appends a whole number, 0 or more, in decimal. */
  decimal(value: number): void {
    let digits = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
    this.reserve(digits);
    const { buffer, at } = this;
    let rest = value;
    for (let index = at + digits - 1; index >= at; index--) {
      const next = Math.floor(rest / 10);
      buffer[index] = 0x30 + (rest - next * 10);
      rest = next;
    }
    this.at = at + digits;
  }

  /** Appends text. */
  text(text: string): void {
    this.reserve(text.length * 3);
    this.at += this.buffer.write(text, this.at);
  }

  /** What was written so far; a view, valid until the next write. */
  bytes(): Buffer {
    return this.buffer.subarray(0, this.at);
  }

  /** Begins anew in the same buffer. */
  reset(): void {
    this.at = 0;
    this.seen = 0;
  }
}
