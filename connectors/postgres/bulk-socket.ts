import { Socket } from 'node:net';

const bufferBytes = 64 * 1024;
/** Buffers of a connection that is read in bulk: what may have arrived and not been dealt with, plus the one that is read into. */
const buffersMax = 12;

/**
 * A socket that reads into buffers of its own, over and over. Without it Node makes a new buffer for every read; at hundreds of
 * megabytes a second these keep the garbage collector busy, and those that wait for it are a large part of the process's memory.
 *
 * Somebody who takes chunks by `readInto` gives each back with `recycle`, in their order; while all buffers are out, nothing is read.
 * As long as nobody does, chunks are copied and come as `data` events, as from any socket.
 */
export class BulkSocket extends Socket {
  /** Not being read into, and not handed out. */
  readonly #free: Buffer[] = [];
  /** Handed out, in order. */
  readonly #out: Buffer[] = [];
  #current: Buffer = Buffer.alloc(0);
  #reader: ((chunk: Buffer) => void) | null = null;
  #held = false;

  constructor() {
    // `this` is there only after super(), which wants the callbacks; Node calls them once the socket is connected.
    const calls = { next: (): Buffer => Buffer.alloc(0), received: (_bytes: number): boolean => true };
    super({ onread: { buffer: () => calls.next(), callback: (bytes) => calls.received(bytes) } });
    calls.next = () => this.#next();
    calls.received = (bytes) => this.#received(bytes);
  }

  /** Hands what arrives to `reader` from now on; null for `data` events again, which takes back what was not recycled. */
  readInto(reader: ((chunk: Buffer) => void) | null): void {
    this.#reader = reader;
    this.#free.push(...this.#out.splice(0));
    this.#goOn();
  }

  /** The oldest chunk handed out is done with: its buffer is read into again. */
  recycle(): void {
    const buffer = this.#out.shift();
    if (buffer !== undefined) this.#free.push(buffer);
    if (this.#out.length <= buffersMax / 2) this.#goOn();
  }

  #goOn(): void {
    if (!this.#held) return;
    this.#held = false;
    this.resume();
  }

  /** The current buffer has been filled with so many bytes. False stops reading. */
  #received(bytes: number): boolean {
    const buffer = this.#current;
    const reader = this.#reader;
    if (reader === null) {
      this.#free.push(buffer);
      this.emit('data', Buffer.from(buffer.subarray(0, bytes)));
      return !this.isPaused();
    }
    this.#out.push(buffer);
    // One is left to be read into next; it stays empty until some have come back.
    this.#held = this.#out.length >= buffersMax - 1;
    reader(buffer.subarray(0, bytes));
    return !this.#held;
  }

  /** What to read into next; Node asks after every read. */
  #next(): Buffer {
    this.#current = this.#free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
    return this.#current;
  }
}
