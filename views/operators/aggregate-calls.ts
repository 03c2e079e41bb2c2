import type { AggregateFunction, LinearAggregate } from '../expressions/expression.ts';
import type { Arrangement, Bag, BagChunk, Records } from '../state/port.ts';
import type { Row, StateKey, Value } from '../value.ts';

/**
 * The calls of one aggregate operator. Each reads its arguments at positions of a *source row*: the input's row, or one with everything
 * computed that the calls need.
 */
export interface LinearCall {
  readonly kind: 'linear';
  readonly fn: AggregateFunction;
  readonly linear: LinearAggregate;
  readonly args: readonly number[];
  /** Position of its FILTER's answer; −1: none. */
  readonly filter: number;
  readonly distinct: DistinctRows | null;
}

/** Counts of different argument rows per group: only the first of equal ones counts. */
export interface DistinctRows {
  /** Group and arguments → count, the arguments that were counted. */
  readonly records: Records;
  readonly keyOf: (args: Row) => StateKey | undefined;
}

export interface CollectedCall {
  readonly kind: 'collected';
  readonly fn: AggregateFunction;
  readonly collection: Collection;
  /** Positions of its arguments in the collection's rows. */
  readonly args: readonly number[];
  /** Of equal arguments, which the order brings together, only the first counts. */
  readonly distinctBy: ((row: Row) => StateKey | undefined) | null;
}

export type Call = LinearCall | CollectedCall;

/** The rows of each group in some order, for the calls that want that order. */
export interface Collection {
  readonly arrangement: Arrangement;
  /** Makes the row of a source row: what it is ordered by, and the arguments. */
  readonly pick: (source: Row) => Row;
  readonly filter: number;
  /** Position of a value in source rows without which they do not count; −1: all count. */
  readonly notNull: number;
}

/** Adds a source row to the accumulators in a group's record. */
export type Accumulate = (record: Value[], source: Row, weight: number) => void;

/** Adds rows, which are their own source rows, to the groups of their keys. `find` gives a group that `touched` does not have yet. */
export type AccumulateAll = (
  rows: readonly Row[],
  weights: readonly number[],
  touched: Map<StateKey, Value[]>,
  find: (key: StateKey, row: Row) => Value[],
) => void;

/**
 * The accumulation of all linear calls as generated functions, in which each call's `add` stands by itself: V8 then inlines them, and
 * no loop over calls is left. `slots[i]` is where call i keeps its values. `all` has the loop over the rows inside, for steps
 * of many rows.
 */
export function accumulators(
  calls: readonly LinearCall[],
  slots: readonly number[],
  keyOf: (row: Row) => StateKey | undefined,
): { readonly one: Accumulate; readonly all: AccumulateAll } {
  const lines = calls.map(({ fn, args, filter }, index) => {
    const values = args.map((position, at) => `args${index}[${at}] = source[${position}];`).join(' ');
    const add = `${values} linear${index}.add(record, ${slots[index]}, args${index}, weight);`;
    const conditions = [
      ...(filter < 0 ? [] : [`source[${filter}] === true`]),
      ...(fn.skipsNull && args.length > 0 ? [`source[${args[0]}] !== null`] : []),
    ];
    return conditions.length === 0 ? add : `if (${conditions.join(' && ')}) { ${add} }`;
  });
  const one = `function one(record, source, weight) {
    record[0] += weight;
    ${lines.join('\n    ')}
  }`;
  const all = `function all(rows, weights, touched, find) {
    recentKeys.fill(undefined);
    for (let index = 0; index < rows.length; index++) {
      const source = rows[index];
      const weight = weights[index];
      const key = keyOf(source);
      const place = typeof key === 'number' ? key & ${recentMask} : 0;
      let record;
      if (recentKeys[place] === key) {
        record = recentRecords[place];
      } else {
        record = touched.get(key);
        if (record === undefined) record = find(key, source);
        recentKeys[place] = key;
        recentRecords[place] = record;
      }
      record[0] += weight;
      ${lines.join('\n      ')}
    }
  }`;
  const names = calls.flatMap((_, index) => [`linear${index}`, `args${index}`]);
  // oxlint-disable-next-line typescript/no-implied-eval -- only numbers made by the planner enter the code
  const make = new Function(
    'keyOf',
    ...names,
    `'use strict';
    const recentKeys = Array(${recentMask + 1}).fill(undefined);
    const recentRecords = Array(${recentMask + 1}).fill(undefined);
    return { one: ${one}, all: ${all} };`,
  ) as (...bound: unknown[]) => { one: Accumulate; all: AccumulateAll };
  return make(keyOf, ...calls.flatMap(({ linear, args }) => [linear, args.map(() => null)]));
}

/**
 * Groups of integer keys that a large step has met are looked for here before the map, by their lowest bits; those of other keys where
 * the same one comes several times in a row.
 */
