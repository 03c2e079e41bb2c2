import { createHash } from 'node:crypto';

/**
 * What a file is recognised by when it is read on: the bytes right before the position, as many as 4 KiB, as a hash in the stream's
 * state under this name, `{"at":position,"bytes":n,"sha256":hex}`. `at` may be behind the stream's position by one read, after a crash.
 */
export const tailMarkKey = 'ndjson:tail';
export const tailBytesMax = 4096;

export interface TailMark {
  /** Offset in the file up to which the bytes count. */
  readonly at: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** The mark of a file whose bytes up to `at` end at `end` in `buffer`, which holds as many of them as count. */
export function markTail(at: number, buffer: Buffer, end: number): TailMark {
  const bytes = Math.min(tailBytesMax, at);
  return {
    at,
    bytes,
    sha256: createHash('sha256')
      .update(buffer.subarray(end - bytes, end))
      .digest('hex'),
  };
}

/** Whether the bytes that end at `end` in `buffer` are those of the mark. */
export function isTail(mark: TailMark, buffer: Buffer, end: number): boolean {
  if (end < mark.bytes) return false;
  return markTail(mark.at, buffer, end).sha256 === mark.sha256;
}

export function readTailMark(state: ReadonlyMap<string, string>): TailMark | null {
  const text = state.get(tailMarkKey);
  return text === undefined ? null : (JSON.parse(text) as TailMark);
}
