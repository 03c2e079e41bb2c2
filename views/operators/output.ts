import { TidemarkError } from '../../base/errors.ts';
import { Delta, emptyDelta } from '../delta.ts';
import type { Arrangement, Bag } from '../state/port.ts';
import type { Row, StateKey } from '../value.ts';
import { consolidate } from './consolidate.ts';
import { KeyIndex } from './key-index.ts';
import type { Operator } from './operator.ts';
import { sortedChanges, spanChange } from './window.ts';

/**
 * Two rows of a view have one key, from this step on (weight 1), or no longer (−1). Meanwhile the view shows the first of them.
 */
export interface KeyViolation {
  readonly view: string;
  readonly key: Row;
  /** VIEW_KEY, naming both rows. */
  readonly error: TidemarkError;
  readonly weight: 1 | -1;
}

/** What holds a view's declared key to be unique. */
export interface KeyCheck {
  readonly arrangement: Arrangement;
  readonly keyOf: (row: Row) => StateKey | undefined;
  readonly compare: (a: Row, b: Row) => number;
  /** Positions of the key, and their names. */
  readonly positions: readonly number[];
  readonly names: readonly string[];
  /** A row as people are shown it. */
  readonly print: (row: Row) => string;
}

/**
 * The rows of a view, in its columns, consolidated. Where the declared key does not follow from the plan, rows are kept by it: while
 * several have one key, the view shows the first of them in order, and the others wait (`takeViolations`). What is repeated and repaired
 * within a step was never seen.
 */
export class OutputOperator implements Operator {
  readonly groupOf?: (row: Row) => StateKey | undefined;
  #violations: readonly KeyViolation[] = noViolations;
  readonly #view: string;
  readonly #pick: ((row: Row) => Row) | null;
  readonly #check: KeyCheck | null;
  readonly #isConsolidated: boolean;
  readonly #hashOf: ((row: Row) => StateKey | undefined) | null;

  constructor(options: {
    readonly view: string;
    readonly pick: ((row: Row) => Row) | null;
    readonly check: KeyCheck | null;
    /** What comes in has each row once, and `pick` drops no column. */
    readonly isConsolidated: boolean;
    /** A key of the view's rows that few of them share; null where none is known. */
    readonly hashOf: ((row: Row) => StateKey | undefined) | null;
  }) {
    this.#view = options.view;
    const { pick, check } = options;
    this.#pick = pick;
    this.#check = check;
    if (check !== null) this.groupOf = pick === null ? check.keyOf : (row) => check.keyOf(pick(row));
    this.#isConsolidated = options.isConsolidated;
    this.#hashOf = options.hashOf;
  }

  step(inputs: readonly Delta[]): Delta {
    const picked = this.#picked(inputs[0] ?? emptyDelta);
    const delta = this.#isConsolidated ? picked : consolidate(picked, this.#hashOf);
    return this.#check === null || delta.length === 0 ? delta : this.#checked(delta, this.#check);
  }

  /** What the last steps found, once. */
  takeViolations(): readonly KeyViolation[] {
    const violations = this.#violations;
    if (violations.length > 0) this.#violations = noViolations;
    return violations;
  }

  #picked(input: Delta): Delta {
    const pick = this.#pick;
    if (pick === null) return input;
    const output = new Delta();
    for (let index = 0; index < input.rows.length; index++) {
      output.push(pick(input.rows[index] as Row), input.weights[index] as number);
    }
    return output;
  }

  #checked(delta: Delta, check: KeyCheck): Delta {
    const { arrangement, keyOf, compare } = check;
    const keys = delta.rows.map((row) => keyOf(row));
    for (const [index, key] of keys.entries()) {
      if (key !== undefined) arrangement.add(key, delta.rows[index] as Row, delta.weights[index] as number);
    }
    const index = new KeyIndex(delta, keys);
    const output = new Delta();
    const violations: KeyViolation[] = [];
    for (const changes of index.keys) {
      const bag = arrangement.bag(changes.key);
      const changed = sortedChanges(delta, index, changes, compare);
      spanChange(bag, changed, compare, firstRow, firstRow, output);
      const isUnique = (bag?.total ?? 0) <= 1;
      const wasUnique = (bag?.total ?? 0) - changes.total <= 1;
      if (isUnique !== wasUnique) violations.push(this.#violation(bag, changed, check, isUnique ? -1 : 1));
    }
    this.#violations = violations;
    return output;
  }

  #violation(bag: Bag | undefined, changed: Delta, check: KeyCheck, weight: 1 | -1): KeyViolation {
    const rows = (bag?.chunks ?? []).flatMap((chunk) => chunk.rows.slice(0, 2));
    const first = rows[0] ?? changed.rows[0] ?? [];
    const second = rows[1] ?? first;
    const key = check.positions.map((position) => first[position] ?? null);
    const names = check.names.join(', ');
    const error = new TidemarkError(
      'VIEW_KEY',
      weight === 1
        ? `view ${this.#view}: two rows have the key (${names}): ${check.print(first)} and ${check.print(second)}`
        : `view ${this.#view}: the key (${names}) of ${check.print(first)} is unique again`,
      {
        hint: 'declare a `key` that identifies a row of the result, or make the query give one row for each key (GROUP BY)',
      },
    );
    return { view: this.#view, key, error, weight };
  }
}

const noViolations: readonly KeyViolation[] = [];

const firstRow = { from: 0, to: 1 };
