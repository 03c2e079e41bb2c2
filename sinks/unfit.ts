import { TidemarkError } from '../base/errors.ts';
import type { ErrorCode, ErrorPlace } from '../base/errors.ts';

/** The cause of an error that trying again cannot cure: the sink's definition and its table do not fit each other. */
class Unfit {
  readonly about = 'the definition of the sink';
}

/** An error that stops the sink until the file is corrected and the service started again. */
export function unfit(code: ErrorCode, message: string, options: { hint: string; place: ErrorPlace }): TidemarkError {
  return new TidemarkError(code, message, { ...options, cause: new Unfit() });
}

export function isUnfit(error: unknown): boolean {
  return error instanceof TidemarkError && error.cause instanceof Unfit;
}
