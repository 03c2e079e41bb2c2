import { RowError } from './expression.ts';
import { addMicros, microsOf, microsPerDay, microsPerHour, microsPerMinute, microsPerSecond } from './calendar.ts';
import type { Micros } from './calendar.ts';
import {
  allIntervalFields,
  infiniteInterval,
  intervalFields,
  isFiniteInterval,
  minusInfiniteInterval,
  newInterval,
  roundEven,
} from './interval.ts';
import type { Interval } from './interval.ts';
import { fractionText } from './timestamp-text.ts';

/** Intervals as PostgreSQL prints (IntervalStyle postgres) and reads them: `1 year 2 mons -3 days +04:05:06.789`. */

export function writeInterval(value: Interval): string {
  if (!isFiniteInterval(value)) return value.months > 0 ? 'infinity' : '-infinity';
  const { months, days, micros } = value;
  const years = Math.trunc(months / 12);
  let text = '';
  // A positive field after a negative one is given its sign, so that it does not seem to share the other's.
  let negative = false;
  if (years !== 0) {
    text = part(text, negative, years, 'year');
    negative = years < 0;
  }
  const rest = months - years * 12;
  if (rest !== 0) {
    text = part(text, negative, rest, 'mon');
    negative = rest < 0;
  }
  if (days !== 0) {
    text = part(text, negative, days, 'day');
    negative = days < 0;
  }
  if (micros === 0 && text !== '') return text;
  const sign = micros < 0 ? '-' : negative ? '+' : '';
  return `${text}${text === '' ? '' : ' '}${sign}${timeText(micros)}`;
}

function part(before: string, negative: boolean, value: number, unit: string): string {
  return `${before}${before === '' ? '' : ' '}${negative && value > 0 ? '+' : ''}${value} ${unit}${value === 1 ? '' : 's'}`;
}

/** `hh:mm:ss[.f]` of the size; hours may have more than two digits. */
function timeText(micros: Micros): string {
  const size = BigInt(micros) < 0n ? -BigInt(micros) : BigInt(micros);
  const seconds = Number(size / 1_000_000n);
  const fraction = Number(size % 1_000_000n);
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const text = `${two(hours)}:${two(minutes)}:${two(seconds % 60)}`;
  return fraction === 0 ? text : text + fractionText(fraction);
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/**
 * Any text that PostgreSQL takes for an interval in its usual styles. RowError 22007 and 22008 in its words. `fields` are those of its
 * type (`interval '90' day`): the last of them is the unit of a number without one.
 */
export function parseInterval(text: string, fields: number = allIntervalFields): Interval {
  const word = text.trim().toLowerCase();
  if (word === 'infinity' || word === '+infinity') return infiniteInterval;
  if (word === '-infinity') return minusInfiniteInterval;
  const parts = new Parts(text);
  if (/^[+-]?p/.test(word)) return parseIso(word, parts);
  const tokens = tokensOf(word);
  if (tokens === null || tokens.length === 0) throw parts.invalid();
  const ago = tokens.at(-1) === 'ago';
  if (ago) tokens.pop();
  if (tokens.length === 0) throw parts.invalid();
  addTokens(tokens, parts, fields);
  const value = parts.interval();
  return ago ? newInterval(-value.months, -value.days, -value.micros) : value;
}

const tokenForm =
  /^(?:@|,|([+-]?\d+-\d+)(?![\d.])|([+-]?\d+:\d+(?::\d+)?(?:\.\d*)?)|([+-]?(?:\d+\.?\d*|\.\d+))|([a-zµ]+))/;

function tokensOf(text: string): string[] | null {
  const tokens: string[] = [];
  let rest = text.trimStart();
  while (rest !== '') {
    const match = tokenForm.exec(rest);
    if (match === null) return null;
    if (match[0] !== '@' && match[0] !== ',') tokens.push(match[0]);
    rest = rest.slice(match[0].length).trimStart();
  }
  return tokens;
}

function addTokens(tokens: readonly string[], parts: Parts, fields: number): void {
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index] as string;
    const next = tokens[index + 1];
    if (/^[a-zµ]/.test(token)) throw parts.invalid();
    if (token.includes(':')) {
      parts.addTime(token, fields === (intervalFields.minute | intervalFields.second));
    } else if (/\d-\d/.test(token)) {
      const [, sign, years, months] = /^([+-]?)(\d+)-(\d+)$/.exec(token) ?? [];
      if (Number(months) > 11) throw parts.outOfRange();
      const count = Number(years) * 12 + Number(months);
      parts.months += sign === '-' ? -count : count;
    } else if (next !== undefined && /^[a-zµ]/.test(next)) {
      parts.addUnit(token, next);
      index++;
    } else if (next !== undefined && next.includes(':')) {
      parts.addUnit(token, 'day');
    } else if (next === undefined) {
      parts.addUnit(token, lastOf(fields));
    } else {
      throw parts.invalid();
    }
  }
}

/** The smallest of the fields. */
function lastOf(fields: number): string {
  if (fields === allIntervalFields || fields >= intervalFields.second) return 'second';
  if (fields >= intervalFields.minute) return 'minute';
  if (fields >= intervalFields.hour) return 'hour';
  if (fields >= intervalFields.day) return 'day';
  return fields === intervalFields.year ? 'year' : 'month';
}

