/** What every error of the client has: a `code` (of docs/errors.md, or TRANSACTION_ROLLED_BACK), and what to do where something sensible can be said. */
export class TidemarkClientError extends Error {
  override readonly name: string = 'TidemarkClientError';
  readonly code: string;
  readonly hint: string | undefined;
  /** HTTP status of the answer; undefined when there was none. */
  readonly status: number | undefined;

  constructor(
    message: string,
    details: { readonly code: string; readonly hint?: string; readonly status?: number; readonly cause?: unknown },
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.hint = details.hint;
    this.status = details.status;
  }
}

/** The sink did not get there in time. It may a moment later. */
export class WaitTimeoutError extends TidemarkClientError {
  override readonly name = 'WaitTimeoutError';
}

/** The service has no sink (source, view) of that name. */
export class UnknownNameError extends TidemarkClientError {
  override readonly name = 'UnknownNameError';
}

/** The sink or its source is failing, stopped or paused, so that waiting is of no use. */
export class SinkFailingError extends TidemarkClientError {
  override readonly name = 'SinkFailingError';
}

/** No tidemark answers at the address. */
export class ServiceUnreachableError extends TidemarkClientError {
  override readonly name = 'ServiceUnreachableError';
}

/** The error that an answer of the service's API tells of. */
export function errorOfAnswer(status: number, body: unknown): TidemarkClientError {
  const { code, message, hint } = errorIn(body);
  const text = message ?? `the service answered ${status}`;
  const details = { code: code ?? 'SERVICE_UNREACHABLE', status, ...(hint === undefined ? {} : { hint }) };
  // Behind a proxy, and while the service starts or stops.
  if (code === undefined || (status >= 502 && code === 'SERVICE_UNREACHABLE'))
    return new ServiceUnreachableError(text, details);
  if (status === 408) return new WaitTimeoutError(text, details);
  if (status === 404) return new UnknownNameError(text, details);
  if (status === 409 || code === 'SOURCE_UNREACHABLE') return new SinkFailingError(text, details);
  return new TidemarkClientError(text, details);
}

function errorIn(body: unknown): { code?: string; message?: string; hint?: string } {
  if (typeof body !== 'object' || body === null || !('error' in body)) return {};
  const { error } = body;
  if (typeof error !== 'object' || error === null) return {};
  const found: { code?: string; message?: string; hint?: string } = {};
  for (const name of ['code', 'message', 'hint'] as const) {
    const value: unknown = Reflect.get(error, name);
    if (typeof value === 'string') found[name] = value;
  }
  return found;
}
