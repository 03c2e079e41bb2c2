/** Something loaded from disk, or on its way there. */
export interface Cached {
  /** About the bytes that it takes in memory. */
  bytes: number;
  /** Asked for since the hand passed it last. */
  used: boolean;
  /** Differs from what has been handed to LMDB. */
  dirty: boolean;
  /** The write that took it to disk; until that is done, it must not be read from there. */
  write: number;
  /** Forgets it; called when its place in memory is wanted. */
  drop(): void;
}

/**
 * What the states of one store hold in memory, bounded in bytes. The hand of a clock goes round and drops what is on disk and
 * was not asked for since it came by last, which is nearly least recently used at the price of setting a flag.
 */
export class DiskCache {
  readonly #limit: number;
  readonly #entries: Cached[] = [];
  #hand = 0;
  #bytes = 0;
  /** The newest write that is done. */
  #written = 0;
  /** Everything was dirty when the hand went round: there is nothing to drop before the next write is done. */
  #stuck = false;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(entry: Cached): void {
    // Before it is in: whoever has just loaded it is about to use it.
    if (this.#bytes > this.#limit && !this.#stuck) this.#trim();
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
  }

  get isOver(): boolean {
    return this.#bytes > this.#limit;
  }

  /** Counts an entry that whoever made it drops himself, unless it is `adopt`ed. */
  count(entry: Cached): void {
    this.#bytes += entry.bytes;
  }

  /** Such an entry has been dropped. */
  discount(entry: Cached): void {
    this.#bytes -= entry.bytes;
  }

  adopt(entry: Cached): void {
    this.#entries.push(entry);
  }

  grow(entry: Cached, bytes: number): void {
    entry.bytes += bytes;
    this.#bytes += bytes;
  }

  /** Everything up to the write is on disk. */
  written(write: number): void {
    this.#written = write;
    this.#stuck = false;
    if (this.#bytes > this.#limit) this.#trim();
  }

  isWritten(write: number): boolean {
    return write <= this.#written;
  }

  #trim(): void {
    const entries = this.#entries;
    // Twice round: the first time takes the marks away.
    for (let steps = entries.length * 2; this.#bytes > this.#limit && entries.length > 0; steps--) {
      if (steps === 0) {
        this.#stuck = true;
        return;
      }
      if (this.#hand >= entries.length) this.#hand = 0;
      const entry = entries[this.#hand] as Cached;
      if (entry.used || entry.dirty || entry.write > this.#written) {
        entry.used = false;
        this.#hand++;
        continue;
      }
      const last = entries.pop() as Cached;
      if (last !== entry) entries[this.#hand] = last;
      this.#bytes -= entry.bytes;
      entry.drop();
    }
  }
}
