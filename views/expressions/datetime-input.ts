import { RowError } from './expression.ts';
import {
  addMicros,
  dayOf,
  daysInMonth,
  daysOf,
  joinDays,
  julianOfEpoch,
  microsPerDay,
  microsPerSecond,
  timeOf,
  unixEpochDays,
} from './calendar.ts';
import type { Days } from './calendar.ts';
import { isZone, offsetOfLocal } from './time-zone.ts';

/**
 * Texts that people write for dates and times, in the forms that PostgreSQL takes under DateStyle ISO, MDY and TimeZone UTC. What is not
 * understood is an error, never a guess; words that depend on the clock (`now`, `today`) are refused.
 */

export type DateTimeType = 'date' | 'time' | 'timestamp' | 'timestamptz';

export interface DateTime {
  /** ±Infinity for the infinities. */
  days: Days;
  /** Microseconds since midnight, UTC for timestamptz. */
  time: number;
}

const typeNames: { readonly [Type in DateTimeType]: string } = {
  date: 'date',
  time: 'time',
  timestamp: 'timestamp',
  timestamptz: 'timestamp with time zone',
};

export function parseDateTime(text: string, type: DateTimeType): DateTime {
  const word = text.trim().toLowerCase();
  if (type !== 'time') {
    if (word === 'infinity' || word === '+infinity') return { days: Infinity, time: 0 };
    if (word === '-infinity') return { days: -Infinity, time: 0 };
    if (word === 'epoch') return { days: unixEpochDays, time: 0 };
  }
  const parser = new Parser(text, type);
  for (const token of parser.tokens()) parser.take(token);
  return parser.finish();
}

const tokenForm =
  /^(?:[,]|([+-]\d{1,2}(?::?\d{2}){0,2}(?![\d.]))|(\d+:\d+(?::\d+(?:[.,]\d*)?)?)|(\d+[-/.](?:\d+|[a-z]{3,})[-/.]\d+|[a-z]{3,}-\d+-\d+|\d+-[a-z]{3,}-\d+)|(j\d+(?![\d.]))|(\d+(?:\.\d*)?)|([a-z][a-z_]*(?:\/[a-z0-9_+-]+)*)\.?)/;

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const monthNames = new Map<string, number>();
for (const [index, name] of [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
].entries()) {
  monthNames.set(name, index + 1);
  monthNames.set(months[index] as string, index + 1);
}
monthNames.set('sept', 9);

const weekdays = new Set(
  'sunday sun monday mon tuesday tue tues wednesday wed weds thursday thu thur thurs friday fri saturday sat'.split(
    ' ',
  ),
);

type Token = { readonly kind: 'offset' | 'time' | 'date' | 'julian' | 'number' | 'word'; readonly text: string };

class Parser {
  readonly #text: string;
  readonly #type: DateTimeType;
  #year: number | null = null;
  #month: number | null = null;
  #day: number | null = null;
  #julian: number | null = null;
  #time: number | null = null;
  #offset: number | null = null;
  #zone: string | null = null;
  #isBc = false;
  #half: 'am' | 'pm' | null = null;
  /** A `T` stood between date and time: what follows is a time, even `0405`. */
  #afterT = false;

  constructor(text: string, type: DateTimeType) {
    this.#text = text;
    this.#type = type;
  }

  tokens(): Token[] {
    const tokens: Token[] = [];
    let rest = this.#text.trim().toLowerCase();
    while (rest !== '') {
      // A sign before digits is a zone's only after a time; in front of everything else it is part of nothing.
      const match = tokenForm.exec(rest);
      if (match === null) throw this.#invalid();
      const [whole, offset, time, date, julian, number, word] = match;
      if (offset !== undefined) tokens.push({ kind: 'offset', text: offset });
      else if (time !== undefined) tokens.push({ kind: 'time', text: time });
      else if (date !== undefined) tokens.push({ kind: 'date', text: date });
      else if (julian !== undefined) tokens.push({ kind: 'julian', text: julian });
      else if (number !== undefined) tokens.push({ kind: 'number', text: number });
      else if (word !== undefined) tokens.push({ kind: 'word', text: word });
      rest = rest.slice(whole.length).trimStart();
    }
    if (tokens.length === 0) throw this.#invalid();
    return tokens;
  }

