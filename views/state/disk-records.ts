import type { StateKey, Value } from '../value.ts';
import { headKey, markDirty } from './disk-context.ts';
import type { DiskContext, DiskEntry, StateInfo } from './disk-context.ts';
import { behind } from './disk-environment.ts';
import { FreshEntries } from './disk-fill.ts';
import type { Records } from './port.ts';

/** Bytes of an entry in memory beside its record's values. */
const entryBytes = 240;

/** Records on disk. A value: its head, the key when that is hashed, a count of values, the values. */
export class DiskRecords implements Records {
  readonly #context: DiskContext;
  readonly #info: StateInfo;
  readonly #entries = new Map<StateKey, RecordEntry>();
  readonly fresh: FreshEntries;

  constructor(context: DiskContext, info: StateInfo) {
    this.#context = context;
    this.#info = info;
    this.fresh = new FreshEntries(this.#entries, context.cache);
  }

  get size(): number {
    return this.#info.keys;
  }

  get(key: StateKey): Value[] | undefined {
    return this.#entry(key).record;
  }

  set(key: StateKey, record: Value[]): void {
    const entry = this.#entry(key);
    if (entry.record === undefined) {
      this.#info.keys++;
      this.#info.changed = true;
    }
    // Only what is another record is measured: one that is changed in place keeps about its size.
    if (entry.record !== record) {
      this.#context.cache.grow(entry, entryBytes + recordBytes(record) - entry.bytes);
      entry.record = record;
    }
    markDirty(this.#context, entry);
  }

  delete(key: StateKey): void {
    const entry = this.#entry(key);
    if (entry.record === undefined) return;
    this.#info.keys--;
    this.#info.changed = true;
    entry.record = undefined;
    markDirty(this.#context, entry);
  }

  *entries(): Iterable<readonly [StateKey, Value[]]> {
    const { environment } = this.#context;
    const seen = new Set<StateKey>();
    for (const [key, { record }] of Array.from(this.#entries)) {
      seen.add(key);
      if (record !== undefined) yield [key, record];
    }
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(this.#info.id, 0);
    const { reader } = environment;
    for (const entry of environment.range(prefix, behind(prefix))) {
      const head = reader.reset(entry.value, 0).byte();
      const key = (head & headKey) === 0 ? reader.reset(entry.key, 4).value() : reader.value();
      if (seen.has(key)) continue;
      if ((head & headKey) === 0) reader.reset(entry.value, 1);
      yield [key, reader.row(reader.count())];
    }
  }

  #entry(key: StateKey): RecordEntry {
    let entry = this.#entries.get(key);
    if (entry !== undefined) {
      entry.used = true;
      return entry;
    }
    const { environment, cache } = this.#context;
    entry = new RecordEntry(key, this.#context, this.#info, this.#entries);
    if (this.fresh.isFilled) {
      this.#entries.set(key, entry);
      this.fresh.add(key, entry);
      return entry;
    }
    environment.key(this.#info.id, key);
    const value = environment.get();
    if (value !== undefined) {
      const reader = environment.reader.reset(value, 0);
      if ((reader.byte() & headKey) !== 0) reader.value();
      entry.record = reader.row(reader.count());
      entry.bytes += recordBytes(entry.record);
    }
    entry.storedBytes = value === undefined ? 0 : value.length;
    this.#entries.set(key, entry);
    cache.add(entry);
    return entry;
  }
}

class RecordEntry implements DiskEntry {
  readonly key: StateKey;
  readonly #context: DiskContext;
  readonly #info: StateInfo;
  readonly #entries: Map<StateKey, RecordEntry>;
  record: Value[] | undefined = undefined;
  bytes = entryBytes;
  used = true;
  dirty = false;
  write = 0;
  /** Length of the value on disk; 0 when there is none. */
  storedBytes = 0;

  constructor(key: StateKey, context: DiskContext, info: StateInfo, entries: Map<StateKey, RecordEntry>) {
    this.key = key;
    this.#context = context;
    this.#info = info;
    this.#entries = entries;
  }

  drop(): void {
    this.#entries.delete(this.key);
  }

  flush(): void {
    const info = this.#info;
    const { environment } = this.#context;
    const { record, storedBytes } = this;
    if (record === undefined && storedBytes === 0) return;
    const keyBytes = environment.key(info.id, this.key).at;
    info.bytes -= storedBytes === 0 ? 0 : keyBytes + storedBytes;
    info.changed = true;
    this.storedBytes = 0;
    if (record === undefined) {
      environment.remove();
      return;
    }
    const writer = environment.value();
    writer.byte(environment.isHashed ? headKey : 0);
    if (environment.isHashed) writer.value(this.key);
    writer.count(record.length);
    writer.row(record);
    this.storedBytes = environment.valueBytes;
    info.bytes += environment.put();
  }
}

/** About the memory that values take. */
export function recordBytes(values: readonly Value[]): number {
  let bytes = 48;
  for (const value of values) bytes += typeof value === 'string' ? 40 + value.length : 8;
  return bytes;
}
