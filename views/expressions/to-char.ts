import {
  civilOf,
  dayOf,
  dayOfWeek,
  daysOf,
  isoWeekOf,
  isoWeekStart,
  julianOfEpoch,
  newCivil,
  timeOf,
} from './calendar.ts';
import type { Micros } from './calendar.ts';
import { dayNames, monthNames, parseFormat } from './date-format.ts';
import type { FormatNode } from './date-format.ts';
import { RowError } from './expression.ts';
import type { Interval } from './interval.ts';
import { isFiniteInterval } from './interval.ts';

/** to_char of timestamps and intervals. NULL for infinite values and the empty pattern. */

interface Fields {
  readonly kind: 'timestamp' | 'timestamptz' | 'interval';
  readonly days: number;
  /** Astronomical; an interval's count. */
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly fraction: number;
}

export function timestampToChar(micros: Micros, format: string): string | null {
  return timestampFields(micros, format, 'timestamp');
}

export function timestamptzToChar(micros: Micros, format: string): string | null {
  return timestampFields(micros, format, 'timestamptz');
}

function timestampFields(micros: Micros, format: string, kind: 'timestamp' | 'timestamptz'): string | null {
  if (format === '' || micros === Infinity || micros === -Infinity) return null;
  const days = dayOf(micros);
  const time = timeOf(micros, days);
  const { year, month, day } = civilOf(days, newCivil());
  return render({ kind, days, year, month, day, ...clock(time) }, format);
}

export function intervalToChar(value: Interval, format: string): string | null {
  if (format === '' || !isFiniteInterval(value)) return null;
  const { months, days, micros } = value;
  const hour = Number(BigInt(micros) / 3_600_000_000n);
  const rest = clock(Number(BigInt(micros) % 3_600_000_000n));
  const year = Math.trunc(months / 12) + 0;
  return render({ kind: 'interval', days: 0, year, month: (months % 12) + 0, day: days, ...rest, hour }, format);
}

function clock(time: number): Pick<Fields, 'hour' | 'minute' | 'second' | 'fraction'> {
  return {
    hour: Math.trunc(time / 3_600_000_000) + 0,
    minute: (Math.trunc(time / 60_000_000) % 60) + 0,
    second: (Math.trunc(time / 1_000_000) % 60) + 0,
    fraction: (time % 1_000_000) + 0,
  };
}

function render(fields: Fields, format: string): string {
  let text = '';
  for (const node of parseFormat(format)) text += node.kind === 'field' ? field(node, fields) : node.text;
  return text;
}

type Field = Extract<FormatNode, { kind: 'field' }>;

function field(node: Field, of: Fields): string {
  const key = node.name;
  const number = numberField(key, node.fill, of);
  if (number !== null) return number + ordinalOf(number, node.ordinal);
  return wordField(node.key, key, node.fill, of);
}

/** C's %0*d; the sign counts. `width` 0 with FM. */
function padded(value: number, width: number, fill: boolean): string {
  if (fill) return String(value);
  return value < 0 ? `-${String(-value).padStart(width, '0')}` : String(value).padStart(width, '0');
}

function numberField(key: string, fill: boolean, of: Fields): string | null {
  switch (key) {
    case 'HH':
    case 'HH12':
      return padded(of.hour % 12 === 0 ? 12 : of.hour % 12, 2, fill);
    case 'HH24':
      return padded(of.hour, 2, fill);
    case 'MI':
      return padded(of.minute, 2, fill);
    case 'SS':
      return padded(of.second, 2, fill);
    case 'MS':
      return cPadded(Math.trunc(of.fraction / 1000), 3);
    case 'US':
      return cPadded(of.fraction, 6);
    case 'SSSS':
    case 'SSSSS':
      return String((of.hour * 60 + of.minute) * 60 + of.second);
    case 'MM':
      return padded(of.month, 2, fill);
    case 'DD':
      return fill ? String(of.day) : cPadded(of.day, 2);
    case 'W':
      return String(Math.trunc((of.day - 1) / 7) + 1);
    default:
      if (key.startsWith('FF')) {
        const digits = Number(key.charAt(2));
        return cPadded(Math.trunc(of.fraction / 10 ** (6 - digits)), digits);
      }
      return yearField(key, fill, of) ?? dayField(key, fill, of);
  }
}

/** %0nd, whose width includes the sign. */
function cPadded(value: number, width: number): string {
  return value < 0 ? `-${String(-value).padStart(width - 1, '0')}` : String(value).padStart(width, '0');
}

/** As it is counted: 1 BC is 1. */
function printed(year: number, of: Fields): number {
  return of.kind !== 'interval' && year <= 0 ? 1 - year : year;
}

