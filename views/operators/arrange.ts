import { Delta, emptyDelta } from '../delta.ts';
import { RowError } from '../expressions/expression.ts';
import type { Arrangement } from '../state/port.ts';
import type { Row, StateKey } from '../value.ts';
import { firstOf } from './consolidate.ts';
import type { Operator, StepContext } from './operator.ts';

/**
 * Keeps the input by a key, for all operators that look it up by that key. Its output is the input, each row as it is arranged; `keys`
 * are the keys of the output's rows. A row without a key (a NULL that equals nothing) is passed on and not kept.
 */
export class Arrange implements Operator {
  readonly arrangement: Arrangement;
  /** Of the rows of the step's output, which is not empty; entries behind them are left from earlier steps. */
  keys: (StateKey | undefined)[] = [];
  /** The arrangement's order. */
  readonly compare: (a: Row, b: Row) => number;
  readonly groupOf: (row: Row) => StateKey | undefined;
  readonly #name: string;
  readonly #pick: ((row: Row) => Row) | null;

  /** `keyOf` is given rows of the input; `pick` makes what is arranged of them (null: the rows as they are). */
  constructor(options: {
    readonly name: string;
    readonly arrangement: Arrangement;
    readonly compare: (a: Row, b: Row) => number;
    readonly keyOf: (row: Row) => StateKey | undefined;
    readonly pick: ((row: Row) => Row) | null;
  }) {
    this.#name = options.name;
    this.arrangement = options.arrangement;
    this.compare = options.compare;
    this.groupOf = options.keyOf;
    this.#pick = options.pick;
  }

  step(inputs: readonly Delta[], context: StepContext): Delta {
    return this.#take(inputs[0] ?? emptyDelta, context, true);
  }

  /** As `step`, of rows that are kept already: for another of those who look them up. */
  repeat(input: Delta, context: StepContext): Delta {
    return this.#take(input, context, false);
  }

  #take(input: Delta, context: StepContext, isNew: boolean): Delta {
    const { rows, weights } = input;
    const { arrangement } = this;
    const keyOf = this.groupOf;
    const pick = this.#pick;
    if (this.keys.length > keptKeysMax) this.keys = [];
    const { keys } = this;
    // As long as rows are passed on as they are, the input is the output.
    let output = pick === null ? null : new Delta();
    let count = 0;
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index] as Row;
      const weight = weights[index] as number;
      let key: StateKey | undefined;
      let arranged = row;
      try {
        key = keyOf(row);
        if (pick !== null) arranged = pick(row);
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        context.reject(this.#name, row, weight, error);
        output ??= firstOf(input, index);
        continue;
      }
      if (isNew && key !== undefined) arrangement.add(key, arranged, weight);
      keys[count++] = key;
      if (output !== null) output.push(arranged, weight);
    }
    return output ?? input;
  }
}

/** A longer list of keys is given back after its step. */
const keptKeysMax = 1024;
