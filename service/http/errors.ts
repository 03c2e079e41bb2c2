import { TidemarkError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { SecretFilter } from '../../telemetry/secrets.ts';

/** What every failed request is answered with. */
export interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null };
}

const statuses: Partial<Record<ErrorCode, number>> = {
  USAGE: 400,
  REQUEST_INVALID: 400,
  POSITION_INVALID: 400,
  HTTP_TOKEN: 401,
  PATH_UNKNOWN: 404,
  VIEW_UNKNOWN: 404,
  SINK_UNKNOWN: 404,
  SOURCE_UNKNOWN: 404,
  TOPIC_UNKNOWN: 404,
  TABLE_UNKNOWN: 404,
  WAIT_TIMEOUT: 408,
  SINK_FAILED: 409,
  SOURCE_UNREACHABLE: 503,
  SERVICE_UNREACHABLE: 503,
  DISK_FULL: 507,
};

/** The HTTP status of an error: 409 for a source, view or sink whose own failure is the answer, 500 for what should not happen. */
export function httpStatusOf(error: TidemarkError): number {
  const status = statuses[error.code];
  if (status !== undefined) return status;
  return /^(SOURCE|SLOT|SLOTS|TABLE|SNAPSHOT|VIEW|SINK)_/.test(error.code) ? 409 : 500;
}

export function errorBody(error: TidemarkError, secrets: SecretFilter): ErrorBody {
  return {
    error: {
      code: error.code,
      message: secrets.clean(error.message),
      hint: error.hint === undefined ? null : secrets.clean(error.hint),
    },
  };
}

/** A mistake in a request. */
export function requestInvalid(message: string, hint?: string): TidemarkError {
  return new TidemarkError('REQUEST_INVALID', message, hint === undefined ? {} : { hint });
}
