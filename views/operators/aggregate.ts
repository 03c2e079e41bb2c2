import { present } from '../../base/assert.ts';
import { Delta, emptyDelta } from '../delta.ts';
import { RowError } from '../expressions/expression.ts';
import type { Arrangement, Records } from '../state/port.ts';
import type { Row, StateKey, Value } from '../value.ts';
import type {
  Accumulate,
  AccumulateAll,
  Call,
  CollectedCall,
  Collection,
  DistinctRows,
  LinearCall,
} from './aggregate-calls.ts';
import { accumulateDistinct, accumulators, collect, render } from './aggregate-calls.ts';
import { isSameKey } from './key-index.ts';
import type { Operator, StepContext } from './operator.ts';

export interface AggregateOptions {
  readonly name: string;
  readonly keyOf: (row: Row) => StateKey | undefined;
  /** The key's values of an input row. */
  readonly keyRow: (row: Row) => Row;
  readonly keyCount: number;
  /** Makes the source row of an input row; null: it is the input's row. */
  readonly evaluate: ((row: Row) => Row) | null;
  readonly calls: readonly Call[];
  readonly collections: readonly Collection[];
  readonly records: Records;
  /**
   * The keys' rows by key, where equal keys can differ (1.0 and 1.00): the result has the first in order. Null where they cannot.
   */
  readonly keyRows: Arrangement | null;
}

/** What a group's record says in its second value. */
const notShown = 0;
const shown = 1;
const failed = 2;

/**
 * GROUP BY: one row for each key with rows; without keys one row, from the first step on. A group's record:
 *
 *   number of rows · notShown, shown or failed · accumulators of the linear calls · the row that was output last
 *
 * What a call makes of all rows of a group (a document) is not kept in the record, where it is null, but made again of the rows as they
 * were, before a step changes them.
 *
 * All rows of a step are added first; then each group that was touched is rendered once and compared with its last output. A group
 * whose result cannot be computed is rejected, with its key, and absent until it can. It then keeps the reason in place of its
 * results.
 */
export class Aggregate implements Operator {
  readonly groupOf: (row: Row) => StateKey | undefined;
  readonly #options: AggregateOptions;
  readonly #accumulate: Accumulate;
  /** Null when rows need more than accumulators, or can fail. */
  readonly #accumulateAll: AccumulateAll | null;
  /** Of each call: where its accumulators begin; −1 for a collected one. */
  readonly #slots: readonly number[];
  readonly #distinct: readonly { readonly call: LinearCall; readonly distinct: DistinctRows; readonly slot: number }[];
  readonly #isPlain: boolean;
  /** Calls whose results are not kept, and where they stand in a record during a step. */
  readonly #made: readonly { readonly call: CollectedCall; readonly at: number }[];
  /** A record is nothing but its count, its state, and keys that stay. */
  readonly #isCountOnly: boolean;
  /** Where the last output begins in a record. */
  readonly #outputAt: number;
  readonly #newRecord: readonly Value[];
  readonly #results: Value[];

