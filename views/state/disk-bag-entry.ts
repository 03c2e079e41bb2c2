import { hash } from 'node:crypto';
import { assert } from '../../base/assert.ts';
import type { Row, StateKey } from '../value.ts';
import type { ValueReader, ValueWriter } from './codec.ts';
import { DiskBag, indexOfRow } from './disk-bag.ts';
import type { DiskContext, DiskEntry, StateInfo } from './disk-context.ts';
import { headKey, headSpread } from './disk-context.ts';
import { recordBytes } from './disk-records.ts';
import type { ArrangementSpec } from './port.ts';

/** Bytes of an entry in memory beside its rows, and of a row beside its values. */
const entryBytes = 800;
const rowBytes = 48;
/** A bag of more than one row and more bytes than this is spread: LMDB gives longer values pages of their own. */
const inlineBytesMax = 1800;
/** A spread bag is put together again when it has no more rows than this, in half of these bytes. */
const gatherRowsMax = 8;

/**
 * A row of a spread bag: the key of the bag, then 0x00 and the row's bytes, or 0x01 and 16 bytes of their SHA-256 when they are more
 * than 64. The value is the weight, then the row where the key does not hold it.
 */
const tagPlain = 0x00;
const tagDigest = 0x01;
const tagAfterRows = 0x02;
const plainBytesMax = 64;
const digestBytes = 16;
/** State number, tag, SHA-256: where a hashed key ends. */
const hashedKeyEnd = 4 + 1 + 32;
const tagHashedKey = 0x1f;

interface OnWay {
  readonly rows: Row[];
  readonly weights: number[];
}

const noRows: { row: Row; weight: number }[] = [];

/** What an arrangement knows of one key. */
export class BagEntry implements DiskEntry {
  readonly key: StateKey;
  readonly #context: DiskContext;
  readonly #info: StateInfo;
  readonly #spec: ArrangementSpec;
  readonly #entries: Map<StateKey, BagEntry>;
  bytes = entryBytes;
  used = true;
  dirty = false;
  write = 0;
  /** Null while a spread bag's rows are on disk alone. */
  bag: DiskBag | null = null;
  /** Whether the rows are entries of their own on disk. */
  #spread = false;
  /** Of a spread bag that is not loaded: the sum of its weights, and its rows without those that wait. */
  #total = 0;
  #size = 0;
  /** Rows added to a spread bag that is not loaded, in the order in which they came. */
  #waiting: { row: Row; weight: number }[] = noRows;
  /** Rows of such a bag in order, with the weights that a write not yet done gives them (0: takes them out). */
  #onWay: OnWay | null = null;
  /** Length of the entry's value on disk; 0 when there is none. */
  #storedBytes = 0;

  constructor(
    key: StateKey,
    context: DiskContext,
    info: StateInfo,
    spec: ArrangementSpec,
    entries: Map<StateKey, BagEntry>,
  ) {
    this.key = key;
    this.#context = context;
    this.#info = info;
    this.#spec = spec;
    this.#entries = entries;
  }

  /** Whether a key of LMDB is a row's, and not a bag's. The reader is left behind the bag's key. */
  static isRow(key: Buffer, reader: ValueReader): boolean {
    if (key[4] === tagHashedKey) return key.length > hashedKeyEnd;
    reader.reset(key, 4).value();
    return reader.at < key.length;
  }

  static readInline(reader: ValueReader, end: number, columns: number, bag: DiskBag): void {
    const rows: Row[] = [];
    const weights: number[] = [];
    while (reader.at < end) {
      weights.push(reader.count());
      rows.push(reader.row(columns));
    }
    bag.take(rows, weights, false);
  }

  get total(): number {
    return this.bag === null ? this.#total : this.bag.total;
  }

