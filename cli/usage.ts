import { TidemarkError } from '../base/errors.ts';

/** A mistake in how a command was called that its options alone do not show. */
export function usageError(message: string, hint?: string): TidemarkError {
  return new TidemarkError('USAGE', message, hint === undefined ? {} : { hint });
}
