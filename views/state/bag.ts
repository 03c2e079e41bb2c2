import type { Row } from '../value.ts';
import type { Bag, BagChunk } from './port.ts';

/** Rows of one chunk at most: large enough that chunks are few, small enough that an insertion into the middle moves little. */
const chunkRowsMax = 512;
/** A chunk this small joins its neighbour when both fit into half a chunk. */
const chunkRowsMin = 64;
/** Arrays up to this length are kept without spare room, since most bags are small and there are many. */
const exactLengthMax = 32;

interface Chunk extends BagChunk {
  rows: Row[];
  weights: number[];
}

type Compare = (a: Row, b: Row) => number;

/** Rows under one key, sorted. While they fit into one chunk, the bag is that chunk itself. Weights may be negative within a step. */
export class SortedBag implements Bag, Chunk {
  total = 0;
  size = 0;
  rows: Row[];
  weights: number[];
  #chunks: Chunk[] | null = null;

  /** Takes the arrays over; they must be sorted. */
  constructor(rows: Row[], weights: number[]) {
    this.rows = rows;
    this.weights = weights;
    this.size = rows.length;
    for (const weight of weights) this.total += weight;
  }

  get chunks(): readonly BagChunk[] {
    return this.#chunks ?? [this];
  }

  add(row: Row, weight: number, compare: Compare): void {
    this.total += weight;
    const chunks = this.#chunks;
    if (chunks !== null) {
      this.#addToChunks(chunks, row, weight, compare);
    } else {
      this.size += addToChunk(this, row, weight, compare);
      if (this.rows.length > chunkRowsMax) {
        const first: Chunk = { rows: this.rows, weights: this.weights };
        this.#chunks = [first, split(first)];
        this.rows = [];
        this.weights = [];
      }
    }
  }

  #addToChunks(chunks: Chunk[], row: Row, weight: number, compare: Compare): void {
    const at = chunkFor(chunks, row, compare);
    const chunk = chunks[at] as Chunk;
    this.size += addToChunk(chunk, row, weight, compare);
    if (chunk.rows.length > chunkRowsMax) chunks.splice(at + 1, 0, split(chunk));
    else if (chunk.rows.length < chunkRowsMin) this.#merge(chunks, at);
  }

  /** Joins the chunk with a neighbour when they are small enough, at the latest when it is empty: no chunk ever is. */
  #merge(chunks: Chunk[], at: number): void {
    const left = at === 0 ? 0 : at - 1;
    const first = chunks[left] as Chunk;
    const second = chunks[left + 1] as Chunk;
    const isEmpty = first.rows.length === 0 || second.rows.length === 0;
    if (!isEmpty && first.rows.length + second.rows.length > chunkRowsMax / 2) return;
    first.rows = first.rows.concat(second.rows);
    first.weights = first.weights.concat(second.weights);
    chunks.splice(left + 1, 1);
    if (chunks.length > 1) return;
    this.rows = first.rows;
    this.weights = first.weights;
    this.#chunks = null;
  }
}

/** The chunk in which the row is or belongs: the last one whose first row is not after it. */
function chunkFor(chunks: readonly Chunk[], row: Row, compare: Compare): number {
  let low = 0;
  let high = chunks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (compare((chunks[middle] as Chunk).rows[0] as Row, row) <= 0) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Returns by how much the number of rows changes. */
function addToChunk(chunk: Chunk, row: Row, weight: number, compare: Compare): number {
  const { rows, weights } = chunk;
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compare(rows[middle] as Row, row);
    if (order === 0) {
      const sum = (weights[middle] as number) + weight;
      if (sum !== 0) {
        weights[middle] = sum;
        return 0;
      }
      chunk.rows = without(rows, middle);
      chunk.weights = without(weights, middle);
      return -1;
    }
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  chunk.rows = insert(rows, low, row);
  chunk.weights = insert(weights, low, weight);
  return 1;
}

/** Cuts the chunk in two and returns the second half. */
function split(chunk: Chunk): Chunk {
  const half = chunk.rows.length >>> 1;
  const second: Chunk = { rows: chunk.rows.slice(half), weights: chunk.weights.slice(half) };
  chunk.rows.length = half;
  chunk.weights.length = half;
  return second;
}

/** `toSpliced` makes an array of exactly its length. */
function insert<T>(items: T[], at: number, item: T): T[] {
  if (items.length < exactLengthMax) return items.toSpliced(at, 0, item);
  items.splice(at, 0, item);
  return items;
}

function without<T>(items: T[], at: number): T[] {
  if (items.length <= exactLengthMax) return items.toSpliced(at, 1);
  items.splice(at, 1);
  return items;
}
