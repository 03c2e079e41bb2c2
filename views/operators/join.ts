import { Delta, emptyDelta } from '../delta.ts';
import { RowError } from '../expressions/expression.ts';
import type { Row, StateKey } from '../value.ts';
import type { Arrange } from './arrange.ts';
import { KeyIndex } from './key-index.ts';
import type { Operator, StepContext } from './operator.ts';
import { sortedChanges } from './window.ts';

export interface JoinOptions {
  readonly name: string;
  readonly left: Arrange;
  readonly right: Arrange;
  /** Makes the row of a pair; null: pairs are no output (semi, anti). */
  readonly join: ((left: Row, right: Row) => Row) | null;
  /** What else must hold for a pair. Only for inner joins: the others are composed (plan/lower-join.ts). */
  readonly residual: ((left: Row, right: Row) => boolean) | null;
  /** Which rows of the left side are output by themselves: those with a partner (semi), or those without (left, full, anti). */
  readonly leftAlone: 'none' | 'matched' | 'unmatched';
  readonly rightAlone: 'none' | 'unmatched';
  /** Makes the row of one side's row alone; null: the row itself. */
  readonly padLeft: ((row: Row) => Row) | null;
  readonly padRight: ((row: Row) => Row) | null;
}

/**
 * Joins two arrangements on equal keys. With both sides' new states known, a step outputs
 *
 *   A_old ⋈ ΔB  +  ΔA ⋈ B_new
 *
 * where A_old = A_new − ΔA. In this order, as if first one side changed and then the other, no row goes before it is there. A row
 * alone follows the same rule: what depends on the other side is only whether its key has rows there, so A_old changes for the keys
 * whose answer changed, and ΔA counts by the new answer.
 */
export class Join implements Operator {
  readonly #options: JoinOptions;
  readonly #left: Side;
  readonly #right: Side;
  readonly #pairs: Pairs | null;

  constructor(options: JoinOptions) {
    this.#options = options;
    this.#left = new Side(options.left);
    this.#right = new Side(options.right);
    this.#pairs = options.join === null ? null : new Pairs(options.name, options.join, options.residual);
  }

  step(inputs: readonly Delta[], context: StepContext): Delta {
    const { leftAlone, rightAlone, padLeft, padRight } = this.#options;
    const left = this.#left;
    const right = this.#right;
    left.begin(inputs[0] ?? emptyDelta);
    right.begin(inputs[1] ?? emptyDelta);
    const output = new Delta();
    if (this.#pairs !== null) this.#pairs.push(left, right, output, context);
    if (leftAlone !== 'none') alone(left, right, leftAlone === 'matched', padLeft, output);
    if (rightAlone !== 'none') alone(right, left, false, padRight, output);
    left.end();
    right.end();
    return output;
  }
}

/** Rows of `side` by themselves, as its keys have (`matched`) or have no partner on the other side. */
function alone(side: Side, other: Side, matched: boolean, pad: ((row: Row) => Row) | null, output: Delta): void {
  if (other.delta.length > 0) {
    for (const { key, total: change } of other.index.keys) {
      const total = other.arrange.arrangement.total(key);
      const had = total - change !== 0;
      const has = total !== 0;
      if (had === has) continue;
      const sign = has === matched ? 1 : -1;
      const old = side.old(key);
      for (let at = 0; at < old.rows.length; at++) {
        const row = old.rows[at] as Row;
        output.push(pad === null ? row : pad(row), sign * (old.weights[at] as number));
      }
    }
  }
  const { rows, weights } = side.delta;
  for (let index = 0; index < rows.length; index++) {
    const key = side.arrange.keys[index];
    const hasPartner = key !== undefined && other.arrange.arrangement.total(key) !== 0;
    if (hasPartner !== matched) continue;
    const row = rows[index] as Row;
    output.push(pad === null ? row : pad(row), weights[index] as number);
  }
}

/** One side of a join during a step. */
class Side {
  readonly arrange: Arrange;
  delta: Delta = emptyDelta;
  #index: KeyIndex | null = null;
  #lastKey: StateKey | undefined = undefined;
  #lastOld: OldRows = noRows;

  constructor(arrange: Arrange) {
    this.arrange = arrange;
  }

  begin(delta: Delta): void {
    this.delta = delta;
  }

  end(): void {
    this.delta = emptyDelta;
    this.#index = null;
    this.#lastKey = undefined;
    this.#lastOld = noRows;
  }