  /** Takes the value of the key's entry; undefined when there is none. */
  read(value: Buffer | undefined): void {
    this.#storedBytes = value?.length ?? 0;
    if (value === undefined) {
      this.bag = new DiskBag();
      return;
    }
    const reader = this.#context.environment.reader.reset(value, 0);
    const head = reader.byte();
    if ((head & headKey) !== 0) reader.value();
    if ((head & headSpread) === 0) {
      this.bag = new DiskBag();
      BagEntry.readInline(reader, value.length, this.#spec.types.length, this.bag);
      this.bytes += bagBytes(this.bag);
      return;
    }
    this.#spread = true;
    this.#total = reader.count();
    this.#size = reader.count();
  }

  add(row: Row, weight: number): void {
    const { cache } = this.#context;
    if (this.bag === null || this.bag.size > gatherRowsMax) this.#context.dirtyRows++;
    if (this.bag === null) {
      if (this.#waiting === noRows) this.#waiting = [];
      this.#waiting.push({ row, weight });
      this.#total += weight;
      cache.grow(this, rowBytes + recordBytes(row));
      return;
    }
    const came = this.bag.add(row, weight, this.#spec.compare);
    if (came !== 0) cache.grow(this, came * (rowBytes + recordBytes(row)));
  }

  /** Reads the rows of a spread bag. */
  load(): DiskBag {
    const { cache, environment } = this.#context;
    const { compare, types } = this.#spec;
    const writer = environment.key(this.#info.id, this.key);
    writer.byte(tagPlain);
    const start = Buffer.from(writer.buffer.subarray(0, writer.at));
    const end = Buffer.from(start);
    end[end.length - 1] = tagAfterRows;
    const found: { row: Row; weight: number }[] = [];
    const { reader } = environment;
    for (const { key, value } of environment.range(start, end)) {
      const weight = reader.reset(value, 0).count();
      if (key[start.length - 1] === tagPlain) reader.reset(key, start.length);
      const row = reader.row(types.length);
      if (this.#onWayOf(row) === undefined) found.push({ row, weight });
    }
    for (const [index, row] of this.#onWay?.rows.entries() ?? []) {
      const weight = this.#onWay?.weights[index] ?? 0;
      if (weight !== 0) found.push({ row, weight });
    }
    found.sort((a, b) => compare(a.row, b.row));
    const bag = new DiskBag();
    bag.take(
      found.map(({ row }) => row),
      found.map(({ weight }) => weight),
      true,
    );
    for (const { row, weight } of this.#waiting) bag.add(row, weight, compare);
    this.#waiting = noRows;
    this.#onWay = null;
    this.bag = bag;
    cache.grow(this, entryBytes + bagBytes(bag) - this.bytes);
    return bag;
  }

  drop(): void {
    this.#entries.delete(this.key);
  }

  flush(): void {
    const { bag } = this;
    this.#info.changed = true;
    if (bag === null) return this.#flushWaiting();
    if (this.#spread) {
      if (bag.size > gatherRowsMax || !this.#gather(bag)) this.#flushSpread(bag);
      return;
    }
    if (bag.size === 0) return this.#removeHead();
    if (this.#putInline(bag, bag.size === 1 ? Infinity : inlineBytesMax)) return;
    this.#spread = true;
    for (const chunk of bag.chunks) chunk.dirty = true;
    this.#flushSpread(bag);
  }

  /** Puts all rows under the key itself; false when these would be more bytes than that. */
  #putInline(bag: DiskBag, bytesMax: number): boolean {
    const { environment } = this.#context;
    const writer = this.#beginHead(0);
    for (const { rows, weights } of bag.chunks) {
      for (let index = 0; index < rows.length; index++) {
        writer.count(weights[index] as number);
        writer.row(rows[index] as Row);
        if (environment.valueBytes <= bytesMax) continue;
        environment.dropValue();
        return false;
      }
    }
    this.#putHead();
    return true;
  }

  /** Takes the rows of a spread bag that became small together again. */
  #gather(bag: DiskBag): boolean {
    if (bag.size === 0) this.#removeHead();
    else if (!this.#putInline(bag, bag.size === 1 ? Infinity : inlineBytesMax / 2)) return false;
    const { goneRows, goneBases } = bag;
    for (let index = 0; index < goneRows.length; index++) {
      this.#putRow(goneRows[index] as Row, goneBases[index] as number, 0);
    }
    for (const { rows, bases } of bag.chunks) {
      for (let index = 0; index < rows.length; index++) {
        const base = bases === null ? 0 : (bases[index] as number);
        if (base !== 0) this.#putRow(rows[index] as Row, base, 0);
      }
    }
    bag.settle(false);
    this.#spread = false;
    return true;
  }

  #flushSpread(bag: DiskBag): void {
    const { goneRows, goneBases } = bag;
    for (let index = 0; index < goneRows.length; index++) {
      this.#putRow(goneRows[index] as Row, goneBases[index] as number, 0);
    }
    for (const { rows, weights, bases, dirty } of bag.chunks) {
      if (!dirty) continue;
      for (let index = 0; index < rows.length; index++) {
        const base = bases === null ? 0 : (bases[index] as number);
        const weight = weights[index] as number;
        if (base !== weight) this.#putRow(rows[index] as Row, base, weight);
      }
    }
    bag.settle(true);
    this.#putSpreadHead(bag.total, bag.size);
  }

  /** Looks up each row that was added and puts its new weight. */
  #flushWaiting(): void {
    const { compare } = this.#spec;
    if (this.#context.cache.isWritten(this.write)) this.#onWay = null;
    const waiting = this.#waiting.toSorted((a, b) => compare(a.row, b.row));
    this.#waiting = noRows;
    for (let index = 0; index < waiting.length;) {
      const { row } = waiting[index] as { row: Row };
      let sum = 0;
      do sum += waiting[index++]?.weight ?? 0;
      while (index < waiting.length && compare(row, waiting[index]?.row ?? row) === 0);
      if (sum === 0) continue;
      const base = this.#onWayOf(row) ?? this.#weightOnDisk(row);
      this.#putRow(row, base, base + sum);
      this.#size += base === 0 ? 1 : base + sum === 0 ? -1 : 0;
      this.#takeOnWay(row, base + sum);
    }
    if (this.#size > 0) {
      this.#putSpreadHead(this.#total, this.#size);
      return;
    }
    this.#removeHead();
    this.#spread = false;
    // Everything on its way is taken out, so a bag that begins anew has nothing to look up.
    this.bag = new DiskBag();
  }

  #onWayOf(row: Row): number | undefined {
    if (this.#onWay === null) return undefined;
    const at = indexOfRow(this.#onWay.rows, row, this.#spec.compare);
    return at < 0 ? undefined : this.#onWay.weights[at];
  }

  #takeOnWay(row: Row, weight: number): void {
    const { rows, weights } = (this.#onWay ??= { rows: [], weights: [] });
    const at = indexOfRow(rows, row, this.#spec.compare);
    if (at >= 0) weights[at] = weight;
    else {
      rows.splice(~at, 0, row);
      weights.splice(~at, 0, weight);
    }
  }

  #weightOnDisk(row: Row): number {
    const { environment } = this.#context;
    this.#rowKey(row);
    const value = environment.get();
    return value === undefined ? 0 : environment.reader.reset(value, 0).count();
  }

  #putRow(row: Row, base: number, weight: number): void {
    assert(weight >= 0, 'a row of an arrangement with a negative weight');
    const info = this.#info;
    const { environment } = this.#context;
    const isDigest = this.#rowKey(row);
    const writer = environment.value();
    if (base > 0) {
      writer.count(base);
      if (isDigest) writer.row(row);
      info.bytes -= environment.entryBytes;
      environment.dropValue();
    }
    if (weight === 0) {
      environment.remove();
      return;
    }
    writer.count(weight);
    if (isDigest) writer.row(row);
    info.bytes += environment.put();
  }

  /** Begins the value of the key's entry; the key is written. */
  #beginHead(flags: number): ValueWriter {
    const { environment } = this.#context;
    environment.key(this.#info.id, this.key);
    const { isHashed } = environment;
    const writer = environment.value();
    writer.byte(flags | (isHashed ? headKey : 0));
    if (isHashed) writer.value(this.key);
    return writer;
  }

  #putSpreadHead(total: number, size: number): void {
    const writer = this.#beginHead(headSpread);
    writer.count(total);
    writer.count(size);
    this.#putHead();
  }

  #putHead(): void {
    const { environment } = this.#context;
    const info = this.#info;
    if (this.#storedBytes > 0) info.bytes -= environment.keyBytes + this.#storedBytes;
    this.#storedBytes = environment.valueBytes;
    info.bytes += environment.put();
  }

  #removeHead(): void {
    if (this.#storedBytes === 0) return;
    const { environment } = this.#context;
    environment.key(this.#info.id, this.key);
    this.#info.bytes -= environment.keyBytes + this.#storedBytes;
    this.#storedBytes = 0;
    environment.remove();
  }

  /** Writes the key of the row's entry; whether it holds a digest. */
  #rowKey(row: Row): boolean {
    const writer = this.#context.environment.key(this.#info.id, this.key);
    const start = writer.at;
    writer.byte(tagPlain);
    writer.row(row);
    if (writer.at - start - 1 <= plainBytesMax) return false;
    const digest = hash('sha256', writer.buffer.subarray(start + 1, writer.at), 'buffer');
    writer.at = start;
    writer.byte(tagDigest);
    writer.bytes(digest.subarray(0, digestBytes));
    return true;
  }
}

function bagBytes(bag: DiskBag): number {
  let bytes = 0;
  for (const { rows } of bag.chunks) {
    for (const row of rows) bytes += rowBytes + recordBytes(row);
  }
  return bytes;
}
