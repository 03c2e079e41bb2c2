import { RowError } from './expression.ts';

/** Names of fields, as date_trunc and extract take them, to the names they stand for. */
const aliases: Readonly<Record<string, readonly string[]>> = {
  microseconds: ['microsecond', 'us', 'usec', 'usecs', 'usecond', 'useconds', 'microsecon'],
  milliseconds: ['millisecond', 'ms', 'msec', 'msecs', 'msecond', 'mseconds', 'millisecon'],
  second: ['seconds', 's', 'sec', 'secs'],
  minute: ['minutes', 'm', 'min', 'mins'],
  hour: ['hours', 'h', 'hr', 'hrs'],
  day: ['days', 'd'],
  week: ['weeks', 'w'],
  month: ['months', 'mon', 'mons'],
  quarter: ['qtr'],
  year: ['years', 'y', 'yr', 'yrs'],
  decade: ['decades', 'dec', 'decs'],
  century: ['centuries', 'c', 'cent'],
  millennium: ['millennia', 'mil', 'mils'],
  epoch: [],
  dow: [],
  isodow: [],
  doy: [],
  isoyear: [],
  julian: ['j', 'jd'],
  timezone: [],
  timezone_hour: ['timezone_h'],
  timezone_minute: ['timezone_m'],
};

export type DateTimeUnit = string;

const units = new Map<string, DateTimeUnit>();
for (const [name, others] of Object.entries(aliases)) {
  units.set(name, name);
  for (const other of others) units.set(other, name);
}

/** The unit of a name in any case; RowError 22023 for another word. */
export function unitOf(name: string, type: string): DateTimeUnit {
  const unit = units.get(name) ?? units.get(name.toLowerCase());
  if (unit === undefined) throw new RowError('22023', `unit "${name.toLowerCase()}" not recognized for type ${type}`);
  return unit;
}

/** As `unitOf`, for date_trunc, which does not know the names that only extract takes. */
export function truncationUnit(name: string, type: string): DateTimeUnit {
  const unit = unitOf(name, type);
  if (extractedOnly.has(unit)) {
    throw new RowError('22023', `unit "${name.toLowerCase()}" not recognized for type ${type}`);
  }
  return unit;
}

const extractedOnly: ReadonlySet<string> = new Set(['epoch', 'dow', 'isodow', 'doy', 'isoyear', 'julian']);

export function unitUnsupported(name: string, type: string): RowError {
  return new RowError('0A000', `unit "${name.toLowerCase()}" not supported for type ${type}`);
}

export function decadeOf(year: number): number {
  return year >= 0 ? Math.floor(year / 10) : -Math.floor((8 - (year - 1)) / 10);
}

export function centuryOf(year: number): number {
  return year > 0 ? Math.floor((year + 99) / 100) : -Math.floor((99 - (year - 1)) / 100);
}

export function millenniumOf(year: number): number {
  return year > 0 ? Math.floor((year + 999) / 1000) : -Math.floor((999 - (year - 1)) / 1000);
}
