import { shownPosition } from '../../model/position.ts';
import type { Cursor } from '../port.ts';

/**
 * What the key `tidemark:<deployment>:<sink>` holds, as JSON for people and programs. `seq` and `position` say how far the rows are,
 * `consistent` whether they are all at that very commit; the rest is ours.
 *
 *   live      rows and `seq` are of one commit
 *   filling   there was nothing before: rows appear as they come
 *   copying   rows and `seq` are of one commit, and a newer state (`next`) is being staged
 *   sweeping  of a rebuilt state: keys that are not staged are being deleted
 *   moving    staged rows (and deletes) are being made visible; `next` says what is reached then
 */
export interface SinkRecord {
  readonly state: 'live' | 'filling' | 'copying' | 'sweeping' | 'moving';
  readonly consistent: boolean;
  readonly now: Version;
  readonly next: Version | null;
}

/** A state of the rows, and what they were made by. Epoch 0: there is none. */
export interface Version {
  readonly cursor: Cursor;
  readonly fingerprint: string;
  /** Of the shape that the rows have; 0 before any. */
  readonly schemaId: number;
  /** The template of the keys, with the columns spelled out; empty before any. */
  readonly key: string;
  readonly format: 'json' | 'hash';
  readonly ttlMs: number | null;
}

export const noCursor: Cursor = { epoch: 0, seq: 0, position: null, timeMs: 0 };

interface VersionText {
  seq: number;
  position: unknown;
  epoch: number;
  time_ms: number;
  key: string;
  format: 'json' | 'hash';
  ttl_ms: number | null;
  schema: number;
  fingerprint: string;
}

export function recordText({ state, consistent, now, next }: SinkRecord): string {
  const { seq, position, ...rest } = versionText(now);
  return JSON.stringify({ seq, position, consistent, state, ...rest, next: next === null ? null : versionText(next) });
}

/** The record of the text; null for what this program has not written. */
export function parseRecord(text: string): SinkRecord | null {
  try {
    const value = JSON.parse(text) as VersionText & {
      state: SinkRecord['state'];
      consistent: boolean;
      next: VersionText | null;
    };
    if (typeof value.state !== 'string' || typeof value.seq !== 'number' || typeof value.fingerprint !== 'string')
      return null;
    const { state, consistent, next } = value;
    return { state, consistent, now: versionOf(value), next: next === null ? null : versionOf(next) };
  } catch {
    return null;
  }
}

function versionText({ cursor, key, format, ttlMs, schemaId, fingerprint }: Version): VersionText {
  const { seq, position, epoch, timeMs } = cursor;
  const shown = position === null ? null : shownPosition(position);
  return { seq, position: shown, epoch, time_ms: timeMs, key, format, ttl_ms: ttlMs, schema: schemaId, fingerprint };
}

function versionOf(text: VersionText): Version {
  const { seq, position, epoch, time_ms: timeMs, key, format, ttl_ms: ttlMs, schema: schemaId, fingerprint } = text;
  const kept = typeof position === 'string' || position === null ? position : JSON.stringify(position);
  return { cursor: { epoch, seq, position: kept, timeMs }, key, format, ttlMs, schemaId, fingerprint };
}
