/** Bytes that `copyIsoTime` writes at most. */
export const isoTimeBytesMax = 30;

/**
 * Writes the time in `bytes[start..end)` as PostgreSQL prints it, if it is in the form that programs write and surely a time:
 * `YYYY-MM-DDThh:mm:ss`, with six digits of a fraction at most, and `Z` where it `hasZone`. Returns the offset after it in `into`, or −1 for
 * anything else, which goes the way of the type's input function (days from the 29th on among them).
 */
export function copyIsoTime(
  bytes: Buffer,
  start: number,
  end: number,
  hasZone: boolean,
  into: Buffer,
  at: number,
): number {
  const last = hasZone ? end - 1 : end;
  const length = last - start;
  if (length < 19 || length > 26 || (hasZone && bytes[last] !== 0x5a) /* Z */) return -1;
  const separator = bytes[start + 10];
  if (bytes[start + 4] !== 0x2d || bytes[start + 7] !== 0x2d || (separator !== 0x54 && separator !== 0x20)) return -1;
  if (bytes[start + 13] !== 0x3a || bytes[start + 16] !== 0x3a) return -1;
  // NaN, for what is no digit, fails every comparison.
  if (!(pair(bytes, start) >= 10 && pair(bytes, start + 2) >= 0)) return -1;
  const month = pair(bytes, start + 5);
  const day = pair(bytes, start + 8);
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= 28)) return -1;
  if (!(pair(bytes, start + 11) < 24 && pair(bytes, start + 14) < 60 && pair(bytes, start + 17) < 60)) return -1;
  let stop = last;
  if (length > 19) {
    if (bytes[start + 19] !== 0x2e || length === 20) return -1;
    for (let index = start + 20; index < last; index++) if (!isDigit(bytes[index] as number)) return -1;
    while (bytes[stop - 1] === 0x30) stop--;
    if (stop === start + 20) stop--;
  }
  for (let index = start; index < stop; index++) into[at++] = bytes[index] as number;
  into[at - (stop - start) + 10] = 0x20;
  if (!hasZone) return at;
  into[at++] = 0x2b;
  into[at++] = 0x30;
  into[at++] = 0x30;
  return at;
}

function pair(bytes: Buffer, at: number): number {
  const high = bytes[at] as number;
  const low = bytes[at + 1] as number;
  return isDigit(high) && isDigit(low) ? (high - 0x30) * 10 + low - 0x30 : Number.NaN;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
