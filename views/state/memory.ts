import { present } from '../../base/assert.ts';
import type { Row, StateKey, Value } from '../value.ts';
import { SortedBag } from './bag.ts';
import type { Arrangement, ArrangementSpec, Bag, Records, StateStore } from './port.ts';

/** State that lives as long as the process: every start begins from the log. */
export class MemoryStore implements StateStore {
  readonly kind = 'memory';
  readonly #arrangements = new Map<string, MemoryArrangement>();
  readonly #records = new Map<string, MemoryRecords>();
  #meta: string | null = null;

  arrangement(name: string, spec: ArrangementSpec): Arrangement {
    const known = this.#arrangements.get(name);
    if (known !== undefined) return known;
    const made = new MemoryArrangement(spec.compare);
    this.#arrangements.set(name, made);
    return made;
  }

  records(name: string): Records {
    const known = this.#records.get(name);
    if (known !== undefined) return known;
    const made = new MemoryRecords();
    this.#records.set(name, made);
    return made;
  }

  get meta(): string | null {
    return this.#meta;
  }

  commit(meta: string): void {
    this.#meta = meta;
  }

  sizes(): ReadonlyMap<string, number> {
    const sizes = new Map<string, number>();
    for (const [name, arrangement] of this.#arrangements) sizes.set(name, arrangement.bytes());
    for (const [name, records] of this.#records) sizes.set(name, records.bytes());
    return sizes;
  }

  async flushed(): Promise<void> {}

  async close(): Promise<void> {}
}

/** A single row of weight 1, the usual case, is the map's value itself: it costs nothing beside its place in the map. */
class MemoryArrangement implements Arrangement {
  readonly #bags = new Map<StateKey, Row | SortedBag>();
  readonly #compare: ArrangementSpec['compare'];
  #size = 0;
  #lastEmptied: StateKey | undefined = undefined;

  constructor(compare: ArrangementSpec['compare']) {
    this.#compare = compare;
  }

  add(key: StateKey, row: Row, weight: number): void {
    const bags = this.#bags;
    const found = bags.get(key);
    if (found === undefined || found === emptied) {
      bags.set(key, weight === 1 ? row : new SortedBag([row], [weight]));
      this.#size++;
    } else if (found instanceof SortedBag) {
      this.#size -= found.size;
      found.add(row, weight, this.#compare);
      this.#size += found.size;
      if (found.size === 0) this.#empty(key);
      else if (found.size === 1 && found.total === 1) bags.set(key, present(found.rows[0], 'the row of a bag'));
    } else {
      this.#addToRow(key, found, row, weight);
    }
  }

  #addToRow(key: StateKey, found: Row, row: Row, weight: number): void {
    const order = this.#compare(found, row);
    if (order !== 0) {
      const bag = order < 0 ? new SortedBag([found, row], [1, weight]) : new SortedBag([row, found], [weight, 1]);
      this.#bags.set(key, bag);
      this.#size++;
    } else if (weight === -1) {
      this.#empty(key);
      this.#size--;
    } else {
      this.#bags.set(key, new SortedBag([found], [1 + weight]));
    }
  }

  /**
   * Most rows that go are replaced at once. So the key emptied last keeps its place in the map until another one is emptied, which saves
   * the map from being rebuilt over and over.
   */
  #empty(key: StateKey): void {
    const last = this.#lastEmptied;
    if (last !== undefined && last !== key && this.#bags.get(last) === emptied) this.#bags.delete(last);
    this.#bags.set(key, emptied);
    this.#lastEmptied = key;
  }

  bag(key: StateKey): Bag | undefined {
    const found = this.#bags.get(key);
    if (found === undefined || found === emptied) return undefined;
    return found instanceof SortedBag ? found : new OneRow(found);
  }

  total(key: StateKey): number {
    const found = this.#bags.get(key);
    if (found === undefined) return 0;
    return found instanceof SortedBag ? found.total : 1;
  }

  get size(): number {
    return this.#size;
  }

  *entries(): Iterable<readonly [StateKey, Bag]> {
    for (const [key, found] of this.#bags) {
      if (found !== emptied) yield [key, found instanceof SortedBag ? found : new OneRow(found)];
    }
  }

  /** Map entries take about 40 bytes, a row's place in a bag 16. */
  bytes(): number {
    const sample: Row[] = [];
    for (const found of this.#bags.values()) {
      const row = found instanceof SortedBag ? found.chunks[0]?.rows[0] : found;
      if (row !== undefined) sample.push(row);
      if (sample.length >= sampleMax) break;
    }
    return Math.round(this.#bags.size * 40 + this.#size * (16 + averageBytes(sample)));
  }
}

/** The bag of a key whose rows have gone. */
const emptied = new SortedBag([], []);

const singleWeight: readonly number[] = Object.freeze([1]);

/** A row of weight 1 as a bag of one chunk: itself. */
class OneRow implements Bag {
  readonly total = 1;
  readonly size = 1;
  readonly rows: readonly Row[];
  readonly weights = singleWeight;

  constructor(row: Row) {
    this.rows = [row];
  }

  get chunks(): readonly OneRow[] {
    return [this];
  }
}

class MemoryRecords implements Records {
  readonly #records = new Map<StateKey, Value[]>();

  get(key: StateKey): Value[] | undefined {
    return this.#records.get(key);
  }

  set(key: StateKey, record: Value[]): void {
    this.#records.set(key, record);
  }

  delete(key: StateKey): void {
    this.#records.delete(key);
  }

  entries(): Iterable<readonly [StateKey, Value[]]> {
    return this.#records.entries();
  }

  get size(): number {
    return this.#records.size;
  }

  bytes(): number {
    const sample: Row[] = [];
    for (const record of this.#records.values()) {
      sample.push(record);
      if (sample.length >= sampleMax) break;
    }
    return Math.round(this.#records.size * (40 + averageBytes(sample)));
  }
}

const sampleMax = 1000;

/** What V8 needs for rows: 48 bytes for the array, 8 a value, and strings by their length; shared strings are counted each time. */
function averageBytes(rows: readonly Row[]): number {
  let bytes = 0;
  for (const row of rows) {
    bytes += 48 + 8 * row.length;
    for (const value of row) {
      if (typeof value === 'string') bytes += 16 + value.length;
      else if (typeof value === 'bigint') bytes += 24;
    }
  }
  return rows.length === 0 ? 0 : bytes / rows.length;
}
