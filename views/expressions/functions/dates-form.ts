import { parseInterval, writeInterval } from '../interval-text.ts';
import {
  parseDate,
  parseTime,
  parseTimestamp,
  parseTimestamptz,
  readDate,
  readTime,
  readTimestamp,
  readTimestamptz,
  writeDate,
  writeTime,
  writeTimestamp,
  writeTimestamptz,
} from '../timestamp-text.ts';
import type { Interval } from '../interval.ts';
import type { Input, NativeForm } from '../forms.ts';

/** Without a second argument, whoever calls it. */
function readInterval(text: string): Interval {
  return parseInterval(text);
}

/** Dates: days; times: microseconds since midnight; timestamps: Micros (../calendar.ts); intervals: Interval (../interval.ts). */
export const dateForms = {
  date: { read: readDate, write: writeDate },
  time: { read: readTime, write: writeTime },
  timestamp: { read: readTimestamp, write: writeTimestamp },
  timestamptz: { read: readTimestamptz, write: writeTimestamptz },
  interval: { read: readInterval, write: writeInterval },
} satisfies Record<string, NativeForm>;

export const dateInputs = {
  date: parseDate,
  time: parseTime,
  timestamp: parseTimestamp,
  timestamptz: parseTimestamptz,
  interval: readInterval,
} satisfies Record<string, Input>;
