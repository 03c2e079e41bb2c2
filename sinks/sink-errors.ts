import { TidemarkError, isTidemarkError, messageOf } from '../base/errors.ts';
import type { Sink } from './sink.ts';
import { isUnfit } from './unfit.ts';

/** What nobody but a person can put right; everything else is tried again. */
const permanent = new Set<string>([
  'SINK_STOPPED',
  'SINK_FENCED',
  'LOG_CORRUPT',
  'LOG_CLOSED',
  'LOG_FORMAT',
  'INTERNAL',
]);

/** Whether trying again is of no use before somebody has acted. */
export function isLasting(thrown: unknown): boolean {
  return isUnfit(thrown) || (isTidemarkError(thrown) && permanent.has(thrown.code));
}

/** What was thrown, as an error of the sink. */
export function sinkError(thrown: unknown, sink: Sink): TidemarkError {
  if (isTidemarkError(thrown)) return thrown;
  return new TidemarkError('SINK_FAILED', `Sink '${sink.name}' failed: ${messageOf(thrown)}`, {
    hint: 'It is tried again with growing pauses; nothing is lost meanwhile.',
    place: { sink: sink.name },
    cause: thrown,
  });
}

export function pausedError(sink: string): TidemarkError {
  return new TidemarkError('SINK_PAUSED', `sink '${sink}' is paused`, {
    hint: `Let it go on first: tidemark resume --sink ${sink}`,
    place: { sink },
  });
}
