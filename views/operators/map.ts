import { Delta, emptyDelta } from '../delta.ts';
import { RowError } from '../expressions/expression.ts';
import type { Row } from '../value.ts';
import { firstOf } from './consolidate.ts';
import type { Operator, StepContext } from './operator.ts';

/** Filter and projection in one: each row that `condition` accepts, as `compute` makes it (null: all rows; the row itself). */
export class MapRows implements Operator {
  readonly #name: string;
  readonly #condition: ((row: Row) => boolean) | null;
  readonly #firstRefused: ((rows: readonly Row[], from: number) => number) | null;
  readonly #compute: ((row: Row) => Row) | null;

  constructor(options: {
    readonly name: string;
    readonly condition: ((row: Row) => boolean) | null;
    /** `condition` over rows in a row (compileFilter), where there is nothing to compute. */
    readonly firstRefused?: (rows: readonly Row[], from: number) => number;
    readonly compute: ((row: Row) => Row) | null;
  }) {
    this.#name = options.name;
    this.#condition = options.condition;
    this.#firstRefused = options.firstRefused ?? null;
    this.#compute = options.compute;
  }

  step(inputs: readonly Delta[], context: StepContext): Delta {
    const input = inputs[0] ?? emptyDelta;
    const { rows, weights } = input;
    const condition = this.#condition;
    const compute = this.#compute;
    const passed = this.#passed(rows);
    if (passed === rows.length) return input;
    // As long as every row passes as it is, the input is the output.
    let output = compute === null ? null : new Delta();
    for (let index = passed; index < rows.length; index++) {
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

  /** So many rows from the first one on are accepted as they are. */
  #passed(rows: readonly Row[]): number {
    if (this.#firstRefused === null) return 0;
    try {
      return this.#firstRefused(rows, 0);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      return 0;
    }
  }
}
