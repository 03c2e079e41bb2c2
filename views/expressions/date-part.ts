import { dayOf, isFinite, julianOfEpoch, timeOf } from './calendar.ts';
import type { Micros } from './calendar.ts';
import { extractInterval, extractTime, extractTimestamp, extractTimestamptz } from './date-extract.ts';
import { unitOf } from './datetime-units.ts';
import type { Interval } from './interval.ts';
import { isFiniteInterval } from './interval.ts';
import type { Numeric } from './numeric.ts';

/** date_part: extract in double precision, computed with the same roundings as PostgreSQL's. */

export function partOfTimestamp(field: string, micros: Micros): number | null {
  return part(field, micros, extractTimestamp(field, micros), 'timestamp without time zone');
}

export function partOfTimestamptz(field: string, micros: Micros): number | null {
  return part(field, micros, extractTimestamptz(field, micros), 'timestamp with time zone');
}

function part(field: string, micros: Micros, exact: Numeric | null, type: string): number | null {
  if (exact === null) return null;
  if (!isFinite(micros)) return Number(exact.unscaled);
  const days = dayOf(micros);
  const time = timeOf(micros, days);
  if (unitOf(field, type) === 'julian') {
    const seconds = Math.floor(time / 1_000_000) + (time % 1_000_000) / 1e6;
    return days + julianOfEpoch + seconds / 86_400;
  }
  return partOfTimeField(field, time, exact, type);
}

export function partOfTime(field: string, time: number): number {
  return partOfTimeField(field, time, extractTime(field, time), 'time without time zone');
}

export function partOfInterval(field: string, value: Interval): number | null {
  const exact = extractInterval(field, value);
  if (exact === null || !isFiniteInterval(value)) return exact === null ? null : Number(exact.unscaled);
  const { months, days, micros } = value;
  if (unitOf(field, 'interval') === 'epoch') {
    const years = Math.trunc(months / 12);
    return Number(micros) / 1e6 + 365.25 * 86_400 * years + 30 * 86_400 * (months % 12) + 86_400 * days;
  }
  return partOfTimeField(field, Number(BigInt(micros) % 60_000_000n), exact, 'interval');
}

function partOfTimeField(field: string, time: number, exact: Numeric, type: string): number {
  const unit = unitOf(field, type);
  const seconds = Math.trunc((time % 60_000_000) / 1_000_000);
  const fraction = time % 1_000_000;
  if (unit === 'second') return seconds + fraction / 1e6;
  if (unit === 'milliseconds') return seconds * 1000 + fraction / 1000;
  return exact.scale === 0 ? Number(exact.unscaled) : Number(exact.unscaled) / 1e6;
}
