import { checkTimestamp, civilOf, dayOf, daysOf, joinDays, newCivil, timeOf } from './calendar.ts';
import type { Days, Micros } from './calendar.ts';
import { parseDateTime } from './datetime-input.ts';

/**
 * The texts of dates and times as PostgreSQL prints them (DateStyle ISO, TimeZone UTC): `2026-01-31 12:00:00.5`, with `+00` for timestamptz,
 * ` BC` at the end, `infinity`. Reading is fast for these and leaves everything else to `parseDateTime`.
 */

const zero = 0x30;
const two: readonly string[] = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, '0'));
const civil = newCivil();

export function readDate(text: string): Days {
  if (text.length === 10 && text.charCodeAt(4) === 0x2d && text.charCodeAt(7) === 0x2d) return isoDays(text);
  if (text === 'infinity') return Infinity;
  if (text === '-infinity') return -Infinity;
  return parseDateTime(text, 'date').days;
}

export function readTimestamp(text: string): Micros {
  return text.charCodeAt(13) === 0x3a && text.charCodeAt(10) === 0x20 && text.charCodeAt(4) === 0x2d
    ? readIso(text, text.length, 'timestamp')
    : readSlowly(text, 'timestamp');
}

/** `…+00`, or whatever zone stands there. */
export function readTimestamptz(text: string): Micros {
  const end = text.length - 3;
  return text.charCodeAt(13) === 0x3a &&
    text.charCodeAt(10) === 0x20 &&
    text.charCodeAt(4) === 0x2d &&
    text.charCodeAt(end) === 0x2b &&
    text.charCodeAt(end + 1) === zero &&
    text.charCodeAt(end + 2) === zero
    ? readIso(text, end, 'timestamptz')
    : readSlowly(text, 'timestamptz');
}

/** Microseconds since midnight, up to those of 24:00:00. */
export function readTime(text: string): number {
  const time = isoTime(text, 0, text.length);
  return time < 0 ? readLongTime(text) : time;
}

/** MySQL's times go from -838:59:59 to 838:59:59. */
function readLongTime(text: string): number {
  const match = /^(-?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/.exec(text);
  if (match === null) return parseDateTime(text, 'time').time;
  const [, sign, hours, minutes, seconds, fraction = ''] = match;
  const size =
    ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1_000_000 + Number(fraction.padEnd(6, '0'));
  return sign === '-' ? -size : size;
}

function readIso(text: string, end: number, type: 'timestamp' | 'timestamptz'): Micros {
  const time = isoTime(text, 11, end);
  if (time < 0) return readSlowly(text, type);
  return joinDays(isoDays(text), time);
}

function readSlowly(text: string, type: 'timestamp' | 'timestamptz'): Micros {
  if (text === 'infinity') return Infinity;
  if (text === '-infinity') return -Infinity;
  const { days, time } = parseDateTime(text, type);
  return Number.isFinite(days) ? joinDays(days, time) : days;
}

/** Of `yyyy-mm-dd…`, whose digits are trusted: texts in rows were printed by a database. */
function isoDays(text: string): Days {
  const year =
    (text.charCodeAt(0) - zero) * 1000 +
    (text.charCodeAt(1) - zero) * 100 +
    (text.charCodeAt(2) - zero) * 10 +
    text.charCodeAt(3) -
    zero;
  return daysOf(year, pair(text, 5), pair(text, 8));
}

/** `hh:mm:ss[.ffffff]` in [at, end); −1 when it is written otherwise. */
function isoTime(text: string, at: number, end: number): number {
  const length = end - at;
  if (length < 8 || text.charCodeAt(at + 2) !== 0x3a || text.charCodeAt(at + 5) !== 0x3a) return -1;
  let micros = ((pair(text, at) * 60 + pair(text, at + 3)) * 60 + pair(text, at + 6)) * 1_000_000;
  if (length === 8) return micros;
  if (length > 15 || text.charCodeAt(at + 8) !== 0x2e) return -1;
  let unit = 100_000;
  for (let index = at + 9; index < end; index++) {
    const digit = text.charCodeAt(index) - zero;
    if (digit < 0 || digit > 9) return -1;
    micros += digit * unit;
    unit /= 10;
  }
  return micros;
}

function pair(text: string, at: number): number {
  return (text.charCodeAt(at) - zero) * 10 + text.charCodeAt(at + 1) - zero;
}

export function writeDate(days: Days): string {
  if (days === Infinity) return 'infinity';
  if (days === -Infinity) return '-infinity';
  civilOf(days, civil);
  const { year } = civil;
  return year > 0 ? dateText(year) : `${dateText(1 - year)} BC`;
}

export function writeTimestamp(micros: Micros): string {
  return write(micros, '');
}

export function writeTimestamptz(micros: Micros): string {
  return write(micros, '+00');
}

function write(micros: Micros, zone: string): string {
  if (micros === Infinity) return 'infinity';
  if (micros === -Infinity) return '-infinity';
  const days = dayOf(micros);
  const time = writeTime(timeOf(micros, days));
  const date = printedDate(days);
  return date.endsWith(' BC') ? `${date.slice(0, -3)} ${time}${zone} BC` : `${date} ${time}${zone}`;
}

/** Days whose texts were printed lately: timestamps crowd on few days. */
const recentDays = new Int32Array(256).fill(-2_147_483_648);
const recentTexts: string[] = Array.from({ length: 256 }, () => '');

function printedDate(days: Days): string {
  const at = days & 255;
  if (recentDays[at] === days) return recentTexts[at] as string;
  const text = writeDate(days);
  recentDays[at] = days;
  recentTexts[at] = text;
  return text;
}

/** The date in `civil`, with this year. */
function dateText(year: number): string {
  const digits = year > 999 ? String(year) : String(year).padStart(4, '0');
  return `${digits}-${two[civil.month] as string}-${two[civil.day] as string}`;
}

/** `hh:mm:ss`, and the fraction without trailing zeros. */
export function writeTime(micros: number): string {
  if (micros < 0) return `-${writeTime(-micros)}`;
  const seconds = Math.floor(micros / 1_000_000);
  const fraction = micros - seconds * 1_000_000;
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const text = `${two[hours] ?? hours}:${two[minutes - hours * 60] as string}:${two[seconds - minutes * 60] as string}`;
  return fraction === 0 ? text : text + fractionText(fraction);
}

/** `.5` for 500,000; `fraction` is above 0. */
export function fractionText(fraction: number): string {
  let digits = String(fraction + 1_000_000);
  let end = 7;
  while (digits.charCodeAt(end - 1) === zero) end--;
  digits = digits.slice(1, end);
  return `.${digits}`;
}

/** Any text that PostgreSQL takes for a date. */
export function parseDate(text: string): Days {
  return parseDateTime(text, 'date').days;
}

export function parseTimestamp(text: string): Micros {
  const { days, time } = parseDateTime(text, 'timestamp');
  return Number.isFinite(days) ? checkTimestamp(joinDays(days, time)) : days;
}

export function parseTimestamptz(text: string): Micros {
  const { days, time } = parseDateTime(text, 'timestamptz');
  return Number.isFinite(days) ? checkTimestamp(joinDays(days, time)) : days;
}

export function parseTime(text: string): number {
  return parseDateTime(text, 'time').time;
}
