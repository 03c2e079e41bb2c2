const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** The form of a duration: `250ms`, `10s`, `5m`, `1h`. */
export const durationForm = /^([0-9]{1,9})(ms|s|m|h)$/;

/** Milliseconds of a duration, or null when it is not one. */
export function parseDuration(text: string): number | null {
  const match = durationForm.exec(text);
  const unit = units[match?.[2] ?? ''];
  return match && unit !== undefined ? Number(match[1]) * unit : null;
}