const recentMask = 63;

/** Adds a source row to a DISTINCT call: its accumulator changes when the arguments come or go. */
export function accumulateDistinct(
  call: LinearCall,
  distinct: DistinctRows,
  group: StateKey,
  record: Value[],
  slot: number,
  source: Row,
  weight: number,
): void {
  if (call.filter >= 0 && source[call.filter] !== true) return;
  const args = call.args.map((position) => source[position] ?? null);
  if (call.fn.skipsNull && args[0] === null) return;
  const key = pairKey(group, distinct.keyOf(args) ?? null);
  const found = distinct.records.get(key);
  const before = found === undefined ? 0 : Number(found[0]);
  const now = before + weight;
  // The arguments that were added are those that must be taken out: 1.0 and 1.00 are equal, and not the same.
  const counted = found === undefined ? args : found.slice(1);
  const change = (now > 0 ? 1 : 0) - (before > 0 ? 1 : 0);
  if (change !== 0) call.linear.add(record, slot, change > 0 ? args : counted, change);
  if (now === 0) distinct.records.delete(key);
  else distinct.records.set(key, [now, ...(change > 0 ? args : counted)]);
}

function pairKey(group: StateKey, args: StateKey): string {
  const first = `${typeof group}:${String(group)}`;
  return `${first.length}:${first}${typeof args}:${String(args)}`;
}

export function collect(
  { arrangement, pick, filter, notNull }: Collection,
  group: StateKey,
  source: Row,
  weight: number,
): void {
  if (filter >= 0 && source[filter] !== true) return;
  if (notNull >= 0 && source[notNull] === null) return;
  const row = pick(source);
  for (const value of row) {
    // A text put together of others is, in V8, a tree of them until a character is asked for. This one will be part of many results.
    if (typeof value === 'string') value.charCodeAt(0);
  }
  arrangement.add(group, row, weight);
}

/** The result of a collected call for the rows of its group. Throws RowError. */
export function render(call: CollectedCall, group: StateKey): Value {
  const { fn } = call;
  const bag = call.collection.arrangement.bag(group);
  const result = fn.collect;
  if (result === null) return null;
  if (fn.first === null) return result(new Arguments(call, bag));
  if (bag === undefined) return null;
  const chunk = bag.chunks[fn.first === 'ascending' ? 0 : bag.chunks.length - 1];
  const row = chunk?.rows[fn.first === 'ascending' ? 0 : chunk.rows.length - 1];
  return row === undefined ? null : result([{ args: row, weight: 1 }]);
}

interface Item {
  readonly args: readonly Value[];
  weight: number;
}

/** A bag's rows as an aggregate sees them, once; what it gives is one object, changed from row to row. */
class Arguments implements IterableIterator<Item> {
  readonly #positions: readonly number[];
  readonly #skipsNull: boolean;
  readonly #distinctBy: ((row: Row) => StateKey | undefined) | null;
  readonly #chunks: readonly BagChunk[];
  readonly #args: Value[];
  readonly #item: Item;
  readonly #result: { done: false; value: Item };
  #chunk = 0;
  #at = 0;
  #last: StateKey | undefined = undefined;

  constructor({ fn, args, distinctBy }: CollectedCall, bag: Bag | undefined) {
    this.#positions = args;
    this.#skipsNull = fn.skipsNull;
    this.#distinctBy = distinctBy;
    this.#chunks = bag === undefined ? noChunks : bag.chunks;
    this.#args = args.map(() => null);
    this.#item = { args: this.#args, weight: 1 };
    this.#result = { done: false, value: this.#item };
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Item> {
    const args = this.#args;
    const positions = this.#positions;
    while (this.#chunk < this.#chunks.length) {
      const { rows, weights } = this.#chunks[this.#chunk] as BagChunk;
      if (this.#at >= rows.length) {
        this.#chunk++;
        this.#at = 0;
        continue;
      }
      const row = rows[this.#at] as Row;
      this.#item.weight = weights[this.#at++] as number;
      for (let index = 0; index < positions.length; index++) args[index] = row[positions[index] as number] as Value;
      if (this.#skipsNull && args[0] === null) continue;
      if (this.#distinctBy !== null && this.#isRepeated(this.#distinctBy, row)) continue;
      return this.#result;
    }
    return over;
  }

  /** Of equal arguments, which come one after the other, only the first counts, and once. */
  #isRepeated(distinctBy: (row: Row) => StateKey | undefined, row: Row): boolean {
    const key = distinctBy(row);
    if (this.#last !== undefined && Object.is(key, this.#last)) return true;
    this.#last = key;
    this.#item.weight = 1;
    return false;
  }
}

const noChunks: readonly BagChunk[] = [];
const over: IteratorResult<Item> = { done: true, value: undefined };
