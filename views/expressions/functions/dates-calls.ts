import { RowError } from '../expression.ts';
import {
  checkTimestamp,
  daysInMonth,
  daysOf,
  joinDays,
  microsOf,
  microsPerDay,
  microsPerSecond,
  addMicros,
} from '../calendar.ts';
import type { Days, Micros } from '../calendar.ts';
import { extractDate, extractInterval, extractTime, extractTimestamp, extractTimestamptz } from '../date-extract.ts';
import { partOfInterval, partOfTime, partOfTimestamp, partOfTimestamptz } from '../date-part.ts';
import {
  binTimestamp,
  truncateInterval,
  truncateInZone,
  truncateTimestamp,
  truncateTimestamptz,
} from '../date-trunc.ts';
import {
  ageBetween,
  isFiniteInterval,
  justifyDays,
  justifyHours,
  justifyInterval,
  newInterval,
  outOfRange,
  roundEven,
} from '../interval.ts';
import { timestamptzToChar, intervalToChar, timestampToChar } from '../to-char.ts';
import { toDate, toTimestamp } from '../to-timestamp.ts';
import { localTime, utcTime } from '../time-zone.ts';
import type { Interval } from '../interval.ts';
import { midnight, timestampOfUnix } from './dates.ts';
import { define } from './definition.ts';
import type { ArgType, FunctionDefinition } from './definition.ts';

/** Functions over dates, times and intervals. */

function failing(
  name: string,
  args: readonly ArgType[],
  result: ArgType,
  implementation: Parameters<typeof define>[3],
): FunctionDefinition {
  return define(name, args, result, implementation, { mayFail: true });
}

const fields: readonly FunctionDefinition[] = [
  failing('date_trunc', ['text', 'timestamp'], 'timestamp', truncateTimestamp),
  failing('date_trunc', ['text', 'timestamptz'], 'timestamptz', truncateTimestamptz),
  failing('date_trunc', ['text', 'timestamptz', 'text'], 'timestamptz', truncateInZone),
  failing('date_trunc', ['text', 'interval'], 'interval', truncateInterval),
  failing('date_bin', ['interval', 'timestamp', 'timestamp'], 'timestamp', binTimestamp),
  failing('date_bin', ['interval', 'timestamptz', 'timestamptz'], 'timestamptz', binTimestamp),
  failing('extract', ['text', 'date'], 'numeric', extractDate),
  failing('extract', ['text', 'time'], 'numeric', extractTime),
  failing('extract', ['text', 'timestamp'], 'numeric', extractTimestamp),
  failing('extract', ['text', 'timestamptz'], 'numeric', extractTimestamptz),
  failing('extract', ['text', 'interval'], 'numeric', extractInterval),
  failing('date_part', ['text', 'date'], 'float8', (field: string, days: Days) =>
    partOfTimestamp(field, midnight(days)),
  ),
  failing('date_part', ['text', 'time'], 'float8', partOfTime),
  failing('date_part', ['text', 'timestamp'], 'float8', partOfTimestamp),
  failing('date_part', ['text', 'timestamptz'], 'float8', partOfTimestamptz),
  failing('date_part', ['text', 'interval'], 'float8', partOfInterval),
];

const zones: readonly FunctionDefinition[] = [
  failing('timezone', ['text', 'timestamp'], 'timestamptz', (zone: string, local: Micros) =>
    checked(utcTime(zone, local)),
  ),
  failing('timezone', ['text', 'timestamptz'], 'timestamp', (zone: string, utc: Micros) =>
    checked(localTime(zone, utc)),
  ),
  failing('timezone', ['interval', 'timestamp'], 'timestamptz', (zone: Interval, local: Micros) =>
    shift(local, zone, -1),
  ),
  failing('timezone', ['interval', 'timestamptz'], 'timestamp', (zone: Interval, utc: Micros) => shift(utc, zone, 1)),
];

function checked(micros: Micros): Micros {
  return checkTimestamp(micros);
}

function shift(micros: Micros, zone: Interval, sign: 1 | -1): Micros {
  if (micros === Infinity || micros === -Infinity) return micros;
  if (!isFiniteInterval(zone)) throw new RowError('22023', 'interval time zone must be finite');
  if (zone.months !== 0 || zone.days !== 0) {
    throw new RowError('22023', 'interval time zone must not include months or days');
  }
  const seconds = Number(BigInt(zone.micros) / BigInt(microsPerSecond));
  return checkTimestamp(addMicros(micros, sign * seconds * microsPerSecond));
}