function yearField(key: string, fill: boolean, of: Fields): string | null {
  const isIso = key.charCodeAt(0) === 0x49 && /^IY{0,3}$/.test(key);
  const year = printed(isIso ? isoYear(of) : of.year, of);
  switch (key) {
    case 'Y,YYY': {
      const thousands = Math.trunc(year / 1000);
      return `${thousands},${cPadded(year - thousands * 1000, 3)}`;
    }
    case 'YYYY':
    case 'IYYY':
      return padded(year, 4, fill);
    case 'YYY':
    case 'IYY':
      return padded(year % 1000, 3, fill);
    case 'YY':
    case 'IY':
      return padded(year % 100, 2, fill);
    case 'Y':
    case 'I':
      return String(year % 10);
    case 'CC': {
      const century =
        of.kind === 'interval'
          ? Math.trunc(of.year / 100)
          : of.year > 0
            ? Math.floor((of.year - 1) / 100) + 1
            : Math.trunc(of.year / 100) - 1;
      return century <= 99 && century >= -99 ? padded(century, 2, fill) : String(century);
    }
    default:
      return null;
  }
}

/** An interval has no day in the calendar; what PostgreSQL prints of one is that of its fields taken as a date. */
function calendarDays(of: Fields): number {
  return of.kind === 'interval' ? daysOf(of.year, 1, 1) : of.days;
}

function isoYear(of: Fields): number {
  return isoWeekOf(calendarDays(of)).year;
}

function dayField(key: string, fill: boolean, of: Fields): string | null {
  switch (key) {
    case 'DDD':
      return fill ? String(dayNumber(of)) : cPadded(dayNumber(of), 3);
    case 'IDDD':
      refuseInterval(of);
      return padded(of.days - isoWeekStart(isoYear(of), 1) + 1, 3, fill);
    case 'D':
      refuseInterval(of);
      return String(dayOfWeek(of.days) + 1);
    case 'ID':
      refuseInterval(of);
      return String(dayOfWeek(of.days) || 7);
    case 'WW':
      return week(Math.trunc((dayNumber(of) - 1) / 7) + 1, fill);
    case 'IW':
      refuseInterval(of);
      return padded(isoWeekOf(of.days).week, 2, fill);
    case 'Q':
      return of.month === 0 ? '' : String(Math.trunc((of.month - 1) / 3) + 1);
    case 'J':
      refuseInterval(of);
      return String(of.days + julianOfEpoch);
    default:
      return null;
  }
}

function week(value: number, fill: boolean): string {
  return fill ? String(value) : cPadded(value, 2);
}

/** tm_yday; of an interval all its days, in 32 bits. */
function dayNumber(of: Fields): number {
  if (of.kind === 'interval') return ((of.year * 12 + of.month) * 30 + of.day) | 0;
  return of.days - daysOf(of.year, 1, 1) + 1;
}

const romanMonths = ['I', 'II', 'III', 'IV', 'V', 'VI', 'VII', 'VIII', 'IX', 'X', 'XI', 'XII'];

function wordField(written: string, key: string, fill: boolean, of: Fields): string {
  switch (key) {
    case 'AM':
    case 'PM':
      return cased(of.hour % 24 >= 12 ? 'PM' : 'AM', written);
    case 'A.M.':
    case 'P.M.':
      return cased(of.hour % 24 >= 12 ? 'P.M.' : 'A.M.', written);
    case 'AD':
    case 'BC':
      refuseInterval(of);
      return cased(of.year <= 0 ? 'BC' : 'AD', written);
    case 'A.D.':
    case 'B.C.':
      refuseInterval(of);
      return cased(of.year <= 0 ? 'B.C.' : 'A.D.', written);
    case 'MONTH':
    case 'MON': {
      refuseInterval(of);
      const name = cased(monthNames[of.month - 1] ?? '', written);
      return key === 'MON' ? name.slice(0, 3) : fill ? name : name.padEnd(9);
    }
    case 'DAY':
    case 'DY': {
      refuseInterval(of);
      const name = cased(dayNames[dayOfWeek(of.days)] ?? '', written);
      return key === 'DY' ? name.slice(0, 3) : fill ? name : name.padEnd(9);
    }
    case 'RM': {
      if (of.month === 0 && of.year === 0) return '';
      const index = of.month === 0 ? (of.year >= 0 ? 11 : 0) : of.month < 0 ? 12 + of.month : of.month - 1;
      const name = cased(romanMonths[index] ?? '', written);
      return fill ? name : name.padEnd(4);
    }
    case 'TZ':
      refuseInterval(of);
      return of.kind === 'timestamptz' ? cased('UTC', written) : '';
    case 'TZH':
    case 'OF':
      refuseInterval(of);
      return fill && key === 'OF' ? '+0' : '+00';
    case 'TZM':
      refuseInterval(of);
      return '00';
    default:
      return '';
  }
}

/** In the case of the pattern: `MONTH`, `Month`, `month`. */
function cased(word: string, written: string): string {
  if (written === written.toUpperCase()) return word.toUpperCase();
  return written === written.toLowerCase() ? word.toLowerCase() : word;
}

function refuseInterval(of: Fields): void {
  if (of.kind === 'interval') throw new RowError('22007', 'invalid format specification for an interval value');
}

function ordinalOf(number: string, form: 'TH' | 'th' | null): string {
  if (form === null || number === '') return '';
  const last = number.at(-1);
  const isTeen = number.length > 1 && number.at(-2) === '1';
  const suffix = isTeen ? 'th' : last === '1' ? 'st' : last === '2' ? 'nd' : last === '3' ? 'rd' : 'th';
  return form === 'TH' ? suffix.toUpperCase() : suffix;
}