  /** The changes by key; made when it is first asked for. */
  get index(): KeyIndex {
    this.#index ??= new KeyIndex(this.delta, this.arrange.keys);
    return this.#index;
  }

  /** The rows under the key before the step, in order. Valid until the next call. */
  old(key: StateKey): OldRows {
    if (this.#lastKey !== undefined && Object.is(this.#lastKey, key)) return this.#lastOld;
    const old = this.#oldRows(key);
    this.#lastKey = key;
    this.#lastOld = old;
    return old;
  }

  #oldRows(key: StateKey): OldRows {
    const { arrangement } = this.arrange;
    const changes = this.delta.length === 0 ? undefined : this.index.get(key);
    // Weights are positive between steps, so that a total of 0 means that there were no rows: the usual case while a view is filled.
    if (changes !== undefined && arrangement.total(key) === changes.total) return noRows;
    const bag = arrangement.bag(key);
    const chunks = bag === undefined ? noChunks : bag.chunks;
    if (changes !== undefined) {
      return takenBack(
        chunks,
        sortedChanges(this.delta, this.index, changes, this.arrange.compare),
        this.arrange.compare,
      );
    }
    if (chunks.length <= 1) return chunks[0] ?? noRows;
    const rows = new Delta();
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.rows.length; at++) rows.push(chunk.rows[at] as Row, chunk.weights[at] as number);
    }
    return rows;
  }
}

/** The rows of a bag before the changes, which are sorted as the bag is, and have each row once. */
function takenBack(chunks: readonly OldRows[], changes: Delta, compare: (a: Row, b: Row) => number): OldRows {
  const rows = new Delta();
  let next = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.rows.length; at++) {
      const row = chunk.rows[at] as Row;
      let weight = chunk.weights[at] as number;
      while (next < changes.length) {
        const order = compare(changes.rows[next] as Row, row);
        if (order > 0) break;
        const change = changes.weights[next] as number;
        if (order === 0) weight -= change;
        else rows.push(changes.rows[next] as Row, -change);
        next++;
      }
      if (weight !== 0) rows.push(row, weight);
    }
  }
  for (; next < changes.length; next++) rows.push(changes.rows[next] as Row, -(changes.weights[next] as number));
  return rows;
}

interface OldRows {
  readonly rows: readonly Row[];
  readonly weights: readonly number[];
}

const noRows: OldRows = { rows: [], weights: [] };
const noChunks: readonly OldRows[] = [];

/** Makes the output's rows of pairs. */
class Pairs {
  readonly #name: string;
  readonly #join: (left: Row, right: Row) => Row;
  readonly #residual: ((left: Row, right: Row) => boolean) | null;

  constructor(
    name: string,
    join: (left: Row, right: Row) => Row,
    residual: ((left: Row, right: Row) => boolean) | null,
  ) {
    this.#name = name;
    this.#join = join;
    this.#residual = residual;
  }

  push(left: Side, right: Side, output: Delta, context: StepContext): void {
    const { delta } = right;
    for (let index = 0; index < delta.rows.length; index++) {
      const key = right.arrange.keys[index];
      if (key === undefined) continue;
      const old = left.old(key);
      for (let at = 0; at < old.rows.length; at++) {
        const weight = (delta.weights[index] as number) * (old.weights[at] as number);
        this.#pair(old.rows[at] as Row, delta.rows[index] as Row, weight, output, context);
      }
    }
    const { rows, weights } = left.delta;
    for (let index = 0; index < rows.length; index++) {
      const key = left.arrange.keys[index];
      if (key === undefined) continue;
      const bag = right.arrange.arrangement.bag(key);
      if (bag === undefined) continue;
      const { chunks } = bag;
      for (let chunk = 0; chunk < chunks.length; chunk++) {
        const partners = chunks[chunk] as OldRows;
        for (let at = 0; at < partners.rows.length; at++) {
          const weight = (weights[index] as number) * (partners.weights[at] as number);
          this.#pair(rows[index] as Row, partners.rows[at] as Row, weight, output, context);
        }
      }
    }
  }

  #pair(left: Row, right: Row, weight: number, output: Delta, context: StepContext): void {
    if (this.#residual !== null && !this.#accepts(this.#residual, left, right, weight, context)) return;
    output.push(this.#join(left, right), weight);
  }

  #accepts(
    residual: (left: Row, right: Row) => boolean,
    left: Row,
    right: Row,
    weight: number,
    context: StepContext,
  ): boolean {
    try {
      return residual(left, right);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      context.reject(this.#name, [...left, ...right], weight, error);
      return false;
    }
  }
}
