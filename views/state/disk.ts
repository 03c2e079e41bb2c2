import { DiskArrangement } from './disk-arrangement.ts';
import { DiskCache } from './disk-cache.ts';
import type { DiskContext, StateInfo } from './disk-context.ts';
import { DiskEnvironment, behind } from './disk-environment.ts';
import { DiskRecords } from './disk-records.ts';
import type { Arrangement, ArrangementSpec, Filling, Records, StateStore } from './port.ts';

export interface DiskStoreOptions {
  /** Folder of the LMDB environment; made when it does not exist. */
  readonly path: string;
  /** About the bytes of rows and records that are kept in memory. Default 32 MiB. */
  readonly cacheBytes?: number;
  /** Entries that may differ from disk before `relieve` writes them. Default 8,000. */
  readonly dirtyMax?: number;
}

const cacheBytesDefault = 32 * 1024 * 1024;
/** A write holds a page of 4 KiB for each entry in the worst case (keys that lie far apart), besides the entries themselves. */
const dirtyMaxDefault = 8_000;
const gatherFactor = 5;
/** Pages of LMDB are half full at least. */
const halfPageBytes = 2048;
const removeAtATime = 2_000;
/** States that are filled are written after so many entries, or parts. */
const fillDirtyMax = 1_000;
const fillPartsMax = 4;

/** State 0 is the store's own; its keys: */
const metaKey = 'meta';
/** There is more in the store than `meta` says: a step was too large for one write. */
const tornKey = 'torn';
/** Then a state's name, or the number of one that is being removed. */
const statePrefix = 'state:';
const gonePrefix = 'gone:';

/** State in an LMDB environment: what is asked for is kept in memory, what changes is written behind, in one transaction a commit. */
export class DiskStore implements StateStore {
  readonly kind = 'disk';
  readonly #context: DiskContext;
  readonly #dirtyMax: number;
  readonly #states = new Map<string, StateInfo>();
  /** Asked for since the store was opened. */
  readonly #arrangements = new Map<string, DiskArrangement>();
  readonly #records = new Map<string, DiskRecords>();
  #gone: number[] = [];
  #nextId = 1;
  #meta: string | null = null;
  #torn = false;
  #tidied = false;
  #closing = false;
  #writes: Promise<void> = Promise.resolve();
  #removal: Promise<void> = Promise.resolve();
  #failure: unknown = null;

  private constructor(environment: DiskEnvironment, options: DiskStoreOptions) {
    const cache = new DiskCache(options.cacheBytes ?? cacheBytesDefault);
    this.#context = { environment, cache, dirty: [], dirtyRows: 0, nextWrite: 1 };
    this.#dirtyMax = options.dirtyMax ?? dirtyMaxDefault;
  }

