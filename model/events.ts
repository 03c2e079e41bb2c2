import type { TidemarkError } from '../base/errors.ts';

/**
 * What the rooms tell whoever watches (logging, metrics, progress). Rooms never import telemetry: they are given a `Report`.
 * Events are per batch or rarer, never per row.
 */
export type PipelineEvent =
  | { readonly type: 'source.connected'; readonly source: string; readonly server: string; readonly position: string }
  | {
      readonly type: 'source.retrying';
      readonly source: string;
      readonly error: TidemarkError;
      readonly attempt: number;
      readonly waitMs: number;
    }
  | { readonly type: 'source.failed'; readonly source: string; readonly error: TidemarkError }
  /** Something that the operator should know and that stops nothing. */
  | {
      readonly type: 'source.notice';
      readonly source: string;
      readonly message: string;
      readonly hint?: string;
      readonly table?: string;
    }
  /** Changes handed to the log since the last such event. */
  | {
      readonly type: 'source.changes';
      readonly source: string;
      readonly table: string;
      readonly create: number;
      readonly update: number;
      readonly delete: number;
      readonly read: number;
    }
  | {
      readonly type: 'snapshot.started';
      readonly source: string;
      readonly table: string;
      readonly rowsEstimated: number;
    }
  | {
      readonly type: 'snapshot.done';
      readonly source: string;
      readonly table: string;
      readonly rows: number;
      readonly seq: number;
    }
  | { readonly type: 'view.failed'; readonly view: string; readonly error: TidemarkError }
  /** An expression failed on a row, which is missing from the result until it changes. */
  | { readonly type: 'view.dead_letter'; readonly view: string; readonly row: string; readonly reason: string }
  /** One step of all views was published, or changed nothing. */
  | { readonly type: 'view.step'; readonly seq: number; readonly seconds: number; readonly changes: number }
  | {
      readonly type: 'sink.retrying';
      readonly sink: string;
      readonly error: TidemarkError;
      readonly attempt: number;
      readonly waitMs: number;
    }
  | { readonly type: 'sink.failed'; readonly sink: string; readonly error: TidemarkError }
  | { readonly type: 'sink.recovered'; readonly sink: string }
  /** A write has been under way for too long; it may end yet. */
  | { readonly type: 'sink.stalled'; readonly sink: string; readonly error: TidemarkError }
  /** Somebody stopped the sink, or let it go on. */
  | { readonly type: 'sink.paused'; readonly sink: string; readonly paused: boolean }
  | { readonly type: 'sink.rebuild'; readonly sink: string; readonly state: 'started' | 'done' }
  | { readonly type: 'sink.consistent'; readonly sink: string; readonly seq: number; readonly position: string }
  | {
      readonly type: 'sink.applied';
      readonly sink: string;
      readonly upserts: number;
      readonly deletes: number;
      readonly seq: number;
    }
  | { readonly type: 'sink.dead_letter'; readonly sink: string; readonly key: string; readonly reason: string }
  | {
      readonly type: 'log.compacted';
      readonly stream: string;
      readonly seq: number;
      readonly bytesBefore: number;
      readonly bytesAfter: number;
    }
  | { readonly type: 'log.disk'; readonly level: 'warn' | 'stop' | 'ok'; readonly usedPercent: number };

export type Report = (event: PipelineEvent) => void;
