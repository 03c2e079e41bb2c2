import { createHash } from 'node:crypto';
import { open } from 'lmdb';
import type { Database, RootDatabase } from 'lmdb';
import { assert } from '../../base/assert.ts';

/**
 * Values that PostgreSQL may keep out of line, so that an update which leaves them as they were – and therefore does not carry
 * them – can be published whole.
 *
 * Kept are the toastable columns of rows large enough to have any out of line, by topic and key. Entries may be stale (a row that
 * became small or was deleted): a value is only ever asked for while it is out of line, and it was written here when it got there.
 *
 * The store is a function of the log: it is written after the log is durable, names the transaction that it has come to, and is
 * brought up to the log's end when it is opened. What is not yet durable is kept in memory, and on disk aside when it is much.
 *
 * An entry: for each column i16 id (negative for one that the catalog no longer has), u32 length (0xffffffff for NULL), the text.
 */
const nullLength = 0xffff_ffff;
const keyBytesMax = 512;
const cursorKey = Buffer.from([0]);

/** A value of an entry; null for SQL NULL. */
export type LargeValues = ReadonlyMap<number, Buffer | null>;

interface Layer {
  seq: number;
  readonly entries: Map<string, Buffer>;
}

export class LargeValueStore {
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #main: Database<Buffer, Buffer>;
  readonly #staged: Database<Buffer, Buffer>;
  readonly #overlayMax: number;
  /** Newest last: the open transaction, then those committed and not yet known to be in `#main`. */
  #open: Layer = { seq: 0, entries: new Map() };
  #committed: Layer[] = [];
  #bytes = 0;
  #stagedSeq: number | null = null;
  #writing: Promise<void> = Promise.resolve();

  private constructor(root: RootDatabase<Buffer, Buffer>, overlayMax: number) {
    this.#root = root;
    this.#overlayMax = overlayMax;
    const options = { keyEncoding: 'binary', encoding: 'binary' } as const;
    this.#main = root.openDB<Buffer, Buffer>('main', options);
    this.#staged = root.openDB<Buffer, Buffer>('staged', options);
  }

  static async open(path: string, overlayMax: number): Promise<LargeValueStore> {
    const root = open<Buffer, Buffer>({
      path,
      keyEncoding: 'binary',
      encoding: 'binary',
      maxDbs: 2,
      overlappingSync: false,
      // Reads are copies: nothing may point into the map once a write has gone on.
      noMemInit: true,
    });
    const store = new LargeValueStore(root, overlayMax);
    await store.#staged.clearAsync();
    return store;
  }

  /** The number of the newest transaction that the store holds for certain. */
  get seq(): number {
    const stored = this.#root.getBinary(cursorKey);
    return stored === undefined ? 0 : Number(stored.toString());
  }

