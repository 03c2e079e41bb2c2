import { Delta, emptyDelta } from '../delta.ts';
import { RowError } from '../expressions/expression.ts';
import type { Row } from '../value.ts';
import type { Operator, StepContext } from './operator.ts';

export interface ExpandOptions {
  readonly name: string;
  /** Makes the arguments of an input row. */
  readonly args: (row: Row) => Row;
  /** What the function gives for them, as rows of its columns (without the ordinality). */
  readonly expand: (args: Row) => readonly Row[];
  /** The input's row without what the output does not have; null: as it is. */
  readonly pick: ((row: Row) => Row) | null;
  readonly ordinality: boolean;
  /** A row of so many NULLs when the function gives none; 0: no row. */
  readonly nulls: number;
}

/** A set-returning function for each row of the input: its columns, then the function's. Remembers nothing. */
export class Expand implements Operator {
  readonly #options: ExpandOptions;
  readonly #nulls: Row;

  constructor(options: ExpandOptions) {
    this.#options = options;
    this.#nulls = Array.from({ length: options.nulls }, () => null);
  }

  step(inputs: readonly Delta[], context: StepContext): Delta {
    const { name, args, expand, pick } = this.#options;
    const { rows, weights } = inputs[0] ?? emptyDelta;
    const output = new Delta();
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index] as Row;
      const weight = weights[index] as number;
      try {
        this.#push(pick === null ? row : pick(row), expand(args(row)), weight, output);
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        context.reject(name, row, weight, error);
      }
    }
    return output;
  }

  #push(row: Row, made: readonly Row[], weight: number, output: Delta): void {
    const { ordinality, nulls } = this.#options;
    if (made.length === 0) {
      if (nulls > 0) output.push([...row, ...this.#nulls], weight);
      return;
    }
    for (let at = 0; at < made.length; at++) {
      const columns = made[at] as Row;
      output.push(ordinality ? [...row, ...columns, at + 1] : [...row, ...columns], weight);
    }
  }
}
