import type { TidemarkError } from '../base/errors.ts';
import type { PipelineEvent } from '../model/events.ts';
import type { Logger } from './logger.ts';

/** Writes what the pipeline tells into the log. What happens per batch is left to the metrics, except at level trace. */
export function logEvent(logger: Logger, event: PipelineEvent): void {
  switch (event.type) {
    case 'source.connected':
      logger.info({ source: event.source, server: event.server, position: event.position }, 'source connected');
      return;
    case 'source.retrying':
      logger.warn(
        { source: event.source, ...errorFields(event.error), attempt: event.attempt, waitMs: Math.round(event.waitMs) },
        `source is retried: ${event.error.message}`,
      );
      return;
    case 'source.failed':
      logger.error({ source: event.source, ...errorFields(event.error) }, `source failed: ${event.error.message}`);
      return;
    case 'source.notice':
      logger.warn({ source: event.source, table: event.table, hint: event.hint }, event.message);
      return;
    case 'snapshot.started':
      logger.info(
        { source: event.source, table: event.table, rowsEstimated: event.rowsEstimated },
        'snapshot of a table started',
      );
      return;
    case 'snapshot.done':
      logger.info(
        { source: event.source, table: event.table, rows: event.rows, seq: event.seq },
        'snapshot of a table done',
      );
      return;
    case 'source.changes':
      logger.trace({ ...event }, 'changes');
      return;
    case 'log.compacted':
      logger.debug({ ...event, type: undefined }, 'log compacted');
      return;
    case 'log.disk':
      logDisk(logger, event);
      return;
    case 'view.failed':
      logger.error({ view: event.view, ...errorFields(event.error) }, `view failed: ${event.error.message}`);
      return;
    case 'view.dead_letter':
      logger.warn({ view: event.view, row: event.row, reason: event.reason }, 'an expression failed on a row');
      return;
    case 'view.step':
      logger.trace({ ...event }, 'step');
      return;
    default:
      logSinkEvent(logger, event);
  }
}

function logSinkEvent(logger: Logger, event: Extract<PipelineEvent, { sink: string }>): void {
  switch (event.type) {
    case 'sink.retrying':
      logger.warn(
        { sink: event.sink, ...errorFields(event.error), attempt: event.attempt, waitMs: Math.round(event.waitMs) },
        `sink is retried: ${event.error.message}`,
      );
      return;
    case 'sink.failed':
      logger.error({ sink: event.sink, ...errorFields(event.error) }, `sink failed: ${event.error.message}`);
      return;
    case 'sink.recovered':
      logger.info({ sink: event.sink }, 'sink recovered');
      return;
    case 'sink.stalled':
      logger.warn({ sink: event.sink, ...errorFields(event.error) }, event.error.message);
      return;
    case 'sink.paused':
      logger.info({ sink: event.sink }, event.paused ? 'sink paused' : 'sink resumed');
      return;
    case 'sink.rebuild':
      logger.info({ sink: event.sink }, `rebuild of a sink ${event.state}`);
      return;
    case 'sink.consistent':
      logger.info({ sink: event.sink, seq: event.seq, position: event.position }, 'sink is consistent');
      return;
    case 'sink.dead_letter':
      logger.warn({ sink: event.sink, key: event.key, reason: event.reason }, 'row went to the dead letters');
      return;
    default:
      logger.trace({ ...event }, 'applied');
  }
}

function logDisk(logger: Logger, event: Extract<PipelineEvent, { type: 'log.disk' }>): void {
  const fields = { usedPercent: Math.round(event.usedPercent * 10) / 10 };
  if (event.level === 'ok') logger.info(fields, 'disk under data_dir has room again');
  else if (event.level === 'warn') logger.warn(fields, 'disk under data_dir is filling up');
  else logger.error(fields, 'disk under data_dir is nearly full: sources are paused until there is room');
}

/** Code, hint and place of an error, for a line whose message says what happened. */
function errorFields(error: TidemarkError): Record<string, unknown> {
  return { code: error.code, hint: error.hint, ...error.place };
}
