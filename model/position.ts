import { TidemarkError } from '../base/errors.ts';

/** A byte position in PostgreSQL's write-ahead log. */
export type Lsn = bigint & { readonly brand: 'Lsn' };

const lsnForm = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** Reads `16/B374D848`; POSITION_INVALID for anything else. */
export function parseLsn(text: string): Lsn {
  const match = lsnForm.exec(text);
  if (!match) {
    throw new TidemarkError('POSITION_INVALID', `'${text}' is not a PostgreSQL position`, {
      hint: 'Write it as pg_current_wal_insert_lsn() prints it, for example 16/B374D848.',
    });
  }
  return lsn((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`));
}

export function lsn(value: bigint): Lsn {
  return value as Lsn;
}

export function formatLsn(value: Lsn): string {
  return `${(value >> 32n).toString(16).toUpperCase()}/${(value & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Positions of several sources, by name: how far a view over all of them has come. */
export type Positions = Readonly<Record<string, string>>;

/**
 * The position of a commit of views, as streams, cursors and sinks keep it: in a deployment of one source that source's own
 * position, else the JSON object `{source: position}`, names in alphabetical order.
 */
export function formatPositions(positions: Positions, isOnlySource: boolean): string {
  const entries = Object.entries(positions).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const only = isOnlySource ? entries[0]?.[1] : undefined;
  return only ?? JSON.stringify(Object.fromEntries(entries));
}

/** A position as it is shown: the text itself, or what `formatPositions` made of several. */
export function shownPosition(position: string): string | Positions {
  return position.startsWith('{') ? (JSON.parse(position) as Positions) : position;
}

/** How positions of one kind of source are read and ordered. */
export interface PositionOrder {
  /** Rewrites a position as its source prints it; POSITION_INVALID when it is not one. */
  normalise(position: string): string;
  /** Whether somebody who holds everything up to `held` holds everything up to `wanted`. */
  covers(held: string, wanted: string): boolean;
  /** Where positions are in one line: a number for each, so that `covers` is the same as `>=`, for who compares many. */
  rank?(position: string): bigint | number;
  /**
   * What to wait for in place of `wanted`, which somebody read at the source before the source stood at `present`: the same, or an
   * earlier position up to which everything is contained that `wanted` names.
   */
  settle(wanted: string, present: string): string;
}

export const lsnOrder: PositionOrder = {
  normalise: (position) => formatLsn(parseLsn(position)),
  covers: (held, wanted) => parseLsn(held) >= parseLsn(wanted),
  rank: parseLsn,
  settle: (wanted, present) => (isInPageHeader(parseLsn(wanted), parseLsn(present)) ? present : wanted),
};

/**
 * pg_current_wal_insert_lsn() at the start of a page names the first byte after the page's header (24 bytes, 40 at the start of a
 * segment), which the stream reaches only with the next record. Connectors tell a present position without the header: when
 * it is the start of a page, and the wanted one lies behind the header of that very page, nothing is between the two.
 */
function isInPageHeader(wanted: Lsn, present: Lsn): boolean {
  return present % 8192n === 0n && (wanted - present === 24n || wanted - present === 40n);
}

/** Positions that are numbers: the bytes of a file, or of a stream, up to there. */
export const offsetOrder: PositionOrder = {
  normalise: (position) => String(parseOffset(position)),
  covers: (held, wanted) => parseOffset(held) >= parseOffset(wanted),
  rank: parseOffset,
  settle: (wanted) => wanted,
};

/** Reads a number of bytes; POSITION_INVALID for anything else. */
export function parseOffset(text: string): number {
  const offset = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(offset)) return offset;
  throw new TidemarkError('POSITION_INVALID', `'${text}' is not a position in a file`, {
    hint: 'Write it as a number of bytes from the beginning, for example 4096.',
  });
}