/** ISO 8601: `P1Y2M3DT4H5M6S`, `P1W`. */
function parseIso(word: string, parts: Parts): Interval {
  const match = /^p((?:[+-]?[\d.]+[ymwd])*)(?:t((?:[+-]?[\d.]+[hms])*))?$/.exec(word);
  if (match === null || word.length < 3) throw parts.invalid();
  for (const [, value = '', unit = ''] of (match[1] ?? '').matchAll(/([+-]?[\d.]+)([ymwd])/g)) {
    parts.addUnit(value, unit === 'm' ? 'mon' : unit);
  }
  for (const [, value = '', unit = ''] of (match[2] ?? '').matchAll(/([+-]?[\d.]+)([hms])/g))
    parts.addUnit(value, unit);
  return parts.interval();
}

/** Units of time in microseconds; the others are handled by name. */
const timeUnits = new Map<string, number>([
  ...names(microsPerHour, 'h', 'hr', 'hrs', 'hour', 'hours'),
  ...names(microsPerMinute, 'm', 'min', 'mins', 'minute', 'minutes'),
  ...names(microsPerSecond, 's', 'sec', 'secs', 'second', 'seconds'),
  ...names(1000, 'ms', 'msec', 'msecs', 'msecond', 'mseconds', 'millisecond', 'milliseconds', 'millisecon'),
  ...names(1, 'us', 'usec', 'usecs', 'usecond', 'useconds', 'microsecond', 'microseconds', 'microsecon', 'µs'),
]);
const dayUnits = new Map<string, number>([...names(1, 'd', 'day', 'days'), ...names(7, 'w', 'week', 'weeks')]);
const monthUnits = new Map<string, number>([
  ...names(1, 'mon', 'mons', 'month', 'months'),
  ...names(12, 'y', 'yr', 'yrs', 'year', 'years'),
  ...names(120, 'dec', 'decade', 'decades', 'decs'),
  ...names(1200, 'c', 'cent', 'century', 'centuries'),
  ...names(12_000, 'mil', 'mils', 'millennium', 'millennia'),
]);

function names(size: number, ...all: readonly string[]): [string, number][] {
  return all.map((name) => [name, size]);
}

class Parts {
  readonly #text: string;
  months = 0;
  days = 0;
  micros: Micros = 0;

  constructor(text: string) {
    this.#text = text;
  }

  interval(): Interval {
    if (!Number.isFinite(this.months) || !Number.isFinite(this.days)) throw this.outOfRange();
    try {
      return newInterval(this.months, this.days, this.micros);
    } catch {
      throw this.outOfRange();
    }
  }

  addUnit(number: string, unit: string): void {
    const value = Number(number);
    const whole = Math.trunc(value);
    const fraction = value - whole;
    const micros = timeUnits.get(unit);
    if (micros !== undefined) {
      this.micros = addMicros(this.micros, microsOf(BigInt(whole) * BigInt(micros)));
      this.#addFraction(fraction, micros);
      return;
    }
    const days = dayUnits.get(unit);
    if (days !== undefined) {
      this.days += whole * days;
      this.#addFractionDays(fraction, days);
      return;
    }
    const months = monthUnits.get(unit);
    if (months === undefined) throw this.invalid();
    this.months += whole * months;
    if (months === 1) this.#addFractionDays(fraction, 30);
    else this.months += roundEven(fraction * months);
  }

  addTime(token: string, isMinutes: boolean): void {
    const match = /^([+-]?)(\d+):(\d+)(?::(\d+))?(?:\.(\d*))?$/.exec(token);
    if (match === null) throw this.invalid();
    const [, sign, first = '', second = '', third, fraction = ''] = match;
    // `1:02.5` is minutes and seconds, `1:02` hours and minutes.
    const shifted = third === undefined && (isMinutes || token.includes('.'));
    const hours = shifted ? 0 : Number(first);
    const minutes = Number(shifted ? first : second);
    const seconds = Number(shifted ? second : (third ?? 0));
    if (minutes > 59 || seconds > 60) throw this.outOfRange();
    const micros =
      BigInt(hours) * BigInt(microsPerHour) +
      BigInt(minutes * microsPerMinute + seconds * microsPerSecond + Math.round(Number(`0.${fraction}0`) * 1e6));
    this.micros = addMicros(this.micros, microsOf(sign === '-' ? -micros : micros));
  }

  invalid(): RowError {
    return new RowError('22007', `invalid input syntax for type interval: "${this.#text}"`);
  }

  outOfRange(): RowError {
    return new RowError('22015', `interval field value out of range: "${this.#text}"`);
  }

  #addFractionDays(fraction: number, scale: number): void {
    const days = fraction * scale;
    const whole = Math.trunc(days);
    this.days += whole;
    this.#addFraction(days - whole, microsPerDay);
  }

  #addFraction(fraction: number, scale: number): void {
    if (fraction === 0) return;
    const micros = fraction * scale;
    const whole = Math.trunc(micros);
    const rest = micros - whole;
    this.micros = addMicros(this.micros, whole + (rest > 0.5 ? 1 : rest < -0.5 ? -1 : 0));
  }
}