  constructor(options: AggregateOptions) {
    this.#options = options;
    this.groupOf = options.keyOf;
    const slots: number[] = [];
    let next = 2;
    for (const call of options.calls) {
      slots.push(call.kind === 'linear' ? next : -1);
      if (call.kind === 'linear') next += call.linear.slots;
    }
    this.#slots = slots;
    this.#outputAt = next;
    const record: Value[] = Array.from({ length: next + options.keyCount + options.calls.length }, () => null);
    record[0] = 0;
    record[1] = notShown;
    for (const [index, call] of options.calls.entries()) {
      if (call.kind === 'linear') call.linear.init(record, slots[index] ?? 0);
    }
    this.#newRecord = record;
    this.#results = options.calls.map(() => null);
    const plain = options.calls.flatMap((call, index) =>
      call.kind === 'linear' && call.distinct === null ? [{ call, slot: slots[index] ?? 0 }] : [],
    );
    const { one, all } = accumulators(
      plain.map(({ call }) => call),
      plain.map(({ slot }) => slot),
      options.keyOf,
    );
    this.#accumulate = one;
    this.#distinct = options.calls.flatMap((call, index) =>
      call.kind === 'linear' && call.distinct !== null
        ? [{ call, distinct: call.distinct, slot: slots[index] ?? 0 }]
        : [],
    );
    const { collections, keyRows, evaluate } = options;
    this.#made = options.calls.flatMap((call, index) =>
      call.kind === 'collected' && call.fn.first === null ? [{ call, at: next + options.keyCount + index }] : [],
    );
    this.#isCountOnly = this.#made.length === options.calls.length && keyRows === null;
    this.#isPlain = collections.length === 0 && this.#distinct.length === 0 && keyRows === null;
    this.#accumulateAll = this.#isPlain && evaluate === null ? all : null;
  }

  step(inputs: readonly Delta[], context: StepContext): Delta {
    const input = inputs[0] ?? emptyDelta;
    const touched = new Touched();
    if (this.#options.keyCount === 0) this.#touch(0, [], touched);
    if (this.#accumulateAll !== null && input.length > listedMax) {
      const find = (key: StateKey, row: Row): Value[] => touched.add(key, this.#record(key, row), false);
      this.#accumulateAll(input.rows, input.weights, touched.asMap(), find);
    } else {
      this.#accumulateEach(input, touched, context);
    }
    const output = new Delta();
    const { keys, records, counts } = touched;
    for (let index = 0; index < keys.length; index++) {
      const count = counts.length === 0 ? -1 : (counts[index] as number);
      this.#finish(keys[index] as StateKey, records[index] as Value[], count, output, context);
    }
    return output;
  }

  #accumulateEach({ rows, weights }: Delta, touched: Touched, context: StepContext): void {
    const { name, keyOf, evaluate } = this.#options;
    const accumulate = this.#accumulate;
    if (rows.length > listedMax) touched.asMap();
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index] as Row;
      const weight = weights[index] as number;
      let source = row;
      let key: StateKey;
      try {
        key = keyOf(row) as StateKey;
        if (evaluate !== null) source = evaluate(row);
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        context.reject(name, row, weight, error);
        continue;
      }
      const record = touched.get(key) ?? this.#touch(key, row, touched);
      accumulate(record, source, weight);
      if (!this.#isPlain) this.#collect(key, record, row, source, weight);
    }
  }

  /** The group's record; a new one, not yet kept, has the values of the key. */
  #record(key: StateKey, row: Row): Value[] {
    const known = this.#options.records.get(key);
    if (known !== undefined) return known;
    const record = this.#newRecord.slice();
    const keys = this.#options.keyRow(row);
    for (let at = 0; at < this.#options.keyCount; at++) record[this.#outputAt + at] = keys[at] ?? null;
    return record;
  }

  /** Takes a group up; a record that was shown gets what is not kept there. */
  #touch(key: StateKey, row: Row, touched: Touched): Value[] {
    const record = this.#record(key, row);
    if (record[1] === shown) for (const { call, at } of this.#made) record[at] = render(call, key);
    return touched.add(key, record, this.#isCountOnly);
  }

  /** Keeps a record that is shown, without what can be made again. */
  #set(key: StateKey, record: Value[], isSame: boolean): void {
    for (const { at } of this.#made) record[at] = null;
    if (!isSame) this.#options.records.set(key, record);
  }

  #collect(key: StateKey, record: Value[], row: Row, source: Row, weight: number): void {
    const { collections, keyRows, keyRow } = this.#options;
    for (const collection of collections) collect(collection, key, source, weight);
    for (const { call, distinct, slot } of this.#distinct) {
      accumulateDistinct(call, distinct, key, record, slot, source, weight);
    }
    if (keyRows !== null) keyRows.add(key, keyRow(row), weight);
  }

  /** Renders the group and outputs what changed. `count`: of its rows before, where the record tells nothing else; −1 where it does. */
  #finish(key: StateKey, record: Value[], count: number, output: Delta, context: StepContext): void {
    const { records, keyCount } = this.#options;
    if (record[0] === 0 && keyCount > 0) {
      if (record[1] === shown) output.push(this.#lastOutput(record), -1);
      if (record[1] === failed) this.#rejectLast(record, context);
      records.delete(key);
      return;
    }
    try {
      this.#render(key, record);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      this.#fail(key, record, error, output, context);
      return;
    }
    const keys = this.#keys(key);
    const isSame = record[1] === shown && record[0] === count;
    if (record[1] === shown) {
      if (!this.#differs(record, keys)) {
        this.#set(key, record, isSame);
        return;
      }
      output.push(this.#lastOutput(record), -1);
    } else if (record[1] === failed) {
      this.#rejectLast(record, context);
    }
    this.#keep(record, keys);
    record[1] = shown;
    output.push(this.#lastOutput(record), 1);
    this.#set(key, record, isSame);
  }

  #render(key: StateKey, record: readonly Value[]): void {
    const { calls } = this.#options;
    const results = this.#results;
    for (let index = 0; index < calls.length; index++) {
      const call = calls[index] as LinearCall | CollectedCall;
      results[index] =
        call.kind === 'linear' ? call.linear.result(record, this.#slots[index] as number) : render(call, key);
    }
  }

  /** The key's values where they can change while the key does not. */
  #keys(key: StateKey): Row | null {
    const { keyRows } = this.#options;
    return keyRows === null ? null : present(keyRows.bag(key)?.chunks[0]?.rows[0], 'the key of a group');
  }

  #differs(record: readonly Value[], keys: Row | null): boolean {
    const at = this.#outputAt;
    const { keyCount } = this.#options;
    const results = this.#results;
    for (let index = 0; index < results.length; index++) {
      if (!Object.is(record[at + keyCount + index], results[index])) return true;
    }
    if (keys === null) return false;
    for (let index = 0; index < keyCount; index++) {
      if (!Object.is(record[at + index], keys[index])) return true;
    }
    return false;
  }

  #keep(record: Value[], keys: Row | null): void {
    const at = this.#outputAt;
    const { keyCount } = this.#options;
    const results = this.#results;
    for (let index = 0; index < results.length; index++) record[at + keyCount + index] = results[index] as Value;
    if (keys === null) return;
    for (let index = 0; index < keyCount; index++) record[at + index] = keys[index] ?? null;
  }

  #lastOutput(record: readonly Value[]): Row {
    return record.slice(this.#outputAt);
  }

  #fail(key: StateKey, record: Value[], error: RowError, output: Delta, context: StepContext): void {
    const { records, name, keyCount } = this.#options;
    const reason = `${error.sqlState} ${error.message}`;
    if (record[1] === failed && record[this.#outputAt + keyCount] === reason) {
      records.set(key, record);
      return;
    }
    if (record[1] === shown) output.push(this.#lastOutput(record), -1);
    if (record[1] === failed) this.#rejectLast(record, context);
    const keys = this.#keys(key);
    this.#keep(record, keys);
    for (const { at } of this.#made) record[at] = null;
    record[1] = failed;
    record[this.#outputAt + keyCount] = reason;
    context.reject(name, this.#lastOutput(record).slice(0, keyCount), 1, error);
    records.set(key, record);
  }

  /** Takes back that the group was rejected. */
  #rejectLast(record: readonly Value[], context: StepContext): void {
    const { name, keyCount } = this.#options;
    const reason = String(record[this.#outputAt + keyCount]);
    const error = new RowError(reason.slice(0, 5), reason.slice(6));
    context.reject(name, record.slice(this.#outputAt, this.#outputAt + keyCount), -1, error);
  }
}

/** So many groups are looked through one by one, which costs less than a Map would, when a step is a single small transaction. */
const listedMax = 4;

/** The groups that a step touches, each once. */
class Touched {
  keys: readonly StateKey[] = [];
  records: readonly Value[][] = [];
  /** Numbers of rows before the step, where they are wanted. */
  readonly counts: number[] = [];
  #map: Map<StateKey, Value[]> | null = null;

  /** The same by key, which is to be kept from here on. */
  asMap(): Map<StateKey, Value[]> {
    this.#map ??= new Map(this.keys.map((key, index) => [key, this.records[index] ?? []]));
    return this.#map;
  }

  get(key: StateKey): Value[] | undefined {
    if (this.#map !== null) return this.#map.get(key);
    for (let index = 0; index < this.keys.length; index++) {
      if (isSameKey(this.keys[index], key)) return this.records[index];
    }
    return undefined;
  }

  add(key: StateKey, record: Value[], withCount: boolean): Value[] {
    if (withCount) this.counts.push(record[0] as number);
    if (this.keys.length === 0) {
      this.keys = [key];
      this.records = [record];
    } else {
      (this.keys as StateKey[]).push(key);
      (this.records as Value[][]).push(record);
    }
    this.#map?.set(key, record);
    return record;
  }
}
