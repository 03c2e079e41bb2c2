import { RowError } from './expression.ts';

/**
 * PostgreSQL's calendar: proleptic Gregorian, days counted from 2000-01-01, microseconds from that day's midnight UTC. Years are
 * astronomical here (0 is 1 BC).
 */

/** Days since 2000-01-01; ±Infinity are the dates `infinity` and `-infinity`. */
export type Days = number;

/** Microseconds: a number where that is exact, else a bigint, so that equal values have one form; ±Infinity are the infinities. */
export type Micros = number | bigint;

export const microsPerDay = 86_400_000_000;
export const microsPerHour = 3_600_000_000;
export const microsPerMinute = 60_000_000;
export const microsPerSecond = 1_000_000;

/** 2000-01-01 as a Julian day. */
export const julianOfEpoch = 2_451_545;
/** 1970-01-01 in days. */
export const unixEpochDays = -10_957;

/** Dates that PostgreSQL holds: Julian days 0 (4714-11-24 BC) to 5874897-12-31; timestamps end with 294276-12-31. */
const daysMin = -julianOfEpoch;
const daysMax = 2_145_031_948;
const timestampMin = -211_813_488_000_000_000n;
const timestampEnd = 9_223_371_331_200_000_000n;

const bigMicrosPerDay = BigInt(microsPerDay);

export interface Civil {
  year: number;
  month: number;
  day: number;
}

/** Days of a date of the calendar; month and day must be in their ranges. Howard Hinnant's days_from_civil. */
export function daysOf(year: number, month: number, day: number): Days {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 730_425;
}

/** The opposite of `daysOf`, into `into`, which is returned. */
export function civilOf(days: Days, into: Civil): Civil {
  const shifted = days + 730_425;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const mp = Math.floor((5 * dayOfYear + 2) / 153);
  into.day = dayOfYear - Math.floor((153 * mp + 2) / 5) + 1;
  into.month = mp < 10 ? mp + 3 : mp - 9;
  into.year = yearOfEra + era * 400 + (into.month <= 2 ? 1 : 0);
  return into;
}

export function newCivil(): Civil {
  return { year: 0, month: 0, day: 0 };
}

export function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

export function daysInMonth(year: number, month: number): number {
  return month === 2 && isLeap(year) ? 29 : (monthDays[month - 1] as number);
}

/** 0 for Sunday. */
export function dayOfWeek(days: Days): number {
  return (((days + 6) % 7) + 7) % 7;
}

export function isFinite(micros: Micros): boolean {
  return typeof micros === 'bigint' || Number.isFinite(micros);
}

/** The canonical form of a count of microseconds. */
export function microsOf(value: bigint): Micros {
  return value >= -9_007_199_254_740_991n && value <= 9_007_199_254_740_991n ? Number(value) : value;
}

/** Sum of finite counts. */
export function addMicros(a: Micros, b: Micros): Micros {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return microsOf(BigInt(a) + BigInt(b));
}

/** Difference of finite counts. */
export function subtractMicros(a: Micros, b: Micros): Micros {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return microsOf(BigInt(a) - BigInt(b));
}

/** `days` and a time within it as microseconds since 2000-01-01. */
export function joinDays(days: Days, time: number): Micros {
  const micros = days * microsPerDay + time;
  if (Number.isSafeInteger(micros)) return micros;
  return microsOf(BigInt(days) * bigMicrosPerDay + BigInt(time));
}

/** The day that a finite timestamp lies in. */
export function dayOf(micros: Micros): Days {
  if (typeof micros === 'number') {
    const days = Math.floor(micros / microsPerDay);
    // The quotient is rounded before it is floored.
    return days * microsPerDay > micros ? days - 1 : days;
  }
  const days = micros / bigMicrosPerDay;
  return Number(days * bigMicrosPerDay > micros ? days - 1n : days);
}

/** Microseconds since midnight of a finite timestamp that lies in `days`. */
export function timeOf(micros: Micros, days: Days): number {
  return typeof micros === 'number' ? micros - days * microsPerDay : Number(micros - BigInt(days) * bigMicrosPerDay);
}

export function checkDate(days: Days): Days {
  if (days < daysMin || days > daysMax || Number.isNaN(days)) {
    if (days !== Infinity && days !== -Infinity) throw new RowError('22008', 'date out of range');
  }
  return days;
}

/** The same, or an error when a finite timestamp is outside PostgreSQL's range. */
export function checkTimestamp(micros: Micros): Micros {
  if (typeof micros === 'bigint' && (micros < timestampMin || micros >= timestampEnd)) {
    throw new RowError('22008', 'timestamp out of range');
  }
  return micros;
}

/** Year, month and day of ISO 8601's weeks: the year that the week belongs to, and its number from 1. */
export function isoWeekOf(days: Days): { year: number; week: number } {
  const weekday = (dayOfWeek(days) + 6) % 7;
  const thursday = days - weekday + 3;
  const { year } = civilOf(thursday, newCivil());
  return { year, week: Math.floor((thursday - daysOf(year, 1, 1)) / 7) + 1 };
}

/** Monday of an ISO week. */
export function isoWeekStart(year: number, week: number): Days {
  const fourth = daysOf(year, 1, 4);
  return fourth - ((dayOfWeek(fourth) + 6) % 7) + (week - 1) * 7;
}
