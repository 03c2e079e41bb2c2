import { Delta } from '../delta.ts';
import type { Row } from '../value.ts';
import type { Operator } from './operator.ts';

/** UNION ALL: every input's rows, each made into the output's columns (null: they are already). */
export class Union implements Operator {
  readonly #picks: readonly (((row: Row) => Row) | null)[];

  constructor(picks: readonly (((row: Row) => Row) | null)[]) {
    this.#picks = picks;
  }

  step(inputs: readonly Delta[]): Delta {
    const output = new Delta();
    for (const [index, { rows, weights }] of inputs.entries()) {
      const pick = this.#picks[index] ?? null;
      for (let at = 0; at < rows.length; at++) {
        const row = rows[at] as Row;
        output.push(pick === null ? row : pick(row), weights[at] as number);
      }
    }
    return output;
  }
}
