/** What the chunks in flight may take in memory: two being read and one being published, when they are of the usual size. */
const inFlightBytesMax = 8 * 1024 * 1024;

/**
 * Memory of chunks from the beginning of their read until they are published or dropped. A chunk that is being read counts as much
 * as the largest of late: what it will come to is not known before.
 */
export class InFlight {
  #reads = 0;
  #readBytes = 0;
  #heldBytes = 0;

  /** Whether another read may begin. One always may when nothing is in flight. */
  get hasRoom(): boolean {
    const idle = this.#reads === 0 && this.#heldBytes === 0;
    return idle || this.#heldBytes + (this.#reads + 1) * this.#readBytes <= inFlightBytesMax;
  }

  readBegins(): void {
    this.#reads++;
  }

  /** A read has ended with a chunk of so many bytes, which are held until they are released; 0 when it failed. */
  readEnds(bytes: number): void {
    this.#reads--;
    this.#heldBytes += bytes;
    // Falls slowly, so that a short chunk at the end of a range does not let too many begin.
    this.#readBytes = Math.max(bytes, this.#readBytes - (this.#readBytes >>> 3));
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}
