import { RowError } from './expression.ts';
import {
  addMicros,
  civilOf,
  checkTimestamp,
  dayOf,
  daysInMonth,
  daysOf,
  joinDays,
  microsOf,
  microsPerDay,
  newCivil,
  subtractMicros,
  timeOf,
} from './calendar.ts';
import type { Days, Micros } from './calendar.ts';

/**
 * An interval as PostgreSQL keeps it: three counts that do not carry into each other. `infinity` and `-infinity` have ±Infinity in all
 * three.
 */
export class Interval {
  readonly months: number;
  readonly days: number;
  readonly micros: Micros;

  constructor(months: number, days: number, micros: Micros) {
    this.months = months;
    this.days = days;
    this.micros = micros;
  }
}

export const infiniteInterval = new Interval(Infinity, Infinity, Infinity);
export const minusInfiniteInterval = new Interval(-Infinity, -Infinity, -Infinity);

const int4Max = 2_147_483_647;
const int8Max = 9_223_372_036_854_775_807n;

export function outOfRange(): RowError {
  return new RowError('22008', 'interval out of range');
}

/** An interval with its fields checked to be in their ranges. */
export function newInterval(months: number, days: number, micros: Micros): Interval {
  if (!(Math.abs(months) <= int4Max + 1 && Math.abs(days) <= int4Max + 1)) throw outOfRange();
  if (months > int4Max || days > int4Max) throw outOfRange();
  if (typeof micros === 'bigint' && (micros > int8Max || micros < -int8Max - 1n)) throw outOfRange();
  // No zero is negative: values are compared with ===, and −0 would be printed as 0 but is another value to Object.is.
  return new Interval(months + 0, days + 0, micros === 0 ? 0 : micros);
}

export function isFiniteInterval(value: Interval): boolean {
  return value.months !== Infinity && value.months !== -Infinity;
}

/** What the interval counts for when it is compared: 30 days a month, 24 hours a day. */
export function spanOf(value: Interval): Micros {
  if (!isFiniteInterval(value)) return value.months;
  const days = value.months * 30 + value.days;
  const { micros } = value;
  if (typeof micros === 'number') {
    const span = days * microsPerDay + micros;
    if (Number.isSafeInteger(span) && Math.abs(days) < 100_000) return span;
  }
  return microsOf(BigInt(days) * BigInt(microsPerDay) + BigInt(micros));
}

export function compareIntervals(a: Interval, b: Interval): number {
  const left = spanOf(a);
  const right = spanOf(b);
  return left < right ? -1 : left > right ? 1 : 0;
}

export function negateInterval(value: Interval): Interval {
  if (!isFiniteInterval(value)) return value.months > 0 ? minusInfiniteInterval : infiniteInterval;
  return newInterval(-value.months, -value.days, -value.micros);
}

export function addIntervals(a: Interval, b: Interval): Interval {
  if (!isFiniteInterval(a) || !isFiniteInterval(b)) {
    const sum = a.months + b.months;
    if (Number.isNaN(sum)) throw outOfRange();
    return sum > 0 ? infiniteInterval : minusInfiniteInterval;
  }
  return newInterval(a.months + b.months, a.days + b.days, addMicros(a.micros, b.micros));
}

export function subtractIntervals(a: Interval, b: Interval): Interval {
  return addIntervals(a, negateInterval(b));
}

const civil = newCivil();

/** A timestamp moved by an interval: months first, keeping within the month's days, then days, then the time. */
export function addToTimestamp(micros: Micros, by: Interval): Micros {
  if (!isFiniteInterval(by)) {
    if (micros === -by.months) throw new RowError('22008', 'timestamp out of range');
    return by.months;
  }
  if (micros === Infinity || micros === -Infinity) return micros;
  let moved = micros;
  if (by.months !== 0 || by.days !== 0) {
    const days = dayOf(micros);
    const time = timeOf(micros, days);
    moved = joinDays((by.months === 0 ? days : addMonths(days, by.months)) + by.days, time);
    checkTimestamp(moved);
  }
  return checkTimestamp(addMicros(moved, by.micros));
}

export function addMonths(days: Days, months: number): Days {
  civilOf(days, civil);
  const month = civil.month - 1 + months;
  const year = civil.year + Math.floor(month / 12);
  const of = (((month % 12) + 12) % 12) + 1;
  return daysOf(year, of, Math.min(civil.day, daysInMonth(year, of)));
}

