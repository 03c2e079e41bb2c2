import {
  civilOf,
  dayOf,
  dayOfWeek,
  daysOf,
  isoWeekOf,
  julianOfEpoch,
  microsOf,
  microsPerDay,
  newCivil,
  timeOf,
  unixEpochDays,
} from './calendar.ts';
import type { Days, Micros } from './calendar.ts';
import { centuryOf, decadeOf, millenniumOf, unitOf, unitUnsupported } from './datetime-units.ts';
import type { Interval } from './interval.ts';
import { isFiniteInterval } from './interval.ts';
import { addNumeric, Numeric, numericInfinity, numericMinusInfinity, roundNumeric } from './numeric.ts';
import { divideNumeric } from './numeric-division.ts';

/** extract(field from …): numerics with the scales that PostgreSQL gives them. null where an infinite value has no such field. */

const civil = newCivil();
const unixEpochMicros = BigInt(unixEpochDays) * BigInt(microsPerDay);

/** Fields that grow with time, so that infinity has them. */
const monotonic = new Set(['year', 'decade', 'century', 'millennium', 'julian', 'isoyear', 'epoch']);
const dateFields = new Set([
  'day',
  'week',
  'month',
  'quarter',
  'year',
  'decade',
  'century',
  'millennium',
  'isoyear',
  'dow',
  'isodow',
  'doy',
  'julian',
  'epoch',
]);
const timeFields = new Set(['microseconds', 'milliseconds', 'second', 'minute', 'hour']);
const zoneFields = new Set(['timezone', 'timezone_hour', 'timezone_minute']);

export function extractTimestamp(field: string, micros: Micros): Numeric | null {
  return extract(field, micros, 'timestamp without time zone');
}

export function extractTimestamptz(field: string, micros: Micros): Numeric | null {
  return extract(field, micros, 'timestamp with time zone');
}

function extract(field: string, micros: Micros, type: string): Numeric | null {
  const unit = unitOf(field, type);
  if (micros === Infinity || micros === -Infinity) return infiniteField(unit, micros);
  if (zoneFields.has(unit) && type !== 'timestamp with time zone') throw unitUnsupported(field, type);
  if (zoneFields.has(unit)) return new Numeric(0, 0);
  const days = dayOf(micros);
  const time = timeOf(micros, days);
  if (timeFields.has(unit)) return timeField(unit, time);
  if (unit === 'epoch') return epochOf(micros);
  if (unit === 'julian') {
    return addNumeric(
      new Numeric(days + julianOfEpoch, 0),
      divideNumeric(new Numeric(time, 0), new Numeric(microsPerDay, 0)),
    );
  }
  return new Numeric(dateField(unit, days), 0);
}

/** Where the count of microseconds since 1970 leaves 64 bits, PostgreSQL divides numerics, whose quotient has fewer digits. */
const epochEnd = 9_223_372_036_854_775_807n + unixEpochMicros;

function epochOf(micros: Micros): Numeric {
  const since = BigInt(micros) - unixEpochMicros;
  if (micros <= epochEnd) return new Numeric(microsOf(since), 6);
  return roundNumeric(divideNumeric(new Numeric(microsOf(since), 0), new Numeric(1_000_000, 0)), 6);
}

function infiniteField(unit: string, value: number): Numeric | null {
  if (!monotonic.has(unit)) return null;
  return value > 0 ? numericInfinity : numericMinusInfinity;
}

export function extractDate(field: string, days: Days): Numeric | null {
  const unit = unitOf(field, 'date');
  if (!dateFields.has(unit)) throw unitUnsupported(field, 'date');
  if (days === Infinity || days === -Infinity) return infiniteField(unit, days);
  if (unit === 'epoch') return new Numeric((days - unixEpochDays) * 86_400, 0);
  if (unit === 'julian') return new Numeric(days + julianOfEpoch, 0);
  return new Numeric(dateField(unit, days), 0);
}

export function extractTime(field: string, time: number): Numeric {
  const type = 'time without time zone';
  const unit = unitOf(field, type);
  if (unit === 'epoch') return new Numeric(time, 6);
  if (!timeFields.has(unit)) throw unitUnsupported(field, type);
  return timeField(unit, time);
}

/** Of microseconds since midnight; towards zero for those of an interval. */
function timeField(unit: string, time: number): Numeric {
  switch (unit) {
    case 'microseconds':
      return new Numeric((time % 60_000_000) + 0, 0);
    case 'milliseconds':
      return new Numeric((time % 60_000_000) + 0, 3);
    case 'second':
      return new Numeric((time % 60_000_000) + 0, 6);
    case 'minute':
      return new Numeric((Math.trunc(time / 60_000_000) % 60) + 0, 0);
    default:
      return new Numeric(Math.trunc(time / 3_600_000_000) + 0, 0);
  }
}

function dateField(unit: string, days: Days): number {
  switch (unit) {
    case 'dow':
      return dayOfWeek(days);
    case 'isodow':
      return dayOfWeek(days) || 7;
    case 'week':
      return isoWeekOf(days).week;
    case 'isoyear': {
      const { year } = isoWeekOf(days);
      return year > 0 ? year : year - 1;
    }
    default:
  }
  const { year, month, day } = civilOf(days, civil);
  switch (unit) {
    case 'day':
      return day;
    case 'month':
      return month;
    case 'quarter':
      return Math.floor((month - 1) / 3) + 1;
    case 'doy':
      return days - daysOf(year, 1, 1) + 1;
    case 'decade':
      return decadeOf(year);
    case 'century':
      return centuryOf(year);
    case 'millennium':
      return millenniumOf(year);
    default:
      return year > 0 ? year : year - 1;
  }
}

const intervalInfinite = new Set(['hour', 'day', 'year', 'decade', 'century', 'millennium', 'epoch']);
const intervalNull = new Set(['microseconds', 'milliseconds', 'second', 'minute', 'month', 'quarter']);

export function extractInterval(field: string, value: Interval): Numeric | null {
  const unit = unitOf(field, 'interval');
  if (!intervalInfinite.has(unit) && !intervalNull.has(unit)) throw unitUnsupported(field, 'interval');
  if (!isFiniteInterval(value)) {
    if (!intervalInfinite.has(unit)) return null;
    return value.months > 0 ? numericInfinity : numericMinusInfinity;
  }
  const { months, days, micros } = value;
  const years = Math.trunc(months / 12);
  switch (unit) {
    case 'day':
      return whole(days);
    case 'month':
      return whole(months % 12);
    case 'quarter':
      return whole(Math.trunc((months % 12) / 3) + 1);
    case 'year':
      return whole(years);
    case 'decade':
      return whole(Math.trunc(years / 10));
    case 'century':
      return whole(Math.trunc(years / 100));
    case 'millennium':
      return whole(Math.trunc(years / 1000));
    case 'epoch': {
      // A year has 365.25 days; four times everything keeps to integers.
      const seconds = BigInt(1461 * years + 120 * (months % 12) + 4 * days) * 21_600n;
      return new Numeric(microsOf(seconds * 1_000_000n + BigInt(micros)), 6);
    }
    case 'hour':
      return new Numeric(
        typeof micros === 'number' ? Math.trunc(micros / 3_600_000_000) + 0 : microsOf(micros / 3_600_000_000n),
        0,
      );
    default:
      return timeField(unit, Number(BigInt(micros) % 3_600_000_000n));
  }
}

function whole(value: number): Numeric {
  return new Numeric(value + 0, 0);
}
