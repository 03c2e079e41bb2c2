import { TidemarkError } from './errors.ts';

/** Fails with INTERNAL when an invariant of our own code does not hold; never used to judge input. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new TidemarkError('INTERNAL', message);
}

/** The value, or INTERNAL when it is absent. For look-ups that cannot miss unless our own code is wrong. */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new TidemarkError('INTERNAL', `${what} is missing`);
  return value;
}
