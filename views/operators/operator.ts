import type { Delta } from '../delta.ts';
import type { RowError } from '../expressions/expression.ts';
import type { Row, StateKey } from '../value.ts';

/**
 * An operator keeps one relation up to date: given what changed in its inputs, it says what changed in its output.
 *
 * - `step` is called once per step, in topological order, with one delta per input (empty when nothing changed there), and returns
 *   the delta of the output. The sum of all deltas returned is at every step exactly what the operator's batch definition gives
 *   for the sum of all deltas received (tests/views/operators hold each to that).
 * - Deltas given are shared with other operators and not to be changed; rows are passed on, not copied.
 * - The rows of a delta come in an order in which no row goes before it is there, so that states never hold less than nothing.
 * - Arrangements are updated by their own operator (arrange.ts) before any of their readers steps: readers see the new state, and
 *   account for the delta themselves.
 * - Everything remembered is in the StateStore; an operator made anew over the same store goes on where the old one was.
 * - A row that cannot be evaluated goes to `reject` with its weight and is left out; taken out later, it fails in the same way.
 */
export interface Operator {
  step(inputs: readonly Delta[], context: StepContext): Delta;
  /**
   * The key under which the operator keeps an input row, where what it remembers of a key depends on the rows of that key alone: a first
   * build gives it key after key (build.ts). RowError.
   */
  readonly groupOf?: (row: Row) => StateKey | undefined;
}

export interface StepContext {
  /** Takes a row out of the view (weight −1: a rejected row has gone). */
  reject(operator: string, row: Row, weight: number, error: RowError): void;
}
