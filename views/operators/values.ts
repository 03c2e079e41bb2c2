import { Delta, emptyDelta } from '../delta.ts';
import { RowError } from '../expressions/expression.ts';
import type { Records } from '../state/port.ts';
import type { Row } from '../value.ts';
import type { Operator, StepContext } from './operator.ts';

/** Rows of constants: output whole in the first step of a new state, and never again. */
export class Values implements Operator {
  readonly #name: string;
  readonly #rows: readonly (() => Row)[];
  readonly #records: Records;

  constructor(options: {
    readonly name: string;
    readonly rows: readonly (() => Row)[];
    /** Remembers under the key 0 that the rows have been output. */
    readonly records: Records;
  }) {
    this.#name = options.name;
    this.#rows = options.rows;
    this.#records = options.records;
  }

  step(_inputs: readonly Delta[], context: StepContext): Delta {
    if (this.#records.get(0) !== undefined) return emptyDelta;
    this.#records.set(0, [true]);
    const output = new Delta();
    for (const row of this.#rows) {
      try {
        output.push(row(), 1);
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        context.reject(this.#name, [], 1, error);
      }
    }
    return output;
  }
}
