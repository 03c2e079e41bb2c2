import { Delta } from '../delta.ts';
import { ValueReader } from '../state/codec.ts';
import type { ValueWriter } from '../state/codec.ts';
import { compareKeys } from '../state/sorted-runs.ts';
import type { MergedRuns } from '../state/sorted-runs.ts';
import type { Row } from '../value.ts';

/** How much a part has at most. */
export interface PartLimits {
  /** A part ends before the next key when it has so many rows or bytes … */
  readonly rows: number;
  readonly bytes: number;
  /** … and within a key when it has so many. */
  readonly cutRows: number;
  readonly cutBytes: number;
}

export const partLimits: PartLimits = { rows: 1_000, bytes: 128 * 1024, cutRows: 20_000, cutBytes: 8 * 1024 * 1024 };

/** Writes a row of a delta as the payload of a sorter's entry: its weight (zigzag), its values. */
export function writeWeighted(row: Row, weight: number, into: ValueWriter): void {
  into.count(weight >= 0 ? weight * 2 : -weight * 2 - 1);
  into.row(row);
}

function readWeight(reader: ValueReader): number {
  const code = reader.count();
  return code % 2 === 0 ? code / 2 : -(code + 1) / 2;
}

export interface SortedRows {
  readonly cursor: MergedRuns;
  /** Number of the rows' columns. */
  readonly width: number;
}

/** Some sorted rows, of one or two relations. */
export interface Part {
  readonly deltas: readonly Delta[];
  /** The next part begins with another key. */
  readonly isWhole: boolean;
}

/** Goes through relations that are sorted by one key, side by side: whole keys, unless a key has too many rows. */
export class Groups {
  readonly #sources: readonly SortedRows[];
  readonly #limits: PartLimits;
  readonly #reader = new ValueReader();
  /** Sources that have rows of the key which is being taken. */
  readonly #open: SortedRows[] = [];
  #isBegun = false;
  #rows = 0;
  #bytes = 0;

  constructor(sources: readonly SortedRows[], limits: PartLimits) {
    this.#sources = sources;
    this.#limits = limits;
  }

  async next(): Promise<Part | null> {
    if (!this.#isBegun) {
      this.#isBegun = true;
      for (const { cursor } of this.#sources) while (!cursor.next()) await cursor.load();
    }
    const limits = this.#limits;
    const deltas = this.#sources.map(() => new Delta());
    this.#rows = 0;
    this.#bytes = 0;
    for (;;) {
      if (this.#open.length === 0) {
        if (this.#rows >= limits.rows || this.#bytes >= limits.bytes) return { deltas, isWhole: true };
        this.#openNext();
        if (this.#open.length === 0) return this.#rows === 0 ? null : { deltas, isWhole: true };
      }
      const source = this.#open.at(-1) as SortedRows;
      const { cursor } = source;
      let isAtHand = this.#takeOne(source, deltas[this.#sources.indexOf(source)] as Delta);
      while (!isAtHand) {
        await cursor.load();
        isAtHand = cursor.next();
      }
      if (cursor.isOver || !cursor.isSameKey) this.#open.pop();
      else if (this.#rows >= limits.cutRows || this.#bytes >= limits.cutBytes) return { deltas, isWhole: false };
    }
  }

  /** Takes rows of the source's key; whether the next entry is at hand. */
  #takeOne({ cursor, width }: SortedRows, into: Delta): boolean {
    const reader = this.#reader;
    const { cutRows, cutBytes } = this.#limits;
    do {
      const start = cursor.payload(reader).at;
      const weight = readWeight(reader);
      into.push(reader.row(width), weight);
      this.#rows++;
      this.#bytes += reader.at - start;
      if (!cursor.next()) return false;
    } while (!cursor.isOver && cursor.isSameKey && this.#rows < cutRows && this.#bytes < cutBytes);
    return true;
  }

  /** Opens those whose next key is the first of all. */
  #openNext(): void {
    const open = this.#open;
    for (const source of this.#sources) {
      if (source.cursor.isOver) continue;
      const [first] = open;
      const order = first === undefined ? 0 : compareKeys(source.cursor.current, first.cursor.current);
      if (order < 0) open.length = 0;
      if (order <= 0) open.push(source);
    }
  }
}
