import type { Row } from '../value.ts';
import type { Bag, BagChunk } from './port.ts';

const chunkRowsMax = 128;

/** A stretch of a bag's rows, in order. */
export interface DiskChunk extends BagChunk {
  rows: Row[];
  weights: number[];
  /** The weight with which each row is on disk; 0 for one that is not there. Null: none of them is. */
  bases: number[] | null;
  /** Some weight differs from its base. */
  dirty: boolean;
}

/** Shared by all that have none: never changed. */
const none: never[] = [];
/** Arrays up to this length are kept without spare room, since most bags are small and there are many. */
const exactLengthMax = 32;

/** The rows under one key in memory, which know how they differ from those on disk. */
export class DiskBag implements Bag {
  readonly chunks: DiskChunk[] = [];
  total = 0;
  size = 0;
  /** Rows on disk that are gone, in order, with the weights that they have there. */
  goneRows: Row[] = none;
  goneBases: number[] = none;

  /** Fills an empty bag with rows in order. `spread`: each of them is on disk by itself, with its weight. The arrays are taken over. */
  take(rows: Row[], weights: number[], spread: boolean): void {
    if (rows.length <= chunkRowsMax / 2) {
      if (rows.length > 0) this.chunks.push({ rows, weights, bases: spread ? weights.slice() : null, dirty: false });
    } else {
      for (let at = 0; at < rows.length; at += chunkRowsMax / 2) {
        const end = Math.min(rows.length, at + chunkRowsMax / 2);
        const some = weights.slice(at, end);
        this.chunks.push({
          rows: rows.slice(at, end),
          weights: some,
          bases: spread ? some.slice() : null,
          dirty: false,
        });
      }
    }
    this.size = rows.length;
    for (let index = 0; index < weights.length; index++) this.total += weights[index] as number;
  }

  /** Changes the weight of a row; whether the row came (1), went (-1) or neither (0). */
  add(row: Row, weight: number, compare: (a: Row, b: Row) => number): -1 | 0 | 1 {
    this.total += weight;
    const { chunks } = this;
    if (chunks.length === 0) {
      chunks.push({ rows: [row], weights: [weight], bases: this.#basesOf(row, compare), dirty: true });
      this.size = 1;
      return 1;
    }
    const place = this.#chunkOf(row, compare);
    const chunk = chunks[place] as DiskChunk;
    const found = indexOfRow(chunk.rows, row, compare);
    if (found >= 0) return this.#change(place, found, weight, compare);
    chunk.rows = inserted(chunk.rows, ~found, row);
    chunk.weights = inserted(chunk.weights, ~found, weight);
    const gone = this.#takeGone(row, compare);
    if (gone !== 0) chunk.bases ??= chunk.weights.toSpliced(~found, 1).fill(0);
    if (chunk.bases !== null) chunk.bases = inserted(chunk.bases, ~found, gone);
    chunk.dirty = true;
    this.size++;
    if (chunk.rows.length > chunkRowsMax) this.#split(place);
    return 1;
  }

  /** Says that each row is on disk by itself, as it is in memory; or, without `spread`, that none is. */
  settle(spread: boolean): void {
    this.goneRows = none;
    this.goneBases = none;
    for (const chunk of this.chunks) {
      if (spread && !chunk.dirty) continue;
      chunk.dirty = false;
      chunk.bases = spread ? chunk.weights.slice() : null;
    }
  }

  #change(place: number, index: number, weight: number, compare: (a: Row, b: Row) => number): -1 | 0 {
    const chunk = this.chunks[place] as DiskChunk;
    const { rows, weights, bases } = chunk;
    const now = (weights[index] as number) + weight;
    chunk.dirty = true;
    if (now !== 0) {
      weights[index] = now;
      return 0;
    }
    const base = bases === null ? 0 : (bases[index] as number);
    if (base !== 0) {
      const row = rows[index] as Row;
      if (this.goneRows === none) [this.goneRows, this.goneBases] = [[], []];
      const at = ~indexOfRow(this.goneRows, row, compare);
      this.goneRows.splice(at, 0, row);
      this.goneBases.splice(at, 0, base);
    }
    chunk.rows = without(rows, index);
    chunk.weights = without(weights, index);
    if (bases !== null) chunk.bases = without(bases, index);
    this.size--;
    if (chunk.rows.length === 0) this.chunks.splice(place, 1);
    return -1;
  }

  #basesOf(row: Row, compare: (a: Row, b: Row) => number): number[] | null {
    const base = this.#takeGone(row, compare);
    return base === 0 ? null : [base];
  }

  /** The first chunk whose last row is not before the row, else the last one. */
  #chunkOf(row: Row, compare: (a: Row, b: Row) => number): number {
    const { chunks } = this;
    let low = 0;
    let high = chunks.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare((chunks[middle] as DiskChunk).rows.at(-1) as Row, row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #takeGone(row: Row, compare: (a: Row, b: Row) => number): number {
    if (this.goneRows.length === 0) return 0;
    const at = indexOfRow(this.goneRows, row, compare);
    if (at < 0) return 0;
    this.goneRows.splice(at, 1);
    return this.goneBases.splice(at, 1)[0] as number;
  }

  #split(place: number): void {
    const { rows, weights, bases, dirty } = this.chunks[place] as DiskChunk;
    const half = rows.length >>> 1;
    this.chunks.splice(place + 1, 0, {
      rows: rows.splice(half),
      weights: weights.splice(half),
      bases: bases === null ? null : bases.splice(half),
      dirty,
    });
  }
}

/** Where the row is among sorted ones; the complement of where it would go when it is not there. */
export function indexOfRow(rows: readonly Row[], row: Row, compare: (a: Row, b: Row) => number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compare(rows[middle] as Row, row);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return ~low;
}

function inserted<T>(items: T[], at: number, item: T): T[] {
  if (items.length < exactLengthMax) return items.toSpliced(at, 0, item);
  items.splice(at, 0, item);
  return items;
}

function without<T>(items: T[], at: number): T[] {
  if (items.length <= exactLengthMax) return items.toSpliced(at, 1);
  items.splice(at, 1);
  return items;
}
