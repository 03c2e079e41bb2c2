import { addMicros, checkTimestamp, daysInMonth, daysOf, isLeap, joinDays, julianOfEpoch } from './calendar.ts';
import type { Days, Micros } from './calendar.ts';
import { dayNames, isSeparator, monthNames, parseFormat } from './date-format.ts';
import type { FormatNode } from './date-format.ts';
import { RowError } from './expression.ts';

/**
 * to_date and to_timestamp: the usual patterns, read as PostgreSQL reads them when FX is not given. Weeks, ISO years, centuries and Roman
 * months are refused.
 */

export function toTimestamp(text: string, format: string): Micros {
  const reader = new Reader(text, format);
  reader.read();
  const local = joinDays(reader.days(), reader.time());
  return checkTimestamp(reader.offset === null ? local : addMicros(local, -reader.offset * 1_000_000));
}

export function toDate(text: string, format: string): Days {
  const reader = new Reader(text, format);
  reader.read();
  reader.time();
  return reader.days();
}

type Field = Extract<FormatNode, { kind: 'field' }>;
type Slot =
  | 'year'
  | 'month'
  | 'day'
  | 'dayOfYear'
  | 'julian'
  | 'hour'
  | 'minute'
  | 'second'
  | 'micros'
  | 'daySeconds'
  | 'zoneHour'
  | 'zoneMinute'
  | 'ignored';

/** Fields of digits: where they go, and how many are read when digits follow at once. */
const numbers: Readonly<Record<string, readonly [slot: Slot, width: number]>> = {
  YYYY: ['year', 4],
  YYY: ['year', 3],
  YY: ['year', 2],
  Y: ['year', 1],
  MM: ['month', 2],
  DD: ['day', 2],
  DDD: ['dayOfYear', 3],
  J: ['julian', 9],
  HH: ['hour', 2],
  HH12: ['hour', 2],
  HH24: ['hour', 2],
  MI: ['minute', 2],
  SS: ['second', 2],
  MS: ['micros', 3],
  US: ['micros', 6],
  FF1: ['micros', 1],
  FF2: ['micros', 2],
  FF3: ['micros', 3],
  FF4: ['micros', 4],
  FF5: ['micros', 5],
  FF6: ['micros', 6],
  SSSS: ['daySeconds', 5],
  SSSSS: ['daySeconds', 5],
  D: ['ignored', 1],
  ID: ['ignored', 1],
  Q: ['ignored', 1],
};

class Reader {
  readonly #text: string;
  readonly #nodes: readonly FormatNode[];
  readonly #slots = new Map<Slot, number>();
  #at = 0;
  #isBc = false;
  #half: 'am' | 'pm' | null = null;
  #isTwelve = false;

  constructor(text: string, format: string) {
    this.#text = text;
    this.#nodes = parseFormat(format);
  }

  /** Seconds east of UTC, if the pattern has a zone. */
  get offset(): number | null {
    const hours = this.#slots.get('zoneHour');
    if (hours === undefined) return null;
    const minutes = this.#slots.get('zoneMinute') ?? 0;
    return hours * 3600 + (hours < 0 || Object.is(hours, -0) ? -minutes : minutes) * 60;
  }

  read(): void {
    let skipped = 0;
    for (let index = 0; index < this.#nodes.length && this.#at < this.#text.length; index++) {
      const node = this.#nodes[index] as FormatNode;
      if (node.kind !== 'text' || index === 0) skipped += this.#skipBlanks();
      if (node.kind === 'separator') {
        skipped--;
        if (this.#at < this.#text.length && isSeparator(this.#text.charAt(this.#at))) {
          this.#at++;
          skipped++;
        }
      } else if (node.kind === 'text') {
        if (skipped > 0) skipped--;
        else this.#at += node.text.length;
      } else if (node.kind === 'field') {
        this.#field(node, index);
        skipped = this.#skipBlanks();
      }
    }
  }

  #skipBlanks(): number {
    const start = this.#at;
    while (/\s/.test(this.#text.charAt(this.#at)) && this.#at < this.#text.length) this.#at++;
    return this.#at - start;
  }

  #field(node: Field, index: number): void {
    const key = node.name;
    const entry = numbers[key];
    if (entry !== undefined) {
      this.#number(node, key, entry[0], entry[1], index);
      if (node.ordinal !== null) this.#at += 2;
      return;
    }
    const rest = this.#text.slice(this.#at).toLowerCase();
    switch (key) {
      case 'MON':
      case 'MONTH': {
        const found = longestOf(rest, monthNames, key === 'MON');
        if (found === null) throw this.#invalid(node.key);
        this.#set('month', found.index + 1, node.key);
        this.#at += found.length;
        return;
      }
      case 'DY':
      case 'DAY': {
        const found = longestOf(rest, dayNames, key === 'DY');
        if (found === null) throw this.#invalid(node.key);
        this.#at += found.length;
        return;
      }
      case 'AM':
      case 'PM':
      case 'A.M.':
      case 'P.M.':
      case 'AD':
      case 'BC':
      case 'A.D.':
      case 'B.C.':
        this.#marker(node.key, key.includes('.'), rest, key.includes('M'));
        return;
      case 'TZH':
        this.#zoneHour(node.key);
        return;
      case 'TZM':
        this.#number(node, key, 'zoneMinute', 2, index);
        return;
      case 'Y,YYY': {
        const match = /^(\d+),(\d{3})/.exec(rest);
        if (match === null) throw this.#invalid(node.key);
        this.#set('year', Number(match[1]) * 1000 + Number(match[2]), node.key);
        this.#at += match[0].length;
        return;
      }
      case 'FX':
        return;
      default:
        throw new RowError('0A000', `formatting field "${node.key}" is not supported in to_date and to_timestamp here`);
    }
  }

