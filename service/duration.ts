const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of `250ms`, `10s`, `5m`, `1h`, or of a bare number of seconds; null for anything else. */
export function durationMs(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)?$/.exec(text);
  if (!match) return null;
  return Math.round(Number(match[1]) * (unitsMs[match[2] ?? 's'] ?? 1000));
}
