import { hash } from 'node:crypto';
import { open } from 'lmdb';
import type { RootDatabase } from 'lmdb';
import { TidemarkError, messageOf, systemCodeOf } from '../../base/errors.ts';
import type { Value } from '../value.ts';
import { ValueReader, ValueWriter } from './codec.ts';

/**
 * The LMDB environment of a store, with one table. A key is the state's number (u32, big-endian), then the state key as the codec
 * writes it, then what tells rows of a spread bag apart (disk-arrangement.ts). A state key that is too long for LMDB stands there as
 * 0x1f and its SHA-256; its value then begins with the key itself. State 0 is the store's own.
 */
const keyBytesMax = 400;
const tagHashed = 0x1f;
const slabBytes = 256 * 1024;

export class DiskEnvironment {
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #path: string;
  readonly #key = new ValueWriter(4096);
  /** Views of the key writer's buffer by their length, made once: LMDB copies keys at once. */
  #views: (Buffer | undefined)[] = [];
  #viewed: Buffer | null = null;
  readonly reader = new ValueReader();
  #slab = new ValueWriter(slabBytes);
  #slabStart = 0;
  /** Values handed over are not copied by LMDB: they are held until their transaction is done. */
  #held: Buffer[] = [];

  private constructor(root: RootDatabase<Buffer, Buffer>, path: string) {
    this.#root = root;
    this.#path = path;
  }

  static open(path: string): DiskEnvironment {
    try {
      const root = open<Buffer, Buffer>({
        path,
        keyEncoding: 'binary',
        encoding: 'binary',
        maxDbs: 1,
        overlappingSync: false,
        noMemInit: true,
      });
      return new DiskEnvironment(root, path);
    } catch (error) {
      throw storeFailure(error, path);
    }
  }

  /** The key's bytes, in a buffer that the next call uses again; `suffix` is not written yet. */
  key(state: number, key: Value): ValueWriter {
    const writer = this.#key;
    writer.at = 0;
    writer.reserve(8);
    writer.at = writer.buffer.writeUInt32BE(state, 0);
    writer.value(key === 0 ? 0 : key);
    if (writer.at <= 4 + keyBytesMax) return writer;
    const digest = hash('sha256', writer.buffer.subarray(4, writer.at), 'buffer');
    writer.at = 4;
    writer.byte(tagHashed);
    writer.bytes(digest);
    return writer;
  }

  /** Whether the key that `key` has just written stands there hashed. */
  get isHashed(): boolean {
    return this.#key.buffer[4] === tagHashed;
  }

  /** The value under what the key writer holds: a view, valid until the next call. */
  get(): Buffer | undefined {
    return this.#root.getBinaryFast(this.#keyView());
  }

  /** Entries from `start` up to `end`, as copies. */
  range(start: Buffer, end: Buffer): Iterable<{ key: Buffer; value: Buffer }> {
    return this.#root.getRange({ start, end });
  }

  keys(start: Buffer, end: Buffer, limit: number): Buffer[] {
    return [...this.#root.getKeys({ start, end, limit })].map((key) => Buffer.from(key));
  }

  /** Begins a value for `put`: written to the writer that is returned. */
  value(): ValueWriter {
    if (this.#slab.at > slabBytes - 4096) this.#slab = new ValueWriter(slabBytes);
    this.#slabStart = this.#slab.at;
    return this.#slab;
  }

  /** Length of what the key writer holds. */
  get keyBytes(): number {
    return this.#key.at;
  }

  /** Length of what the key writer holds and of the value begun last. */
  get entryBytes(): number {
    return this.#key.at + this.valueBytes;
  }

  /** Length of the value begun last. */
  get valueBytes(): number {
    return this.#slab.at - this.#slabStart;
  }

  /** Takes back the value begun last. */
  dropValue(): void {
    this.#slab.at = this.#slabStart;
  }

  /** Puts the value begun last under what the key writer holds; only within `batch`. Returns the bytes of both. */
  put(): number {
    const value = this.#slab.buffer.subarray(this.#slabStart, this.#slab.at);
    this.#held.push(value);
    void this.#root.put(this.#keyView(), value);
    return this.#key.at + value.length;
  }

  /** Removes what the key writer holds; only within `batch`. */
  remove(): void {
    void this.#root.remove(this.#keyView());
  }

  #keyView(): Buffer {
    const { buffer, at } = this.#key;
    if (this.#viewed !== buffer) {
      this.#viewed = buffer;
      this.#views = [];
    }
    return (this.#views[at] ??= buffer.subarray(0, at));
  }

  removeKey(key: Buffer): void {
    void this.#root.remove(key);
  }

  /** One transaction, in the order of the calls; resolves when it is durable. DISK_FULL, VIEW_FAILED. */
  async batch(write: () => void): Promise<void> {
    const done = this.#root.batch(write);
    const held = this.#held;
    this.#held = [];
    this.#slab = new ValueWriter(slabBytes);
    this.#slabStart = 0;
    try {
      await done;
    } catch (error) {
      throw storeFailure(error, this.#path);
    }
    held.length = 0;
    this.#root.resetReadTxn();
  }

  async clear(): Promise<void> {
    await this.#root.clearAsync();
    this.#root.resetReadTxn();
  }

  async close(): Promise<void> {
    await this.#root.close();
  }
}

/** The bytes of the first key behind all those that begin with `prefix`, which is not all 0xff. */
export function behind(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  let last = end.length - 1;
  while (end[last] === 0xff) last--;
  end[last] = (end[last] as number) + 1;
  return end.subarray(0, last + 1);
}

export function storeFailure(error: unknown, path: string): TidemarkError {
  const isFull = systemCodeOf(error) === 'ENOSPC' || /no space|ENOSPC|file too large/i.test(messageOf(error));
  return isFull
    ? new TidemarkError('DISK_FULL', `the disk refuses writes of view state in ${path}`, {
        hint: 'Make room and start again; the views go on from what was published.',
        cause: error,
      })
    : new TidemarkError('VIEW_FAILED', `view state in ${path} cannot be used: ${messageOf(error)}`, {
        hint: 'Start again; if that does not help, remove the folder: state is made anew from the log.',
        cause: error,
      });
}
