import { RowError } from '../expression.ts';
import { checkDate, checkTimestamp, dayOf, joinDays, microsOf, microsPerDay, timeOf } from '../calendar.ts';
import type { Days, Micros } from '../calendar.ts';
import {
  addIntervals,
  addToTimestamp,
  compareIntervals,
  divideInterval,
  Interval,
  isFiniteInterval,
  multiplyInterval,
  negateInterval,
  fitInterval,
  roundEven,
  roundMicros,
  subtractIntervals,
  timestampDifference,
} from '../interval.ts';
import { define, defineCast, defineInline } from './definition.ts';
import type { ArgType, CastDefinition, FunctionDefinition, TypmodDefinition } from './definition.ts';

/** Operators and casts of dates, times and intervals. TimeZone is UTC, so that timestamptz and timestamp hold the same count. */

type Comparison = readonly [sql: string, js: string];
const comparisons: readonly Comparison[] = [
  ['=', '==='],
  ['<>', '!=='],
  ['<', '<'],
  ['<=', '<='],
  ['>', '>'],
  ['>=', '>='],
];

/** Their native forms are numbers, or bigints where numbers cannot be exact: JavaScript's own comparisons hold. */
function compared(type: 'date' | 'time' | 'timestamp' | 'timestamptz'): FunctionDefinition[] {
  return comparisons.map(([sql, js]) =>
    defineInline(sql, [type, type], 'bool', (a, b) => `${a} ${js} ${b}`, { isEquality: sql === '=' }),
  );
}

const intervalComparisons: readonly FunctionDefinition[] = [
  define('=', ['interval', 'interval'], 'bool', (a: Interval, b: Interval) => compareIntervals(a, b) === 0, {
    isEquality: true,
  }),
  define('<>', ['interval', 'interval'], 'bool', (a: Interval, b: Interval) => compareIntervals(a, b) !== 0),
  define('<', ['interval', 'interval'], 'bool', (a: Interval, b: Interval) => compareIntervals(a, b) < 0),
  define('<=', ['interval', 'interval'], 'bool', (a: Interval, b: Interval) => compareIntervals(a, b) <= 0),
  define('>', ['interval', 'interval'], 'bool', (a: Interval, b: Interval) => compareIntervals(a, b) > 0),
  define('>=', ['interval', 'interval'], 'bool', (a: Interval, b: Interval) => compareIntervals(a, b) >= 0),
];

function failing(
  name: string,
  args: readonly ArgType[],
  result: ArgType,
  implementation: Parameters<typeof define>[3],
): FunctionDefinition {
  return define(name, args, result, implementation, { mayFail: true });
}

function shifts(type: 'timestamp' | 'timestamptz'): FunctionDefinition[] {
  return [
    failing('+', [type, 'interval'], type, addToTimestamp),
    failing('+', ['interval', type], type, (by: Interval, micros: Micros) => addToTimestamp(micros, by)),
    failing('-', [type, 'interval'], type, subtractFromTimestamp),
    failing('-', [type, type], 'interval', timestampDifference),
  ];
}

export const dateOperators: readonly FunctionDefinition[] = [
  ...compared('date'),
  ...compared('time'),
  ...compared('timestamp'),
  ...compared('timestamptz'),
  ...intervalComparisons,
  ...shifts('timestamp'),
  ...shifts('timestamptz'),
  failing('+', ['date', 'int4'], 'date', (days: Days, by: number) => checkDate(days + by)),
  failing('+', ['int4', 'date'], 'date', (by: number, days: Days) => checkDate(days + by)),
  failing('-', ['date', 'int4'], 'date', (days: Days, by: number) => checkDate(days - by)),
  failing('-', ['date', 'date'], 'int4', subtractDates),
  failing('+', ['date', 'interval'], 'timestamp', (days: Days, by: Interval) => addToTimestamp(midnight(days), by)),
  failing('+', ['interval', 'date'], 'timestamp', (by: Interval, days: Days) => addToTimestamp(midnight(days), by)),
  failing('-', ['date', 'interval'], 'timestamp', (days: Days, by: Interval) =>
    addToTimestamp(midnight(days), negateInterval(by)),
  ),
  failing('+', ['date', 'time'], 'timestamp', dateAndTime),
  failing('+', ['time', 'date'], 'timestamp', (time: number, days: Days) => dateAndTime(days, time)),
  failing('+', ['time', 'interval'], 'time', (time: number, by: Interval) => moveTime(time, by, 1)),
  failing('+', ['interval', 'time'], 'time', (by: Interval, time: number) => moveTime(time, by, 1)),
  failing('-', ['time', 'interval'], 'time', (time: number, by: Interval) => moveTime(time, by, -1)),
  define('-', ['time', 'time'], 'interval', (a: number, b: number) => new Interval(0, 0, a - b)),
  failing('+', ['interval', 'interval'], 'interval', addIntervals),
  failing('-', ['interval', 'interval'], 'interval', subtractIntervals),
  failing('-', ['interval'], 'interval', negateInterval),
  failing('*', ['interval', 'float8'], 'interval', multiplyInterval),
  failing('*', ['float8', 'interval'], 'interval', (factor: number, value: Interval) =>
    multiplyInterval(value, factor),
  ),
  failing('/', ['interval', 'float8'], 'interval', divideInterval),
];