  #marker(key: string, dotted: boolean, rest: string, isHalf: boolean): void {
    const words = isHalf ? ['am', 'pm'] : ['ad', 'bc'];
    const found = words.findIndex((word) => rest.startsWith(dotted ? `${word.charAt(0)}.${word.charAt(1)}.` : word));
    if (found < 0) throw this.#invalid(key);
    this.#at += dotted ? 4 : 2;
    if (isHalf) {
      this.#half = found === 0 ? 'am' : 'pm';
      this.#isTwelve = true;
    } else this.#isBc = found === 1;
  }

  #zoneHour(key: string): void {
    const match = /^([+-]?)(\d{1,2})/.exec(this.#text.slice(this.#at));
    if (match === null) throw this.#invalid(key);
    this.#slots.set('zoneHour', match[1] === '-' ? -Number(match[2]) : Number(match[2]));
    this.#at += match[0].length;
  }

  #number(node: Field, key: string, slot: Slot, width: number, index: number): void {
    const rest = this.#text.slice(this.#at);
    const isFree = node.fill || this.#isBeforeSeparator(node, index);
    if (!isFree && rest.length < width) {
      throw new RowError('22007', `source string too short for "${node.key}" formatting field`);
    }
    const match = /^[+-]?\d+/.exec(isFree ? rest : rest.slice(0, width));
    if (match === null || (!isFree && match[0].length < width)) throw this.#invalid(node.key, width);
    const digits = match[0];
    this.#at += digits.length;
    let value = Number(digits);
    if (!(Math.abs(value) <= 2_147_483_647)) {
      throw new RowError('22008', `value for "${node.key}" in source string is out of range`);
    }
    if (slot === 'micros') value *= 10 ** (6 - (key === 'MS' || key === 'US' || isFree ? digits.length : width));
    if (slot === 'year' && key !== 'YYYY' && digits.length < 4) value = nearYear(value);
    if (slot === 'hour' && key !== 'HH24') this.#isTwelve = true;
    if (slot !== 'ignored') this.#set(slot, value, node.key);
  }

  /** Then all the digits there are belong to the field. */
  #isBeforeSeparator(node: Field, index: number): boolean {
    if (node.ordinal !== null) return true;
    const next = this.#nodes[index + 1];
    if (next === undefined) return true;
    if (next.kind === 'field') {
      const key = next.name;
      return !(key in numbers || key === 'Y,YYY' || /^(I|IY|IYY|IYYY|IW|WW|W|CC|IDDD|ID|TZM)$/.test(key));
    }
    return !/^\d$/.test(next.text);
  }

  #set(slot: Slot, value: number, key: string): void {
    const known = this.#slots.get(slot);
    if (known !== undefined && known !== value) {
      throw new RowError('22007', `conflicting values for "${key}" field in formatting string`);
    }
    this.#slots.set(slot, value);
  }

  time(): number {
    const daySeconds = this.#slots.get('daySeconds');
    let hour = this.#slots.get('hour') ?? 0;
    let minute = this.#slots.get('minute') ?? 0;
    let second = this.#slots.get('second') ?? 0;
    if (daySeconds !== undefined) {
      hour = Math.trunc(daySeconds / 3600);
      minute = Math.trunc(daySeconds / 60) % 60;
      second = daySeconds % 60;
    }
    if (this.#isTwelve) {
      if (hour < 1 || hour > 12) throw new RowError('22007', `hour "${hour}" is invalid for the 12-hour clock`);
      if (this.#half === 'pm' && hour < 12) hour += 12;
      else if (this.#half === 'am' && hour === 12) hour = 0;
    }
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) throw this.#outOfRange();
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + (this.#slots.get('micros') ?? 0);
  }

  days(): Days {
    const julian = this.#slots.get('julian');
    if (julian !== undefined) return julian - julianOfEpoch;
    let year = this.#slots.get('year') ?? 0;
    if (this.#isBc && year > 0) year = 1 - year;
    else if (year < 0) year += 1;
    const dayOfYear = this.#slots.get('dayOfYear');
    // Without a year the date is of 1 BC, as to_timestamp has it.
    if (dayOfYear !== undefined && this.#slots.get('month') === undefined && this.#slots.get('day') === undefined) {
      if (dayOfYear < 1 || dayOfYear > (isLeap(year) ? 366 : 365)) throw this.#outOfRange();
      return daysOf(year, 1, 1) + dayOfYear - 1;
    }
    const month = this.#slots.get('month') ?? 1;
    const day = this.#slots.get('day') ?? 1;
    if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) throw this.#outOfRange();
    return daysOf(year, month, day);
  }

  #invalid(key: string, width?: number): RowError {
    const rest = this.#text.slice(this.#at);
    return new RowError('22007', `invalid value "${width === undefined ? rest : rest.slice(0, width)}" for "${key}"`);
  }

  #outOfRange(): RowError {
    return new RowError('22008', `date/time field value out of range: "${this.#text}"`);
  }
}

/** A year of up to three digits, in the century nearest to 2020. */
function nearYear(year: number): number {
  if (year < 70) return year + 2000;
  if (year < 100) return year + 1900;
  return year < 520 ? year + 2000 : year < 1000 ? year + 1000 : year;
}

function longestOf(text: string, names: readonly string[], short: boolean): { index: number; length: number } | null {
  for (const [index, name] of names.entries()) {
    const full = name.toLowerCase();
    const word = short ? full.slice(0, 3) : full;
    if (text.startsWith(word)) return { index, length: word.length };
  }
  return null;
}
