import { shownPosition } from '../../model/position.ts';
import type { Cursor } from '../port.ts';

export const commitStart = '{"commit":';

/** The line that follows those of a transaction: `{"commit":n,"source":"shop","position":"…"}`. */
export function commitLine(source: string, { seq, position }: Cursor): string {
  const shown = position === null ? null : shownPosition(position);
  return `${commitStart}${seq},"source":${JSON.stringify(source)},"position":${JSON.stringify(shown)}}\n`;
}
