import { Delta, emptyDelta } from '../delta.ts';
import type { Row } from '../value.ts';
import type { Operator } from './operator.ts';

/** A relation that rows are given to by the engine's caller: the engine sets its output, and never steps it. */
export class Input implements Operator {
  step(): Delta {
    return emptyDelta;
  }
}

/**
 * A relation of which only some columns are used: updates that change none of them (a row out, then the same one in) are dropped, so
 * that nothing is computed for them. Rows keep all their columns.
 */
export class Scan implements Operator {
  readonly #positions: readonly number[];

  constructor(positions: readonly number[]) {
    this.#positions = positions;
  }

  step(inputs: readonly Delta[]): Delta {
    const input = inputs[0] ?? emptyDelta;
    const { rows, weights } = input;
    let first = -1;
    for (let index = 0; index + 1 < rows.length; index++) {
      if (weights[index] === -1 && this.#isRepeated(input, index)) {
        first = index;
        break;
      }
    }
    if (first < 0) return input;
    const output = new Delta();
    for (let index = 0; index < rows.length; index++) {
      if (index >= first && weights[index] === -1 && this.#isRepeated(input, index)) index++;
      else output.push(rows[index] as Row, weights[index] as number);
    }
    return output;
  }

  #isRepeated({ rows, weights }: Delta, index: number): boolean {
    if (weights[index + 1] !== 1) return false;
    const before = rows[index] as Row;
    const after = rows[index + 1] as Row;
    for (const position of this.#positions) {
      if (!Object.is(before[position], after[position])) return false;
    }
    return true;
  }
}
