import { civilOf, checkTimestamp, dayOf, dayOfWeek, daysOf, joinDays, microsOf, newCivil, timeOf } from './calendar.ts';
import type { Micros } from './calendar.ts';
import { truncationUnit, unitUnsupported } from './datetime-units.ts';
import { Interval, isFiniteInterval, newInterval, outOfRange } from './interval.ts';
import { RowError } from './expression.ts';
import { localTime, utcTime } from './time-zone.ts';

const civil = newCivil();
const int8Max = 9_223_372_036_854_775_807n;

/** Units within a day, in microseconds. */
const timeUnits = new Map([
  ['microseconds', 1],
  ['milliseconds', 1000],
  ['second', 1_000_000],
  ['minute', 60_000_000],
  ['hour', 3_600_000_000],
  ['day', 86_400_000_000],
]);

export function truncateTimestamp(field: string, micros: Micros): Micros {
  return checkTimestamp(truncate(field, micros, 'timestamp without time zone'));
}

/** In UTC, which is the session's zone. */
export function truncateTimestamptz(field: string, micros: Micros): Micros {
  return checkTimestamp(truncate(field, micros, 'timestamp with time zone'));
}

export function truncateInZone(field: string, micros: Micros, zone: string): Micros {
  return checkTimestamp(utcTime(zone, truncate(field, localTime(zone, micros), 'timestamp with time zone')));
}

/** Without a look at the range: a local time may be beyond it where the moment is not. */
function truncate(field: string, micros: Micros, type: string): Micros {
  if (micros === Infinity || micros === -Infinity) return micros;
  const unit = truncationUnit(field, type);
  const size = timeUnits.get(unit);
  if (size !== undefined) {
    if (typeof micros === 'number') {
      const rest = micros % size;
      return rest < 0 ? micros - rest - size : micros - rest;
    }
    const days = dayOf(micros);
    const time = timeOf(micros, days);
    return joinDays(days, time - (time % size));
  }
  const days = dayOf(micros);
  if (unit === 'week') return joinDays(days - ((dayOfWeek(days) + 6) % 7), 0);
  if (!dateUnits.has(unit)) throw unitUnsupported(field, type);
  const { year, month } = civilOf(days, civil);
  switch (unit) {
    case 'month':
      return joinDays(daysOf(year, month, 1), 0);
    case 'quarter':
      return joinDays(daysOf(year, month - ((month - 1) % 3), 1), 0);
    default:
      return joinDays(daysOf(firstYear(unit, year), 1, 1), 0);
  }
}

const dateUnits = new Set(['week', 'month', 'quarter', 'year', 'decade', 'century', 'millennium']);

function firstYear(unit: string, year: number): number {
  switch (unit) {
    case 'decade':
      return year > 0 ? Math.floor(year / 10) * 10 : -Math.floor((8 - (year - 1)) / 10) * 10;
    case 'century':
      return year > 0 ? Math.floor((year + 99) / 100) * 100 - 99 : -Math.floor((99 - (year - 1)) / 100) * 100 + 1;
    case 'millennium':
      return year > 0
        ? Math.floor((year + 999) / 1000) * 1000 - 999
        : -Math.floor((999 - (year - 1)) / 1000) * 1000 + 1;
    default:
      return year;
  }
}

const monthUnits = new Map([
  ['month', 1],
  ['quarter', 3],
  ['year', 12],
  ['decade', 120],
  ['century', 1200],
  ['millennium', 12_000],
]);

export function truncateInterval(field: string, value: Interval): Interval {
  if (!isFiniteInterval(value)) return value;
  const unit = truncationUnit(field, 'interval');
  const months = monthUnits.get(unit);
  const size = timeUnits.get(unit);
  if (months === undefined && size === undefined) throw unitUnsupported(field, 'interval');
  if (months !== undefined) {
    // A quarter is cut within its year, as are the others, towards zero.
    return newInterval(Math.trunc(value.months / months) * months, 0, 0);
  }
  if (unit === 'day') return new Interval(value.months, value.days, 0);
  const { micros } = value;
  const step = size as number;
  const cut = typeof micros === 'number' ? micros - (micros % step) : microsOf(micros - (micros % BigInt(step)));
  return newInterval(value.months, value.days, cut);
}

/** date_bin: the start of the stride that holds `micros`, counted from `origin`. */
export function binTimestamp(stride: Interval, micros: Micros, origin: Micros): Micros {
  if (micros === Infinity || micros === -Infinity) return micros;
  if (origin === Infinity || origin === -Infinity) throw new RowError('22008', 'origin out of range');
  if (!isFiniteInterval(stride)) throw new RowError('22008', 'timestamps cannot be binned into infinite intervals');
  if (stride.months !== 0) {
    throw new RowError('0A000', 'timestamps cannot be binned into intervals containing months or years');
  }
  const size = BigInt(stride.days) * 86_400_000_000n + BigInt(stride.micros);
  if (size <= 0n) throw new RowError('22008', 'stride must be greater than zero');
  const since = BigInt(micros) - BigInt(origin);
  if (since > int8Max || since < -int8Max) throw outOfRange();
  const rest = since % size;
  return checkTimestamp(microsOf(BigInt(micros) - rest - (rest < 0n ? size : 0n)));
}