  take({ kind, text }: Token): void {
    switch (kind) {
      case 'date':
        this.#date(text);
        return;
      case 'time':
        this.#clock(text);
        return;
      case 'offset':
        this.#takeOffset(text);
        return;
      case 'julian':
        if (this.#julian !== null) throw this.#invalid();
        this.#julian = Number(text.slice(1)) - julianOfEpoch;
        return;
      case 'number':
        this.#number(text);
        return;
      default:
        this.#word(text);
    }
  }

  finish(): DateTime {
    let time = this.#time ?? 0;
    if (this.#half !== null) time = this.#halfDay(time);
    if (this.#type === 'time') {
      if (this.#time === null || time > microsPerDay) throw this.#invalid();
      return { days: 0, time };
    }
    const days = this.#days();
    if (this.#type === 'date') return { days, time: 0 };
    const local = joinDays(days, time);
    let moment = local;
    if (this.#type === 'timestamptz') {
      const offset = this.#offset ?? (this.#zone === null ? 0 : offsetOfLocal(this.#zone, local));
      moment = addMicros(local, -offset * microsPerSecond);
    }
    const day = dayOf(moment);
    return { days: day, time: timeOf(moment, day) };
  }

  #days(): Days {
    if (this.#julian !== null) return this.#julian;
    let year = this.#year;
    const month = this.#month;
    const day = this.#day;
    if (year === null || month === null || day === null) throw this.#invalid();
    if (this.#isBc) {
      if (year < 1) throw this.#outOfRange();
      year = 1 - year;
    } else if (year < 1) {
      throw this.#outOfRange();
    }
    if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) throw this.#outOfRange();
    if (year < -4713 || year > 5_874_897) {
      throw new RowError('22008', `${this.#type === 'date' ? 'date' : 'timestamp'} out of range: "${this.#text}"`);
    }
    return daysOf(year, month, day);
  }

  /** `2026-01-31`, `01/31/2026` (month first), `31-Jan-2026`, `Jan-31-2026`, `2026-Jan-31`. */
  #date(text: string): void {
    if (this.#year !== null || this.#day !== null) throw this.#invalid();
    const [a = '', b = '', c = ''] = text.split(/[-/.]/);
    if (/^[a-z]/.test(a)) {
      this.#setMonth(a);
      this.#day = Number(b);
      this.#year = fullYear(c);
    } else if (/^[a-z]/.test(b)) {
      this.#setMonth(b);
      const yearFirst = a.length > 2;
      this.#day = Number(yearFirst ? c : a);
      this.#year = fullYear(yearFirst ? a : c);
    } else if (a.length > 2) {
      this.#year = Number(a);
      this.#month = Number(b);
      this.#day = Number(c);
    } else {
      this.#month = Number(a);
      this.#day = Number(b);
      this.#year = fullYear(c);
    }
  }

  #clock(text: string): void {
    if (this.#time !== null) throw this.#invalid();
    const [hours = '', minutes = '', rest = '0'] = text.split(':');
    this.#setTime(Number(hours), Number(minutes), rest.replace(',', '.'));
  }

  #setTime(hours: number, minutes: number, seconds: string): void {
    const [whole = '', fraction = ''] = seconds.split('.');
    const micros = Math.round(Number(`0.${fraction}0`) * 1e6);
    const second = Number(whole);
    if (hours > 24 || minutes > 59 || second > 60) throw this.#outOfRange();
    const time = ((hours * 60 + minutes) * 60 + second) * 1_000_000 + micros;
    if (time > microsPerDay) throw this.#outOfRange();
    this.#time = time;
  }

  #halfDay(time: number): number {
    const hours = Math.floor(time / 3_600_000_000);
    if (hours > 12 || (hours < 1 && this.#half === 'pm' && hours !== 0)) throw this.#outOfRange();
    const within = time - hours * 3_600_000_000;
    if (this.#half === 'am') return hours === 12 ? within : time;
    return (hours === 12 ? 12 : hours + 12) * 3_600_000_000 + within;
  }

  /** ISO 8601's offsets, east of Greenwich. */
  #takeOffset(text: string): void {
    if (
      this.#offset !== null ||
      (this.#time === null && this.#type !== 'timestamptz' && this.#type !== 'timestamp' && this.#type !== 'date')
    ) {
      throw this.#invalid();
    }
    const digits = text.slice(1).replaceAll(':', '');
    const padded = digits.length % 2 === 1 ? `0${digits}` : digits;
    const hours = Number(padded.slice(0, 2));
    const minutes = Number(padded.slice(2, 4) || 0);
    const seconds = Number(padded.slice(4, 6) || 0);
    if (hours > 15 || minutes > 59 || seconds > 59) {
      throw new RowError('22009', `time zone displacement out of range: "${this.#text}"`);
    }
    const size = hours * 3600 + minutes * 60 + seconds;
    this.#offset = text.startsWith('-') ? -size : size;
  }

  #number(text: string): void {
    const mayBeTime = this.#time === null && (this.#hasDate() || this.#type === 'time');
    if (mayBeTime && (this.#afterT ? /^\d{2}$|^\d{4}$|^\d{6}(\.\d*)?$/ : /^\d{4}$|^\d{6}(\.\d*)?$/).test(text)) {
      this.#setTime(Number(text.slice(0, 2)), Number(text.slice(2, 4) || 0), text.slice(4) || '0');
      return;
    }
    if (text.includes('.')) throw this.#invalid();
    if (text.length === 8 && !this.#hasDate() && this.#month === null) {
      this.#year = Number(text.slice(0, 4));
      this.#month = Number(text.slice(4, 6));
      this.#day = Number(text.slice(6, 8));
      return;
    }
    // Beside the name of a month: a day, and a year.
    if (this.#day === null && text.length <= 2) this.#day = Number(text);
    else if (this.#year === null && text.length !== 3) this.#year = fullYear(text);
    else throw this.#invalid();
  }

  #word(text: string): void {
    if (text === 't' && this.#hasDate() && this.#time === null) this.#afterT = true;
    else if (text === 't' && this.#type === 'time' && this.#time === null) this.#afterT = true;
    else if (text === 'bc' || text === 'ad') this.#isBc = text === 'bc';
    else if ((text === 'am' || text === 'pm') && this.#time !== null) this.#half = text;
    else if (text === 'allballs' && this.#time === null) {
      this.#time = 0;
      this.#offset = 0;
    } else if (monthNames.has(text)) this.#setMonth(text);
    else if (weekdays.has(text)) return;
    else if (isZone(text) && this.#offset === null && this.#zone === null) this.#zone = text;
    else throw this.#invalid();
  }

  #setMonth(name: string): void {
    const month = monthNames.get(name);
    if (month === undefined || this.#month !== null) throw this.#invalid();
    this.#month = month;
  }

  #hasDate(): boolean {
    return this.#julian !== null || (this.#year !== null && this.#month !== null && this.#day !== null);
  }

  #invalid(): RowError {
    return new RowError('22007', `invalid input syntax for type ${typeNames[this.#type]}: "${this.#text}"`);
  }

  #outOfRange(): RowError {
    return new RowError('22008', `date/time field value out of range: "${this.#text}"`);
  }
}

/** Two digits are a year from 1970 to 2069. */
function fullYear(text: string): number {
  const year = Number(text);
  return text.length > 2 ? year : year < 70 ? year + 2000 : year + 1900;
}