/** `timestamp - timestamp`: days and time, no months. */
export function timestampDifference(a: Micros, b: Micros): Interval {
  if (!finite(a) || !finite(b)) {
    const difference = (finite(a) ? 0 : Number(a)) - (finite(b) ? 0 : Number(b));
    if (Number.isNaN(difference)) throw outOfRange();
    return difference > 0 ? infiniteInterval : minusInfiniteInterval;
  }
  return justifyHours(newInterval(0, 0, subtractMicros(a, b)));
}

function finite(micros: Micros): boolean {
  return micros !== Infinity && micros !== -Infinity;
}

/** Whole days of `micros`, towards zero. */
function wholeDays(micros: Micros): number {
  return typeof micros === 'number' ? Math.trunc(micros / microsPerDay) : Number(micros / BigInt(microsPerDay));
}

function withoutDays(micros: Micros, days: number): Micros {
  return typeof micros === 'number'
    ? micros - days * microsPerDay
    : microsOf(micros - BigInt(days) * BigInt(microsPerDay));
}

export function justifyHours(value: Interval): Interval {
  if (!isFiniteInterval(value)) return value;
  const whole = wholeDays(value.micros);
  let micros = withoutDays(value.micros, whole);
  let days = value.days + whole;
  if (days > 0 && micros < 0) {
    micros = addMicros(micros, microsPerDay);
    days--;
  } else if (days < 0 && micros > 0) {
    micros = subtractMicros(micros, microsPerDay);
    days++;
  }
  return newInterval(value.months, days, micros);
}

export function justifyDays(value: Interval): Interval {
  if (!isFiniteInterval(value)) return value;
  const whole = Math.trunc(value.days / 30);
  let days = value.days - whole * 30;
  let months = value.months + whole;
  if (months > 0 && days < 0) {
    days += 30;
    months--;
  } else if (months < 0 && days > 0) {
    days -= 30;
    months++;
  }
  return newInterval(months, days, value.micros);
}

export function justifyInterval(value: Interval): Interval {
  if (!isFiniteInterval(value)) return value;
  let { months, days, micros } = value;
  // Days first when they are of another sign than the time, so that what is brought over cannot overflow.
  if ((days > 0 && micros > 0) || (days < 0 && micros < 0)) {
    const early = Math.trunc(days / 30);
    days -= early * 30;
    months += early;
  }
  const whole = wholeDays(micros);
  micros = withoutDays(micros, whole);
  days += whole;
  const wholeMonths = Math.trunc(days / 30);
  days -= wholeMonths * 30;
  months += wholeMonths;
  if (months > 0 && (days < 0 || (days === 0 && micros < 0))) {
    days += 30;
    months--;
  } else if (months < 0 && (days > 0 || (days === 0 && micros > 0))) {
    days -= 30;
    months++;
  }
  if (days > 0 && micros < 0) {
    micros = addMicros(micros, microsPerDay);
    days--;
  } else if (days < 0 && micros > 0) {
    micros = subtractMicros(micros, microsPerDay);
    days++;
  }
  return newInterval(months, days, micros);
}

/** interval_mul: what a field's product leaves behind its point goes on to the next smaller one. */
export function multiplyInterval(value: Interval, factor: number): Interval {
  return scale(value, factor, (field) => field * factor);
}

export function divideInterval(value: Interval, divisor: number): Interval {
  if (divisor === 0) throw new RowError('22012', 'division by zero');
  if (divisor === Infinity || divisor === -Infinity) {
    if (!isFiniteInterval(value)) throw outOfRange();
    return new Interval(0, 0, 0);
  }
  return scale(value, divisor, (field) => field / divisor);
}