function subtractDates(a: Days, b: Days): number {
  if (!Number.isFinite(a) || !Number.isFinite(b)) throw new RowError('22008', 'cannot subtract infinite dates');
  const difference = a - b;
  if (difference > 2_147_483_647 || difference < -2_147_483_648) {
    throw new RowError('22003', 'integer out of range');
  }
  return difference;
}

function subtractFromTimestamp(micros: Micros, by: Interval): Micros {
  return addToTimestamp(micros, negateInterval(by));
}

/** date → timestamp; the range of dates is the larger one. */
export function midnight(days: Days): Micros {
  if (!Number.isFinite(days)) return days;
  return inTimestampRange(joinDays(days, 0));
}

function inTimestampRange(micros: Micros): Micros {
  try {
    return checkTimestamp(micros);
  } catch {
    throw new RowError('22008', 'date out of range for timestamp');
  }
}

function dateAndTime(days: Days, time: number): Micros {
  if (!Number.isFinite(days)) return days;
  inTimestampRange(joinDays(days, 0));
  return checkTimestamp(joinDays(days, time));
}

/** Around the clock; months and days do not count. */
function moveTime(time: number, by: Interval, sign: 1 | -1): number {
  if (!isFiniteInterval(by)) {
    throw new RowError(
      '22008',
      sign > 0 ? 'cannot add infinite interval to time' : 'cannot subtract infinite interval from time',
    );
  }
  const moved = (time + sign * remainder(by.micros)) % microsPerDay;
  return moved < 0 ? moved + microsPerDay : moved + 0;
}

function remainder(micros: Micros): number {
  return typeof micros === 'number' ? micros % microsPerDay : Number(micros % BigInt(microsPerDay));
}

function dateOfTimestamp(micros: Micros): Days {
  return micros === Infinity || micros === -Infinity ? micros : dayOf(micros);
}

function timeOfTimestamp(micros: Micros): number | null {
  return micros === Infinity || micros === -Infinity ? null : timeOf(micros, dayOf(micros));
}

function timeOfInterval(value: Interval): number {
  if (!isFiniteInterval(value)) throw new RowError('22008', 'cannot convert infinite interval to time');
  const time = remainder(value.micros);
  return time < 0 ? time + microsPerDay : time + 0;
}

/** TimeZone is UTC: only the text differs. */
function sameMoment(micros: Micros): Micros {
  return micros;
}

export const dateCasts: readonly CastDefinition[] = [
  defineCast('date', 'timestamp', 'implicit', midnight, { mayFail: true }),
  defineCast('date', 'timestamptz', 'implicit', midnight, { mayFail: true }),
  defineCast('timestamp', 'timestamptz', 'implicit', sameMoment),
  defineCast('timestamptz', 'timestamp', 'assignment', sameMoment),
  defineCast('timestamp', 'date', 'assignment', dateOfTimestamp),
  defineCast('timestamptz', 'date', 'assignment', dateOfTimestamp),
  defineCast('timestamp', 'time', 'assignment', timeOfTimestamp),
  defineCast('timestamptz', 'time', 'assignment', timeOfTimestamp),
  defineCast('time', 'interval', 'implicit', (time: number) => new Interval(0, 0, time)),
  defineCast('interval', 'time', 'assignment', timeOfInterval, { mayFail: true }),
];

export const dateTypmods: readonly TypmodDefinition[] = [
  { type: 'timestamp', mayFail: false, apply: roundMicros },
  { type: 'timestamptz', mayFail: false, apply: roundMicros },
  { type: 'time', mayFail: false, apply: (time: number, p: number) => roundMicros(time, p) },
  { type: 'interval', mayFail: true, apply: fitInterval },
];

/** to_timestamp(double precision): seconds since 1970. */
export function timestampOfUnix(seconds: number): Micros {
  if (Number.isNaN(seconds)) throw new RowError('22008', 'timestamp cannot be NaN');
  if (!Number.isFinite(seconds)) return seconds;
  const micros = roundEven((seconds - 946_684_800) * 1_000_000);
  if (Math.abs(micros) > 9.3e18) throw new RowError('22008', `timestamp out of range: "${seconds}"`);
  return checkTimestamp(Number.isSafeInteger(micros) ? micros : microsOf(BigInt(micros)));
}
