import { assert } from '../../base/assert.ts';
import type { Delta } from '../delta.ts';
import { compileKey } from '../expressions/key.ts';
import type { BoundView } from '../plan/plan.ts';
import type { Records, StateStore } from '../state/port.ts';
import type { Row, StateKey, Value } from '../value.ts';
import type { RowEncoder } from './view-topic.ts';
import type { ChangeWriter } from '../../model/change.ts';
import type { Table } from '../../model/table.ts';

/**
 * The result of one view, kept by its key for look-ups and for comparing with what was published.
 *
 * A record holds the row; of a view without a key the number of rows that are alike, then the row. `changed` holds, for each key that a
 * step in several parts has changed so far, the record from before the step (an empty one when there was none), so that such a step
 * publishes each key once.
 */
export class ViewOutput {
  readonly view: BoundView;
  readonly results: Records;
  readonly changed: Records;
  readonly hasKey: boolean;
  /** The key under which `results` has a row. */
  readonly groupOf: (row: Row) => StateKey;
  readonly #keyOf: (row: Row) => StateKey | undefined;
  readonly #key: readonly number[];

  constructor(view: BoundView, table: Table, store: StateStore) {
    this.view = view;
    this.results = store.records(`result:${view.name}`);
    this.changed = store.records(`changed:${view.name}`);
    this.hasKey = table.key.length > 0;
    this.#key = table.key;
    const types = table.key.map(
      (position) => view.columns[position]?.type ?? ({ kind: 'scalar', name: 'text' } as const),
    );
    this.#keyOf = this.hasKey ? compileKey(types, table.key, 'keep') : identityOf;
    this.groupOf = (row) => this.#keyOf(row) ?? null;
  }

  /** Takes what changed in the result. `gather` notes it in `changed`; with `into`, it is published. */
  take(delta: Delta, gather: boolean, encoder: RowEncoder, into: ChangeWriter | null): void {
    if (this.hasKey) this.#takeKeyed(delta, gather, encoder, into);
    else this.#takeCounted(delta, gather, encoder, into);
  }

  /** Ends a step in several parts: publishes what changed, if that is wanted, and forgets it. */
  *settle(encoder: RowEncoder, into: ChangeWriter | null): Generator<void> {
    const keys: StateKey[] = [];
    for (const [key, before] of this.changed.entries()) {
      keys.push(key);
      if (into !== null) this.#publish(before, this.results.get(key), encoder, into);
      yield;
    }
    for (const key of keys) {
      this.changed.delete(key);
      yield;
    }
  }

  /** The published row under the key of `row`, whose other columns do not count. */
  lookup(row: Row): Row | null {
    const key = this.#keyOf(row) ?? null;
    const record = this.changed.get(key) ?? this.results.get(key);
    return record === undefined || record.length === 0 ? null : record;
  }

  #takeKeyed({ rows, weights }: Delta, gather: boolean, encoder: RowEncoder, into: ChangeWriter | null): void {
    const { results } = this;
    // A row that went is followed by what took its place, or not: both are found by their key.
    const gone = new Map<StateKey, Row>();
    for (let index = 0; index < rows.length; index++) {
      if ((weights[index] as number) > 0) continue;
      const row = rows[index] as Row;
      assert(weights[index] === -1, `view ${this.view.name} gives a row more than once`);
      gone.set(this.#keyOf(row) ?? null, row);
    }
    for (let index = 0; index < rows.length; index++) {
      if ((weights[index] as number) < 0) continue;
      const row = rows[index] as Row;
      assert(weights[index] === 1, `view ${this.view.name} gives a row more than once`);
      const key = this.#keyOf(row) ?? null;
      const before = gone.get(key) ?? null;
      if (gather) this.#note(key);
      results.set(key, row as Value[]);
      if (before !== null) gone.delete(key);
      if (into !== null) this.#change(before, row, encoder, into);
    }
    for (const [key, row] of gone) {
      if (gather) this.#note(key);
      results.delete(key);
      if (into !== null) encoder.change(row, null, into);
    }
  }

  #takeCounted({ rows, weights }: Delta, gather: boolean, encoder: RowEncoder, into: ChangeWriter | null): void {
    const { results } = this;
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index] as Row;
      const weight = weights[index] as number;
      const key = identityOf(row);
      if (gather) this.#note(key);
      const count = ((results.get(key)?.[0] as number | undefined) ?? 0) + weight;
      assert(count >= 0, `view ${this.view.name} takes out a row that it does not have`);
      if (count === 0) results.delete(key);
      else results.set(key, [count, ...row]);
      if (into !== null) changeCount(weight, row, encoder, into);
    }
  }

  #note(key: StateKey): void {
    if (this.changed.get(key) !== undefined) return;
    this.changed.set(key, [...(this.results.get(key) ?? [])]);
  }

  #publish(before: Row, after: Row | undefined, encoder: RowEncoder, into: ChangeWriter): void {
    if (this.hasKey) {
      const old = before.length === 0 ? null : before;
      if (old !== null || after !== undefined) this.#change(old, after ?? null, encoder, into);
      return;
    }
    const weight = ((after?.[0] as number | undefined) ?? 0) - ((before[0] as number | undefined) ?? 0);
    changeCount(weight, (after ?? before).slice(1), encoder, into);
  }

  /** A key may be equal and yet read differently (1.0 and 1.00): in the log these are two keys. */
  #change(before: Row | null, after: Row | null, encoder: RowEncoder, into: ChangeWriter): void {
    if (before === null || after === null || this.#key.every((at) => Object.is(before[at], after[at]))) {
      if (before !== null && after !== null && before.every((value, at) => Object.is(value, after[at]))) return;
      encoder.change(before, after, into);
      return;
    }
    encoder.change(before, null, into);
    encoder.change(null, after, into);
  }
}

/** A text that tells rows apart, of the values as they are. */
export function identityOf(row: Row): string {
  let identity = '';
  for (const value of row) {
    const text = Object.is(value, -0) ? '-0' : String(value);
    identity += `${(typeof value)[0]}${text.length}:${text}`;
  }
  return identity;
}

function changeCount(weight: number, row: Row, encoder: RowEncoder, into: ChangeWriter): void {
  for (let left = weight; left > 0; left--) encoder.change(null, row, into);
  for (let left = weight; left < 0; left++) encoder.change(row, null, into);
}
