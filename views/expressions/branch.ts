import type { Expression } from './expression.ts';

/** A branch of CASE. Here because a property called `then` wants an excuse, and one is enough. */
export function branch(when: Expression, result: Expression): { readonly when: Expression; readonly then: Expression } {
  // oxlint-disable-next-line unicorn/no-thenable -- nobody awaits an expression
  return { when, then: result };
}