const makers: readonly FunctionDefinition[] = [
  failing('make_date', ['int4', 'int4', 'int4'], 'date', makeDate),
  failing('make_time', ['int4', 'int4', 'float8'], 'time', makeTime),
  failing('make_timestamp', ['int4', 'int4', 'int4', 'int4', 'int4', 'float8'], 'timestamp', makeTimestamp),
  failing('make_timestamptz', ['int4', 'int4', 'int4', 'int4', 'int4', 'float8'], 'timestamptz', makeTimestamp),
  failing(
    'make_timestamptz',
    ['int4', 'int4', 'int4', 'int4', 'int4', 'float8', 'text'],
    'timestamptz',
    (year: number, month: number, day: number, hour: number, minute: number, second: number, zone: string) =>
      checked(utcTime(zone, makeTimestamp(year, month, day, hour, minute, second))),
  ),
  ...[0, 1, 2, 3, 4, 5, 6].map((count) =>
    failing(
      'make_interval',
      Array.from({ length: count }, (): ArgType => 'int4'),
      'interval',
      (...parts: number[]) => makeInterval(parts),
    ),
  ),
  failing(
    'make_interval',
    ['int4', 'int4', 'int4', 'int4', 'int4', 'int4', 'float8'],
    'interval',
    (...parts: number[]) => makeInterval(parts),
  ),
];

function makeDate(year: number, month: number, day: number): Days {
  const fieldError = new RowError(
    '22008',
    `date field value out of range: ${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`,
  );
  if (year === 0 || month < 1 || month > 12 || day < 1) throw fieldError;
  const astronomical = year < 0 ? year + 1 : year;
  if (day > daysInMonth(astronomical, month)) throw fieldError;
  if (astronomical < -4713 || astronomical > 5_874_897) {
    throw new RowError(
      '22008',
      `date out of range: ${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`,
    );
  }
  return daysOf(astronomical, month, day);
}

function makeTime(hour: number, minute: number, second: number): number {
  const micros = roundEven(second * 1e6);
  const time = (hour * 60 + minute) * 60_000_000 + micros;
  if (
    hour < 0 ||
    minute < 0 ||
    minute > 59 ||
    Number.isNaN(second) ||
    second < 0 ||
    micros > 60_000_000 ||
    time > microsPerDay
  ) {
    throw new RowError(
      '22008',
      `time field value out of range: ${hour}:${String(minute).padStart(2, '0')}:${String(second).padStart(2, '0')}`,
    );
  }
  return time;
}

function makeTimestamp(year: number, month: number, day: number, hour: number, minute: number, second: number): Micros {
  return checkTimestamp(joinDays(makeDate(year, month, day), makeTime(hour, minute, second)));
}

/** years, months, weeks, days, hours, mins, secs; what is left out is 0. */
function makeInterval(parts: readonly number[]): Interval {
  const [years = 0, months = 0, weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = parts;
  if (!Number.isFinite(seconds)) throw outOfRange();
  const micros = (BigInt(hours) * 60n + BigInt(minutes)) * 60_000_000n + BigInt(Math.round(seconds * 1e6));
  return newInterval(years * 12 + months, weeks * 7 + days, microsOf(micros));
}

const others: readonly FunctionDefinition[] = [
  failing('age', ['timestamp', 'timestamp'], 'interval', ageBetween),
  failing('age', ['timestamptz', 'timestamptz'], 'interval', ageBetween),
  failing('justify_hours', ['interval'], 'interval', justifyHours),
  failing('justify_days', ['interval'], 'interval', justifyDays),
  failing('justify_interval', ['interval'], 'interval', justifyInterval),
  define('isfinite', ['date'], 'bool', (days: Days) => Number.isFinite(days)),
  define('isfinite', ['timestamp'], 'bool', isFiniteTimestamp),
  define('isfinite', ['timestamptz'], 'bool', isFiniteTimestamp),
  define('isfinite', ['interval'], 'bool', isFiniteInterval),
  failing('to_timestamp', ['float8'], 'timestamptz', timestampOfUnix),
  failing('to_timestamp', ['text', 'text'], 'timestamptz', toTimestamp),
  failing('to_date', ['text', 'text'], 'date', toDate),
  failing('to_char', ['timestamp', 'text'], 'text', timestampToChar),
  failing('to_char', ['timestamptz', 'text'], 'text', timestamptzToChar),
  failing('to_char', ['interval', 'text'], 'text', intervalToChar),
];

function isFiniteTimestamp(micros: Micros): boolean {
  return micros !== Infinity && micros !== -Infinity;
}

export const dateFunctions: readonly FunctionDefinition[] = [...fields, ...zones, ...makers, ...others];