  /** Opens the store, or makes it. One that a crash left within a large step is empty again. DISK_FULL, VIEW_FAILED. */
  static async open(options: DiskStoreOptions): Promise<DiskStore> {
    const environment = DiskEnvironment.open(options.path);
    const store = new DiskStore(environment, options);
    if (store.#own(tornKey) === null) store.#load();
    else await environment.clear();
    return store;
  }

  get meta(): string | null {
    return this.#meta;
  }

  arrangement(name: string, spec: ArrangementSpec): Arrangement {
    let state = this.#arrangements.get(name);
    if (state === undefined) {
      state = new DiskArrangement(this.#context, this.#info(name), spec);
      this.#arrangements.set(name, state);
    }
    return state;
  }

  records(name: string): Records {
    let state = this.#records.get(name);
    if (state === undefined) {
      state = new DiskRecords(this.#context, this.#info(name));
      this.#records.set(name, state);
    }
    return state;
  }

  commit(meta: string): void {
    if (!this.#tidied) this.#tidy();
    this.#meta = meta;
    this.#write(() => {
      this.#putOwn(metaKey, meta);
      if (this.#torn) this.#removeOwn(tornKey);
      this.#torn = false;
    });
  }

  /**
   * Whether so much differs from disk that `relieve` should be awaited, or a commit and `flushed`. A write cannot hold more pages than
   * there are, so that small states may gather more changes.
   */
  get isFull(): boolean {
    const dirty = this.#context.dirty.length + this.#context.dirtyRows;
    if (dirty <= this.#dirtyMax) return false;
    if (dirty > this.#dirtyMax * gatherFactor) return true;
    let bytes = 0;
    for (const info of this.#states.values()) bytes += info.bytes;
    return bytes / halfPageBytes > this.#dirtyMax;
  }

  /**
   * Makes room in the middle of a step: writes what differs from disk without committing it. Until the next commit is durable a crash
   * leaves an empty store.
   */
  async relieve(): Promise<void> {
    if (this.isFull) this.#writeTorn();
    await this.flushed();
  }

  fill(names: readonly string[]): Filling {
    const states = names.flatMap((name) => this.#arrangements.get(name) ?? this.#records.get(name) ?? []);
    for (const { fresh } of states) fresh.isFilled = true;
    const { dirty, cache } = this.#context;
    let parts = 0;
    const write = async (): Promise<void> => {
      // One write at a time is on its way.
      await this.flushed();
      this.#writeTorn();
      parts = 0;
    };
    return {
      settle: async (isWhole) => {
        if (++parts >= fillPartsMax || dirty.length >= fillDirtyMax) await write();
        if (!isWhole && cache.isOver) for (const { fresh } of states) fresh.keep();
        if (!isWhole || dirty.length > 0) return;
        for (const { fresh } of states) {
          fresh.letGo();
          fresh.isFilled = true;
        }
      },
      end: async () => {
        await write();
        await this.flushed();
        for (const { fresh } of states) {
          fresh.letGo();
          fresh.isFilled = false;
        }
      },
    };
  }

  #writeTorn(): void {
    this.#write(() => {
      if (!this.#torn) this.#putOwn(tornKey, 'torn');
      this.#torn = true;
    });
  }

  sizes(): ReadonlyMap<string, number> {
    const sizes = new Map<string, number>();
    for (const [name, { bytes }] of this.#states) sizes.set(name, bytes);
    return sizes;
  }

  async flushed(): Promise<void> {
    await this.#writes;
    if (this.#failure !== null) throw this.#failure;
  }

  /** What was not committed is gone. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#writes;
    await this.#removal;
    await this.#context.environment.close();
  }

  #info(name: string): StateInfo {
    let info = this.#states.get(name);
    if (info === undefined) {
      info = { name, id: this.#nextId++, keys: 0, bytes: 0, changed: true };
      this.#states.set(name, info);
    }
    return info;
  }

  /** Hands everything that differs from disk to LMDB, in one transaction. */
  #write(also: () => void): void {
    if (this.#failure !== null) throw this.#failure;
    const { environment, cache, dirty } = this.#context;
    const write = this.#context.nextWrite++;
    const done = environment.batch(() => {
      for (const entry of dirty) {
        entry.flush();
        entry.dirty = false;
        entry.write = write;
      }
      dirty.length = 0;
      this.#context.dirtyRows = 0;
      this.#putStates();
      also();
    });
    this.#writes = Promise.all([this.#writes, done]).then(
      () => cache.written(write),
      (error: unknown) => {
        this.#failure ??= error;
      },
    );
  }

  #putStates(): void {
    for (const info of this.#states.values()) {
      if (!info.changed) continue;
      info.changed = false;
      const { id, keys, bytes } = info;
      this.#putOwn(`${statePrefix}${info.name}`, JSON.stringify({ id, keys, bytes }));
    }
  }

  /** States that nobody asked for by the first commit are not part of the plan any more. */
  #tidy(): void {
    this.#tidied = true;
    const unused = [...this.#states.values()].filter(
      ({ name }) => !this.#arrangements.has(name) && !this.#records.has(name),
    );
    for (const { name } of unused) this.#states.delete(name);
    if (unused.length > 0) {
      this.#write(() => {
        for (const { name, id } of unused) {
          this.#removeOwn(`${statePrefix}${name}`);
          this.#putOwn(`${gonePrefix}${id}`, 'gone');
        }
      });
    }
    this.#gone.push(...unused.map(({ id }) => id));
    if (this.#gone.length > 0) this.#removal = this.#removeGone();
  }

  /** Deletes what removed states hold, a little at a time. A crash in between leaves the rest to the next start. */
  async #removeGone(): Promise<void> {
    const { environment } = this.#context;
    try {
      for (const id of this.#gone) {
        const prefix = Buffer.alloc(4);
        prefix.writeUInt32BE(id, 0);
        for (let isEmpty = false; !isEmpty && !this.#closing;) {
          const keys = environment.keys(prefix, behind(prefix), removeAtATime);
          isEmpty = keys.length === 0;
          await environment.batch(() => {
            for (const key of keys) environment.removeKey(key);
            if (isEmpty) this.#removeOwn(`${gonePrefix}${id}`);
          });
        }
      }
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #load(): void {
    const { environment } = this.#context;
    this.#meta = this.#own(metaKey);
    const { reader } = environment;
    const start = Buffer.alloc(4);
    for (const { key, value } of environment.range(start, behind(start))) {
      const name = reader.reset(key, 4).value() as string;
      if (name.startsWith(gonePrefix)) this.#gone.push(Number(name.slice(gonePrefix.length)));
      if (!name.startsWith(statePrefix)) continue;
      const stored = JSON.parse(value.toString()) as { id: number; keys: number; bytes: number };
      const info = { name: name.slice(statePrefix.length), ...stored, changed: false };
      this.#states.set(info.name, info);
    }
    this.#nextId = Math.max(0, ...this.#gone, ...[...this.#states.values()].map(({ id }) => id)) + 1;
  }

  #own(name: string): string | null {
    this.#context.environment.key(0, name);
    return this.#context.environment.get()?.toString() ?? null;
  }

  #putOwn(name: string, value: string): void {
    const { environment } = this.#context;
    environment.key(0, name);
    environment.value().bytes(Buffer.from(value));
    environment.put();
  }

  #removeOwn(name: string): void {
    this.#context.environment.key(0, name);
    this.#context.environment.remove();
  }
}
