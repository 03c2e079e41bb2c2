import type { SecretFilter } from '../telemetry/secrets.ts';
import type { ServiceStatus, StatusError } from '../telemetry/status.ts';

/** The status document as it may leave the process: what servers and libraries said passes the filter. */
export function cleanStatus(status: ServiceStatus, secrets: SecretFilter): ServiceStatus {
  const clean = (error: StatusError | null): StatusError | null =>
    error && {
      code: error.code,
      message: secrets.clean(error.message),
      ...(error.hint === undefined ? {} : { hint: secrets.clean(error.hint) }),
    };
  return {
    ...status,
    reasons: status.reasons.map((reason) => secrets.clean(reason)),
    sources: status.sources.map((source) => ({ ...source, error: clean(source.error) })),
    views: status.views.map((view) => ({ ...view, error: clean(view.error) })),
    sinks: status.sinks.map((sink) => ({ ...sink, error: clean(sink.error) })),
  };
}
