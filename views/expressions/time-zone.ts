import { RowError } from './expression.ts';
import { addMicros, dayOf, daysOf, microsPerSecond, timeOf, unixEpochDays } from './calendar.ts';
import type { Micros } from './calendar.ts';

/** Time zones by the names of IANA's database, of which Node's Intl brings a copy. Offsets are seconds east of UTC. */

/** Abbreviations with one meaning everywhere (a selection of PostgreSQL's `Default` set), in hours. */
const abbreviations = new Map<string, number>([
  ['UTC', 0],
  ['GMT', 0],
  ['Z', 0],
  ['ZULU', 0],
  ['UT', 0],
  ['WET', 0],
  ['CET', 1],
  ['CEST', 2],
  ['EET', 2],
  ['EEST', 3],
  ['MSK', 3],
  ['BST', 1],
  ['EST', -5],
  ['EDT', -4],
  ['CST', -6],
  ['CDT', -5],
  ['MST', -7],
  ['MDT', -6],
  ['PST', -8],
  ['PDT', -7],
  ['JST', 9],
  ['KST', 9],
]);

/** Offset of a fixed zone, a formatter of one with rules. */
type Zone = number | Intl.DateTimeFormat;

const zones = new Map<string, Zone>();

/** The zone of a name, or null when there is none. */
function zoneNamed(name: string): Zone | null {
  const known = zones.get(name);
  if (known !== undefined) return known;
  const hours = abbreviations.get(name.toUpperCase());
  let zone: Zone | null = hours === undefined ? null : hours * 3600;
  if (zone === null && /^[a-z][a-z0-9_+/-]*$/i.test(name)) zone = formatterOf(name);
  if (zone !== null) zones.set(name, zone);
  return zone;
}

function formatterOf(name: string): Intl.DateTimeFormat | null {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    return null;
  }
}

export function isZone(name: string): boolean {
  return zoneNamed(name) !== null;
}

function zoneOrError(name: string): Zone {
  const zone = zoneNamed(name);
  if (zone === null) throw new RowError('22023', `time zone "${name}" not recognized`);
  return zone;
}

/** The zone's offset at a moment. */
export function offsetAt(name: string, utc: Micros): number {
  return offsetOf(zoneOrError(name), utc);
}

/** The offset by which a local time is told there: in a gap that of before it, in an hour that comes twice that of the second. */
export function offsetOfLocal(name: string, local: Micros): number {
  const zone = zoneOrError(name);
  if (typeof zone === 'number') return zone;
  const day = 86_400;
  const before = offsetOf(zone, addMicros(local, -day * microsPerSecond));
  const after = offsetOf(zone, addMicros(local, day * microsPerSecond));
  if (before === after) return before;
  return offsetOf(zone, addMicros(local, -after * microsPerSecond)) === after ? after : before;
}

/** Moments that one zone was asked for lately; asking Intl takes microseconds. Rules change at whole quarters of an hour since 1970. */
const recent = new Map<Intl.DateTimeFormat, Map<number, number>>();
const recentMax = 10_000;
const bucketSeconds = 900;

function offsetOf(zone: Zone, utc: Micros): number {
  if (typeof zone === 'number') return zone;
  const days = dayOf(utc);
  const seconds = (days - unixEpochDays) * 86_400 + Math.floor(timeOf(utc, days) / microsPerSecond);
  if (seconds < 0) return ask(zone, seconds);
  const bucket = Math.floor(seconds / bucketSeconds);
  let known = recent.get(zone);
  if (known === undefined) recent.set(zone, (known = new Map()));
  let offset = known.get(bucket);
  if (offset === undefined) {
    if (known.size >= recentMax) known.clear();
    offset = ask(zone, bucket * bucketSeconds);
    known.set(bucket, offset);
  }
  return offset;
}

/** JavaScript's dates end before PostgreSQL's: beyond, the zone is as in the same year of the 400-year cycle. */
const dateSecondsMax = 8_640_000_000_000 - 86_400;
const cycleSeconds = 146_097 * 86_400;

function ask(zone: Intl.DateTimeFormat, seconds: number): number {
  const at =
    seconds > dateSecondsMax ? seconds - Math.ceil((seconds - dateSecondsMax) / cycleSeconds) * cycleSeconds : seconds;
  const found: Record<string, number> = {};
  let isBc = false;
  for (const { type, value } of zone.formatToParts(at * 1000)) {
    if (type === 'era') isBc = value.startsWith('B');
    else if (type !== 'literal') found[type] = Number(value);
  }
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = found;
  const days = daysOf(isBc ? 1 - year : year, month, day) - unixEpochDays;
  return days * 86_400 + hour * 3600 + minute * 60 + second - at;
}

/** A moment as the clocks of a zone show it: `timestamptz AT TIME ZONE zone`. */
export function localTime(name: string, utc: Micros): Micros {
  if (utc === Infinity || utc === -Infinity) return utc;
  return addMicros(utc, offsetAt(name, utc) * microsPerSecond);
}

/** The moment at which the clocks of a zone show a time: `timestamp AT TIME ZONE zone`. */
export function utcTime(name: string, local: Micros): Micros {
  if (local === Infinity || local === -Infinity) return local;
  return addMicros(local, -offsetOfLocal(name, local) * microsPerSecond);
}
