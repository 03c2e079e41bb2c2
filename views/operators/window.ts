import { Delta, emptyDelta } from '../delta.ts';
import { RowError } from '../expressions/expression.ts';
import type { Arrangement, Bag } from '../state/port.ts';
import type { Row } from '../value.ts';
import type { Arrange } from './arrange.ts';
import type { KeyChanges } from './key-index.ts';
import { KeyIndex } from './key-index.ts';
import type { Operator, StepContext } from './operator.ts';

/** The copies `from` to `to` (not included) of a bag's rows in order; a row of weight 3 is three copies. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

type Compare = (a: Row, b: Row) => number;

export interface WindowOptions {
  readonly name: string;
  readonly input: Arrange;
  /** The arrangement's order. */
  readonly compare: Compare;
  readonly span: Span;
  /** More than one row under a key is an error, and the key has no rows while it lasts. */
  readonly single: boolean;
}

/**
 * Of each key of an arrangement the rows at some places of its order: ORDER BY … LIMIT per group; DISTINCT, as the first of equal rows.
 * Nothing is remembered beside the arrangement, and no more than the rows up to the end of the span are looked at: the old rows there
 * follow from the new ones and the changes.
 */
export class Window implements Operator {
  readonly #options: WindowOptions;

  constructor(options: WindowOptions) {
    this.#options = options;
  }

  step(inputs: readonly Delta[], context: StepContext): Delta {
    const delta = inputs[0] ?? emptyDelta;
    const { input, compare, span, single } = this.#options;
    const { arrangement } = input;
    const index = new KeyIndex(delta, input.keys);
    const output = new Delta();
    for (const changes of index.keys) {
      const changed = sortedChanges(delta, index, changes, compare);
      if (changed.rows.length === 0) continue;
      if (single) this.#single(arrangement, changes, changed, output, context);
      else spanChange(arrangement.bag(changes.key), changed, compare, span, span, output);
    }
    return output;
  }

  #single(
    arrangement: Arrangement,
    { key, total }: KeyChanges,
    changed: Delta,
    output: Delta,
    context: StepContext,
  ): void {
    const now = arrangement.total(key);
    const before = now - total;
    const bag = arrangement.bag(key);
    const { compare, name } = this.#options;
    spanChange(bag, changed, compare, before > 1 ? nothing : first, now > 1 ? nothing : first, output);
    if (before > 1 === now > 1) return;
    const row = bag?.chunks[0]?.rows[0] ?? changed.rows[0] ?? [];
    const error = new RowError('21000', 'more than one row returned by a subquery used as an expression');
    context.reject(name, row, now > 1 ? 1 : -1, error);
  }
}

const first: Span = { from: 0, to: 1 };
const nothing: Span = { from: 0, to: 0 };

/** The changes of one key in order, each row once, none of weight 0. */
export function sortedChanges(delta: Delta, index: KeyIndex, changes: KeyChanges, compare: Compare): Delta {
  const sorted = new Delta();
  if (changes.count === 1) {
    sorted.push(delta.rows[changes.head] as Row, delta.weights[changes.head] as number);
    return sorted;
  }
  const indexes: number[] = [];
  for (let at = changes.head; at >= 0; at = index.next[at] as number) indexes.push(at);
  indexes.sort((a, b) => compare(delta.rows[a] as Row, delta.rows[b] as Row));
  let row: Row | null = null;
  let weight = 0;
  for (const at of indexes) {
    const other = delta.rows[at] as Row;
    if (row !== null && compare(row, other) !== 0) {
      if (weight !== 0) sorted.push(row, weight);
      weight = 0;
    }
    row = other;
    weight += delta.weights[at] as number;
  }
  if (row !== null && weight !== 0) sorted.push(row, weight);
  return sorted;
}

/**
 * What changes in a span of a bag: `bag` is as it is now, `changes` (sorted, each row once) is what led to it, `before` and `now` are the
 * spans then and now. Old weight = new weight − change, so one walk along both orders tells for each row how many copies were in the
 * span and how many are.
 */
export function spanChange(
  bag: Bag | undefined,
  changes: Delta,
  compare: Compare,
  before: Span,
  now: Span,
  output: Delta,
): void {
  const walk = new Walk(before, now, output);
  const { rows: changedRows, weights: changedWeights } = changes;
  let next = 0;
  for (const { rows, weights } of bag?.chunks ?? []) {
    for (let at = 0; at < rows.length; at++) {
      if (walk.isOver(next === changedRows.length)) return;
      const row = rows[at] as Row;
      const weight = weights[at] as number;
      let old = weight;
      while (next < changedRows.length) {
        const order = compare(changedRows[next] as Row, row);
        if (order > 0) break;
        const change = changedWeights[next] as number;
        if (order === 0) old = weight - change;
        else walk.visit(changedRows[next] as Row, -change, 0);
        next++;
      }
      walk.visit(row, old, weight);
    }
  }
  for (; next < changedRows.length; next++) walk.visit(changedRows[next] as Row, -(changedWeights[next] as number), 0);
}

class Walk {
  readonly #before: Span;
  readonly #now: Span;
  readonly #output: Delta;
  /** Copies passed, then and now. */
  #passedBefore = 0;
  #passedNow = 0;

  constructor(before: Span, now: Span, output: Delta) {
    this.#before = before;
    this.#now = now;
    this.#output = output;
  }

  visit(row: Row, old: number, weight: number): void {
    const had = overlap(this.#passedBefore, old, this.#before);
    const has = overlap(this.#passedNow, weight, this.#now);
    if (had !== has) this.#output.push(row, has - had);
    this.#passedBefore += old;
    this.#passedNow += weight;
  }

  /** Whether no row from here on can be in one span and not in the other. */
  isOver(noChangesLeft: boolean): boolean {
    const before = this.#before;
    const now = this.#now;
    if (this.#passedBefore >= before.to && this.#passedNow >= now.to) return true;
    if (!noChangesLeft || before.to !== now.to) return false;
    if (this.#passedBefore === this.#passedNow) return before.from === now.from;
    return now.to === Infinity && this.#passedBefore >= before.from && this.#passedNow >= now.from;
  }
}

/** How many of `count` copies that come after `passed` others are in the span. */
function overlap(passed: number, count: number, span: Span): number {
  const from = Math.max(passed, span.from);
  const to = Math.min(passed + count, span.to);
  return to > from ? to - from : 0;
}
