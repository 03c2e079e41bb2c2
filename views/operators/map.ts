import { Delta, emptyDelta } from '../delta.ts';
import { RowError } from '../expressions/expression.ts';
import type { Row } from '../value.ts';
import { firstOf } from './consolidate.ts';
import type { Operator, StepContext } from './operator.ts';

/** Filter and projection in one: each row that `condition` accepts, as `compute` makes it (null: all rows; the row itself). */
export class MapRows implements Operator {
  readonly #name: string;
  readonly #condition: ((row: Row) => boolean) | null;
  readonly #compute: ((row: Row) => Row) | null;

  constructor(options: {
    readonly name: string;
    readonly condition: ((row: Row) => boolean) | null;
    readonly compute: ((row: Row) => Row) | null;
  }) {
    this.#name = options.name;
    this.#condition = options.condition;
    this.#compute = options.compute;
  }

  step(inputs: readonly Delta[], context: StepContext): Delta {
    const input = inputs[0] ?? emptyDelta;
    const { rows, weights } = input;
    const condition = this.#condition;
    const compute = this.#compute;
    // As long as every row passes as it is, the input is the output.
    let output = compute === null ? null : new Delta();
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index] as Row;
      const weight = weights[index] as number;
      try {
        if (condition !== null && !condition(row)) {
          output ??= firstOf(input, index);
          continue;
        }
        if (compute !== null) output?.push(compute(row), weight);
        else if (output !== null) output.push(row, weight);
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        output ??= firstOf(input, index);
        context.reject(this.#name, row, weight, error);
      }
    }
    return output ?? input;
  }
}