function scale(value: Interval, factor: number, by: (field: number) => number): Interval {
  if (Number.isNaN(factor)) throw outOfRange();
  if (!isFiniteInterval(value) || !Number.isFinite(factor)) return scaleInfinite(value, factor);
  const wholeMonths = by(value.months);
  const months = Math.trunc(wholeMonths);
  const scaledDays = by(value.days);
  const days = Math.trunc(scaledDays);
  // Fractional months are full days and the rest; each is rounded to the microsecond, so that float error does not carry.
  let monthDays = roundTime((wholeMonths - months) * 30);
  let seconds = roundTime((scaledDays - days + monthDays - Math.trunc(monthDays)) * 86_400);
  if (Math.abs(seconds) >= 86_400) {
    const carried = Math.trunc(seconds / 86_400);
    monthDays += carried;
    seconds -= carried * 86_400;
  }
  const time = roundEven(by(Number(value.micros)) + seconds * 1_000_000);
  if (!Number.isFinite(time)) throw outOfRange();
  return newInterval(months, days + Math.trunc(monthDays), Number.isSafeInteger(time) ? time : microsOf(BigInt(time)));
}

function scaleInfinite(value: Interval, factor: number): Interval {
  if (isFiniteInterval(value)) {
    // An infinite factor: the sign of the interval decides, and zero has none.
    const sign = Math.sign(Number(spanOf(value)));
    if (sign === 0) throw outOfRange();
    return sign * factor > 0 ? infiniteInterval : minusInfiniteInterval;
  }
  if (factor === 0) throw outOfRange();
  return value.months > 0 === factor > 0 ? infiniteInterval : minusInfiniteInterval;
}

/** TSROUND: to microseconds, when given seconds. */
function roundTime(seconds: number): number {
  return roundEven(seconds * 1_000_000) / 1_000_000;
}

/** C's rint. */
export function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** age(a, b): the calendar's difference, in years, months and days. */
export function ageBetween(a: Micros, b: Micros): Interval {
  if (!finite(a) || !finite(b)) return timestampDifference(a, b);
  const swapped = a < b;
  const later = swapped ? b : a;
  const earlier = swapped ? a : b;
  const laterDays = dayOf(later);
  const earlierDays = dayOf(earlier);
  const to = civilOf(laterDays, newCivil());
  const from = civilOf(earlierDays, civil);
  let micros = timeOf(later, laterDays) - timeOf(earlier, earlierDays);
  let days = to.day - from.day;
  let months = (to.year - from.year) * 12 + to.month - from.month;
  if (micros < 0) {
    micros += microsPerDay;
    days--;
  }
  while (days < 0) {
    // The month that is borrowed from is the one that the earlier day lies in.
    days += daysInMonth(from.year, from.month);
    months--;
  }
  const age = newInterval(months, days, micros);
  return swapped ? negateInterval(age) : age;
}

/** Fields of an interval type (`interval day to second`), as bits of its modifier. */
export const intervalFields = { month: 2, year: 4, day: 8, hour: 1024, minute: 2048, second: 4096 } as const;
export const allIntervalFields = 0x7fff;

/** Cut to the fields and the precision of a type modifier: the fields in its lower half, the precision in the upper. */
export function fitInterval(value: Interval, typmod: number): Interval {
  if (!isFiniteInterval(value)) return value;
  const fields = typmod & 0xffff;
  const { months, days, micros } = value;
  if (fields !== allIntervalFields) {
    if (fields === intervalFields.year) return new Interval(months - (months % 12), 0, 0);
    if (fields < intervalFields.day) return new Interval(months, 0, 0);
    if (fields === intervalFields.day) return new Interval(months, days, 0);
    if (fields < intervalFields.minute) return new Interval(months, days, cut(micros, 3_600_000_000));
    if (fields < intervalFields.second) return new Interval(months, days, cut(micros, 60_000_000));
  }
  return newInterval(months, days, roundMicros(micros, typmod >>> 16));
}

function cut(micros: Micros, unit: number): Micros {
  return typeof micros === 'number' ? micros - (micros % unit) + 0 : microsOf(micros - (micros % BigInt(unit)));
}

/** Rounds to a number of digits of the second, half away from zero. */
export function roundMicros(micros: Micros, precision: number): Micros {
  if (micros === Infinity || micros === -Infinity || precision >= 6 || precision < 0) return micros;
  const unit = 10 ** (6 - precision);
  if (typeof micros === 'number') {
    const size = Math.abs(micros);
    const rounded = size - (size % unit) + (size % unit >= unit / 2 ? unit : 0);
    return micros < 0 ? 0 - rounded : rounded;
  }
  const bigUnit = BigInt(unit);
  const size = micros < 0n ? -micros : micros;
  const rounded = ((size + bigUnit / 2n) / bigUnit) * bigUnit;
  return microsOf(micros < 0n ? -rounded : rounded);
}
