import type { ChangeBatch } from '../model/change.ts';
import { ChangeCursor, ChangeWriter } from '../model/change.ts';
import type { Visibility } from './port.ts';

/**
 * Keys of streamed transactions that a read might not see yet.
 *
 * A commit can be streamed before it is visible to queries, so a chunk's rows may be older than what the stream has already
 * published. Every key that a transaction *not in the chunk's LOW* touched is left out of the chunk. Transactions are forgotten
 * once every read under way, and every read to come, is known to see them.
 */
interface Tracked {
  readonly txId: string;
  /** The number under which the stream published it; the next one while it is still being streamed. */
  seq: number;
  /** Keys by topic, as latin1 strings; null once they were dropped for lack of room. */
  keys: Map<string, Set<string>> | null;
  /** Topics that it truncated. */
  readonly truncated: Set<string>;
  bytes: number;
}

/** What a set entry costs besides its characters, about. */
const entryBytes = 48;

/** A read under way, from before its LOW is known until its rows are published. */
export interface OpenRead {
  low: Visibility;
}

export type Displacement =
  /** Every row stands. */
  | { readonly kind: 'none' }
  /** Rows with these keys are left out. */
  | { readonly kind: 'keys'; readonly keys: ReadonlySet<string> }
  /** A truncate displaces every row. */
  | { readonly kind: 'all' }
  /** It is no longer known which rows: read again once reads see this transaction. */
  | { readonly kind: 'unknown'; readonly txId: string };

export class Window {
  readonly #bytesMax: number;
  readonly #reads = new Set<OpenRead>();
  #tracked: Tracked[] = [];
  #current: Tracked | null = null;
  #bytes = 0;
  #seen: Visibility;

  constructor(seen: Visibility, bytesMax: number) {
    this.#seen = seen;
    this.#bytesMax = bytesMax;
  }

  /** Whether transactions are retained that the newest known visibility does not include. */
  get hasUnseen(): boolean {
    return this.#tracked.length > 0;
  }

  /** Transactions that the stream has carried and that the newest known visibility does not include. */
  unseen(): string[] {
    return this.#tracked.filter(({ txId }) => !this.#seen.includes(txId)).map(({ txId }) => txId);
  }

  /** The number of the oldest transaction that the newest known visibility does not include, or null. */
  get oldestUnseenSeq(): number | null {
    return this.#tracked.find(({ txId }) => !this.#seen.includes(txId))?.seq ?? null;
  }

  /** The number of the oldest retained transaction, or null. */
  get oldestSeq(): number | null {
    return this.#tracked[0]?.seq ?? null;
  }

  /** A transaction's changes follow. Returns whether they need to be told by `add`. */
  begin(txId: string, seq: number): boolean {
    if (this.#seen.includes(txId) && [...this.#reads].every((read) => read.low.includes(txId))) {
      this.#current = null;
      return false;
    }
    this.#current = { txId, seq, keys: new Map(), truncated: new Set(), bytes: 0 };
    this.#tracked.push(this.#current);
    return true;
  }

  /** A transaction that may have been streamed, as number `seq` or later, and whose keys are not to be had any more. */
  addUnknown(txId: string, seq: number): void {
    if (!this.#seen.includes(txId)) this.#tracked.push({ txId, seq, keys: null, truncated: new Set(), bytes: 0 });
  }

  /** The transaction begun last touched a key. */
  add(topic: string, buffer: Buffer, keyStart: number, keyEnd: number): void {
    const current = this.#current;
    if (current === null || current.keys === null) return;
    let keys = current.keys.get(topic);
    if (keys === undefined) {
      keys = new Set();
      current.keys.set(topic, keys);
    }
    keys.add(buffer.toString('latin1', keyStart, keyEnd));
    const bytes = keyEnd - keyStart + entryBytes;
    current.bytes += bytes;
    this.#bytes += bytes;
    if (this.#bytes > this.#bytesMax) this.#dropLargest();
  }

  truncate(topic: string): void {
    this.#current?.truncated.add(topic);
  }

  /** The transaction begun last was not published after all. */
  abandon(): void {
    if (this.#current === null) return;
    this.#bytes -= this.#current.bytes;
    this.#tracked.pop();
    this.#current = null;
  }

  end(): void {
    this.#current = null;
  }

  /**
   * The source begins a new history: its transactions cannot be compared with those streamed before. Reads must wait for what runs now
   * (the barrier of their jobs) in their place.
   */
  clear(): void {
    this.#tracked = [];
    this.#current = null;
    this.#bytes = 0;
  }

  /** A read is about to begin; what is seen now is the least that it will see. Its `low` is replaced once it is known. */
  open(): OpenRead {
    const read: OpenRead = { low: this.#seen };
    this.#reads.add(read);
    return read;
  }

  close(read: OpenRead): void {
    this.#reads.delete(read);
    this.#forgetSeen();
  }

  /** Reads from now on see at least this. */
  saw(visibility: Visibility): void {
    this.#seen = visibility;
    this.#forgetSeen();
  }

  /** What the stream has made of a chunk of `topic` that was read under `low`. */
  displacement(topic: string, low: Visibility): Displacement {
    const keys = new Set<string>();
    for (const transaction of this.#tracked) {
      if (low.includes(transaction.txId)) continue;
      if (transaction.keys === null) return { kind: 'unknown', txId: transaction.txId };
      if (transaction.truncated.has(topic)) return { kind: 'all' };
      for (const key of transaction.keys.get(topic) ?? []) keys.add(key);
    }
    return keys.size === 0 ? { kind: 'none' } : { kind: 'keys', keys };
  }

  #forgetSeen(): void {
    this.#tracked = this.#tracked.filter((transaction) => {
      const needed =
        transaction === this.#current ||
        !this.#seen.includes(transaction.txId) ||
        [...this.#reads].some((read) => !read.low.includes(transaction.txId));
      if (!needed) this.#bytes -= transaction.bytes;
      return needed;
    });
  }

  #dropLargest(): void {
    let largest: Tracked | null = null;
    for (const transaction of this.#tracked) {
      if (transaction.keys !== null && (largest === null || transaction.bytes > largest.bytes)) largest = transaction;
    }
    if (largest === null) return;
    this.#bytes -= largest.bytes;
    largest.bytes = 0;
    largest.keys = null;
  }
}

/** The records of `batch` whose keys are not in `displaced`; the batch itself when that is all of them. */
export function withoutKeys(batch: ChangeBatch, displaced: ReadonlySet<string>): ChangeBatch {
  const cursor = new ChangeCursor().reset(batch.bytes);
  const kept = new ChangeWriter(batch.bytes.length);
  while (cursor.next()) {
    if (!displaced.has(cursor.bytes.toString('latin1', cursor.keyStart, cursor.keyEnd))) kept.copy(cursor.record());
  }
  return kept.count === batch.count ? batch : kept.batch();
}
