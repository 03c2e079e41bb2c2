import type { SinkDocument } from '../../sinks/port.ts';
import { BucketSet, Buckets, Entry, bagOf, bucketOf, hashNumber, hashText } from './digest.ts';

/** Rows of both sides that are looked at one by one at once: about 60 MiB. */
const groupRowsMax = 200_000;
/** A difference that is seen so many times in a row, the key unchanged each time, is one. */
const sightings = 3;
/** Keys that change between all of so many readings cannot be judged: each of their changes wrote the whole row anew. */
const passesMax = 12;

export type TakeDocuments = (documents: readonly SinkDocument[]) => void;

/** The two sides of a comparison, both changing while they are read. */
export interface Sides {
  /**
   * Hands over what there should be, and resolves once the other side can hold all of it, with a mark: whatever came after what was read is
   * a change since the mark.
   */
  expected(take: TakeDocuments, signal: AbortSignal): Promise<number>;
  /** Hands over what there is. */
  held(take: TakeDocuments, signal: AbortSignal): Promise<void>;
  /** Whether rows are told apart by all that they hold, so that some may be there several times. */
  readonly isKeyless: boolean;
  /** Those of the keys that have changed since the mark. */
  changed(mark: number, keys: ReadonlyMap<string, unknown>, signal: AbortSignal): Promise<ReadonlySet<string>>;
}

export type DifferenceKind = 'missing' | 'extra' | 'different';

/** A row in which the sides differ, and which did not change while that was seen. */
export interface Difference {
  readonly key: string;
  readonly kind: DifferenceKind;
  /** Rows concerned; more than one only where rows have no key. */
  readonly rows: number;
  /** Sums of the hashes of what there should be, and of what there is. */
  readonly expected: number;
  readonly held: number;
  /** The same, of hashes that do not depend on the order of characters. */
  readonly expectedBag: number;
  readonly heldBag: number;
  /** Of the reading that saw it last. */
  readonly mark: number;
}

/** How far a comparison is. */
export interface ComparisonProgress {
  readonly phase: 'expected' | 'held' | 'settling';
  /** Readings of both sides so far, this one included. */
  readonly pass: number;
  readonly rows: number;
}

/**
 * Compares two sides that cannot be read at one position (docs/verify.md): sums of hashes by bucket first, then the rows of buckets that
 * differ. What differs in a row counts once it has been seen three times without a change of the row between.
 */
export class Comparison {
  /** Rows that there should be, by the first reading. */
  rows = 0;
  passes = 0;
  /** Keys that changed all the time. */
  unsettled = 0;
  readonly #sides: Sides;
  readonly #signal: AbortSignal;
  readonly #progress: (progress: ComparisonProgress) => void;

  constructor(sides: Sides, signal: AbortSignal, progress: (progress: ComparisonProgress) => void) {
    this.#sides = sides;
    this.#signal = signal;
    this.#progress = progress;
  }

  /** Gives the differences, some at a time, so that there may be any number of them. */
  async *differences(): AsyncGenerator<readonly Difference[]> {
    const buckets = new Buckets();
    let rows = 0;
    await this.#read((documents, weight) => {
      for (const { key, text } of documents) buckets.add(key, text, weight);
      if (weight > 0) rows += documents.length;
    }, 'expected');
    this.rows = rows;
    for (const group of buckets.differing(groupRowsMax)) {
      const found = await this.#settle(group, null);
      if (found.length > 0) yield found;
    }
  }

  /** Those of the keys in which the sides still differ. */
  async again(keys: readonly string[]): Promise<readonly Difference[]> {
    return this.#settle(bucketsOf(keys), new Map(keys.map((key) => [key, 0])));
  }

  /** The keys of those that have changed since they were seen to differ. */
  async changed(found: readonly Difference[]): Promise<ReadonlySet<string>> {
    if (found.length === 0) return new Set();
    const mark = Math.min(...found.map((difference) => difference.mark));
    return this.#sides.changed(mark, new Map(found.map(({ key }) => [key, 0])), this.#signal);
  }

  /** Reads both sides until every difference in these buckets (in `known` keys only, if given) is settled. */
  async #settle(buckets: BucketSet, known: Map<string, number> | null): Promise<Difference[]> {
    const found: Difference[] = [];
    let among = known;
    let wanted = buckets;
    const { isKeyless } = this.#sides;
    for (let pass = 0; pass < passesMax; pass++) {
      const entries = new Map<string, Entry>();
      const mark = await this.#read(
        (documents, weight) => gather(documents, weight, { wanted, among, entries, isKeyless }),
        'settling',
      );
      for (const [key, entry] of entries) if (entry.isEqual) entries.delete(key);
      const changed = entries.size === 0 ? new Set<string>() : await this.#sides.changed(mark, entries, this.#signal);
      const next = new Map<string, number>();
      for (const [key, entry] of entries) {
        const seen = changed.has(key) ? 0 : (among?.get(key) ?? 0) + 1;
        if (seen < sightings) next.set(key, seen);
        else found.push(differenceOf(key, entry, mark));
      }
      among = next;
      if (next.size === 0) return found;
      wanted = bucketsOf(next.keys());
    }
    this.unsettled += among?.size ?? 0;
    return found;
  }

  async #read(
    take: (documents: readonly SinkDocument[], weight: 1 | -1) => void,
    phase: 'expected' | 'settling',
  ): Promise<number> {
    const pass = ++this.passes;
    let rows = 0;
    const count = (documents: readonly SinkDocument[], now: ComparisonProgress['phase']): void => {
      rows += documents.length;
      this.#progress({ phase: now, pass, rows });
    };
    const mark = await this.#sides.expected((documents) => {
      take(documents, 1);
      count(documents, phase);
    }, this.#signal);
    rows = 0;
    await this.#sides.held((documents) => {
      take(documents, -1);
      count(documents, phase === 'settling' ? phase : 'held');
    }, this.#signal);
    return mark;
  }
}

function bucketsOf(keys: Iterable<string>): BucketSet {
  const buckets = new BucketSet();
  for (const key of keys) buckets.add(bucketOf(key));
  return buckets;
}

/** Adds documents to the entries of their keys. */
function gather(
  documents: readonly SinkDocument[],
  weight: 1 | -1,
  into: {
    readonly wanted: BucketSet;
    readonly among: ReadonlyMap<string, unknown> | null;
    readonly entries: Map<string, Entry>;
    readonly isKeyless: boolean;
  },
): void {
  const { wanted, among, entries, isKeyless } = into;
  for (const { key, text } of documents) {
    if (!wanted.has(bucketOf(key)) || (among !== null && !among.has(key))) continue;
    hashText(text, true);
    const hash = hashNumber();
    let entry = entries.get(key);
    if (entry === undefined) entries.set(key, (entry = new Entry()));
    if (isKeyless) entry.add(hash, weight);
    else entry.set(hash, bagOf(text), weight);
  }
}

function differenceOf(key: string, entry: Entry, mark: number): Difference {
  const { expectedRows, heldRows, expected, held, expectedBag, heldBag } = entry;
  const kind = expectedRows > heldRows ? 'missing' : expectedRows < heldRows ? 'extra' : 'different';
  const rows = Math.abs(expectedRows - heldRows) || 1;
  return { key, kind, rows, expected, held, expectedBag, heldBag, mark };
}