  get(topic: string, key: Buffer): LargeValues | null {
    const name = entryName(topic, key);
    let entry = this.#open.entries.get(name);
    for (let layer = this.#committed.length - 1; entry === undefined && layer >= 0; layer--) {
      entry = this.#committed[layer]?.entries.get(name);
    }
    if (entry === undefined) {
      const stored = Buffer.from(name, 'latin1');
      entry = (this.#stagedSeq === null ? undefined : this.#staged.getBinary(stored)) ?? this.#main.getBinary(stored);
    }
    return entry === undefined ? null : decode(entry);
  }

  /** Replaces the entry of a key, within the open transaction. */
  put(topic: string, key: Buffer, values: LargeValues): void {
    const entry = encode(values);
    this.#open.entries.set(entryName(topic, key), entry);
    this.#bytes += entry.length + key.length + 64;
  }

  /** Whether so much waits in memory that `relieve` should be awaited before going on. */
  get isFull(): boolean {
    return this.#bytes > this.#overlayMax;
  }

  /** Whether values wait for `settle`. */
  get hasPending(): boolean {
    return this.#committed.length > 0 || (this.#stagedSeq ?? 0) > 0;
  }

  /** The open transaction got its number. */
  commit(seq: number): void {
    if (this.#stagedSeq === 0) this.#stagedSeq = seq;
    if (this.#open.entries.size === 0) return;
    this.#open.seq = seq;
    this.#committed.push(this.#open);
    this.#open = { seq: 0, entries: new Map() };
  }

  /** The open transaction is not going to be committed. */
  async abort(): Promise<void> {
    this.#open = { seq: 0, entries: new Map() };
    this.#recount();
    if (this.#stagedSeq === 0) {
      await this.#staged.clearAsync();
      this.#stagedSeq = null;
    }
  }

  /** Everything up to `seq` is durable in the log: moves it to disk. */
  async settle(seq: number): Promise<void> {
    this.#writing = this.#writing.then(async () => this.#settle(seq));
    await this.#writing;
  }

  /** Makes room during a transaction that is larger than memory allows: its values wait on disk for its commit. */
  async relieve(): Promise<void> {
    assert(this.#committed.length === 0, 'large values of durable transactions are settled first');
    assert(this.#stagedSeq === null || this.#stagedSeq === 0, 'one transaction at a time is staged');
    this.#stagedSeq = 0;
    const { entries } = this.#open;
    await this.#root.transaction(() => {
      for (const [name, entry] of entries) void this.#staged.put(Buffer.from(name, 'latin1'), entry);
    });
    entries.clear();
    this.#recount();
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => {});
    await this.#root.close();
  }

  async #settle(seq: number): Promise<void> {
    if (this.#stagedSeq !== null && this.#stagedSeq > 0 && this.#stagedSeq <= seq) await this.#promote();
    const durable = this.#committed.filter((layer) => layer.seq <= seq);
    await this.#root.transaction(() => {
      for (const { entries } of durable) {
        for (const [name, entry] of entries) void this.#main.put(Buffer.from(name, 'latin1'), entry);
      }
      void this.#root.put(cursorKey, Buffer.from(String(seq)));
    });
    this.#committed = this.#committed.filter((layer) => !durable.includes(layer));
    this.#recount();
  }

  /** Copies what was staged; a crash in between is harmless, as the log has it and the cursor has not moved. */
  async #promote(): Promise<void> {
    let batch: [Buffer, Buffer][] = [];
    const flush = async (): Promise<void> => {
      const entries = batch;
      batch = [];
      await this.#root.transaction(() => {
        for (const [key, value] of entries) void this.#main.put(key, value);
      });
    };
    for (const { key, value } of this.#staged.getRange()) {
      batch.push([Buffer.from(key), Buffer.from(value)]);
      if (batch.length === 500) await flush();
    }
    await flush();
    this.#stagedSeq = null;
    await this.#staged.clearAsync();
  }

  #recount(): void {
    this.#bytes = 0;
    for (const { entries } of [...this.#committed, this.#open]) {
      for (const [name, entry] of entries) this.#bytes += name.length + entry.length + 64;
    }
  }
}

/** Topic and key in latin1, hashed when LMDB would refuse their length. */
function entryName(topic: string, key: Buffer): string {
  const name = Buffer.concat([Buffer.from(`${topic}\0`), key]);
  const bounded = name.length <= keyBytesMax ? name : createHash('sha256').update(name).digest();
  return bounded.toString('latin1');
}

function encode(values: LargeValues): Buffer {
  let size = 0;
  for (const value of values.values()) size += 6 + (value?.length ?? 0);
  const entry = Buffer.allocUnsafe(size);
  let at = 0;
  for (const [column, value] of values) {
    at = entry.writeInt16LE(column, at);
    at = entry.writeUInt32LE(value === null ? nullLength : value.length, at);
    if (value !== null) at += value.copy(entry, at);
  }
  return entry;
}

function decode(entry: Buffer): LargeValues {
  const values = new Map<number, Buffer | null>();
  for (let at = 0; at < entry.length;) {
    const column = entry.readInt16LE(at);
    const length = entry.readUInt32LE(at + 2);
    at += 6;
    values.set(column, length === nullLength ? null : Buffer.from(entry.subarray(at, at + length)));
    if (length !== nullLength) at += length;
  }
  return values;
}
