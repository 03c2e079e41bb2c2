import type { Frontier } from '../../model/log.ts';

/**
 * The meta of a transaction, a commit or a mark: what it says besides its changes.
 *
 *   0   f64  time in milliseconds since 1970
 *   8   u32  length of the position
 *   12  u32  length of the transaction's name
 *   16  position, name, then the state's changes as JSON (absent when there are none)
 */
const fixedBytes = 16;

export type StateChanges = Readonly<Record<string, string | null>>;

export interface Meta {
  position: string;
  timeMs: number;
  txId: string;
  state: StateChanges | undefined;
}

/** Bytes that the meta can need at most. */
export function metaBytesMax(position: string, txId: string, state: string): number {
  return fixedBytes + 3 * (position.length + txId.length + state.length);
}

/** Writes the meta at `at`; returns the offset after it. `state` is JSON, or empty. */
export function writeMeta(
  into: Buffer,
  at: number,
  position: string,
  timeMs: number,
  txId: string,
  state: string,
): number {
  into.writeDoubleLE(timeMs, at);
  const positionBytes = into.write(position, at + fixedBytes);
  const txBytes = txId === '' ? 0 : into.write(txId, at + fixedBytes + positionBytes);
  const stateStart = at + fixedBytes + positionBytes + txBytes;
  const stateBytes = state === '' ? 0 : into.write(state, stateStart);
  into.writeUInt32LE(positionBytes, at + 8);
  into.writeUInt32LE(txBytes, at + 12);
  return stateStart + stateBytes;
}

export function readMeta(from: Buffer, start: number, end: number): Meta {
  const positionEnd = start + fixedBytes + from.readUInt32LE(start + 8);
  const txEnd = positionEnd + from.readUInt32LE(start + 12);
  return {
    position: from.toString('utf8', start + fixedBytes, positionEnd),
    timeMs: from.readDoubleLE(start),
    txId: txEnd === positionEnd ? '' : from.toString('utf8', positionEnd, txEnd),
    state: txEnd === end ? undefined : (JSON.parse(from.toString('utf8', txEnd, end)) as StateChanges),
  };
}

export function applyState(state: Map<string, string>, changes: StateChanges): void {
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) state.delete(key);
    else state.set(key, value);
  }
}

export const startOfStream: Frontier = { seq: 0, position: null, timeMs: 0 };
