/** The patterns of to_char, to_date and to_timestamp for dates, taken apart as PostgreSQL does it. */

export type FormatNode =
  | {
      readonly kind: 'field';
      /** As written: its case is part of it (`Month`, `month`). */
      readonly key: string;
      /** In upper case. */
      readonly name: string;
      /** FM: no padding. */
      readonly fill: boolean;
      readonly ordinal: 'TH' | 'th' | null;
    }
  | { readonly kind: 'text' | 'separator'; readonly text: string };

/** Longest first among those that begin alike. */
const keys = [
  'A.D.',
  'A.M.',
  'AD',
  'AM',
  'B.C.',
  'BC',
  'CC',
  'DAY',
  'DDD',
  'DD',
  'DY',
  'Day',
  'Dy',
  'D',
  'FF1',
  'FF2',
  'FF3',
  'FF4',
  'FF5',
  'FF6',
  'FX',
  'HH24',
  'HH12',
  'HH',
  'IDDD',
  'ID',
  'IW',
  'IYYY',
  'IYY',
  'IY',
  'I',
  'J',
  'MI',
  'MM',
  'MONTH',
  'MON',
  'MS',
  'Month',
  'Mon',
  'OF',
  'P.M.',
  'PM',
  'Q',
  'RM',
  'SSSSS',
  'SSSS',
  'SS',
  'TZH',
  'TZM',
  'TZ',
  'US',
  'WW',
  'W',
  'Y,YYY',
  'YYYY',
  'YYY',
  'YY',
  'Y',
];
const all = [...new Set([...keys, ...keys.map((key) => key.toLowerCase())])];
const byFirst = new Map<string, string[]>();
for (const key of all) {
  const first = key.charAt(0);
  byFirst.set(
    first,
    [...(byFirst.get(first) ?? []), key].toSorted((a, b) => b.length - a.length),
  );
}

/** Patterns are constants nearly always; a few are kept. */
const known = new Map<string, readonly FormatNode[]>();
const knownMax = 200;

export function parseFormat(format: string): readonly FormatNode[] {
  let nodes = known.get(format);
  if (nodes === undefined) {
    nodes = parse(format);
    if (known.size >= knownMax) known.clear();
    known.set(format, nodes);
  }
  return nodes;
}

function parse(format: string): FormatNode[] {
  const nodes: FormatNode[] = [];
  let at = 0;
  while (at < format.length) {
    // TM asks for localized names, which are not padded; in the C locale they are the same.
    const prefix = /^(?:FM|fm|TM|tm)/.test(format.slice(at, at + 2));
    if (prefix) at += 2;
    const key = byFirst.get(format.charAt(at))?.find((candidate) => format.startsWith(candidate, at));
    if (key !== undefined) {
      at += key.length;
      const suffix = format.slice(at, at + 2);
      const ordinal = suffix === 'TH' || suffix === 'th' ? suffix : null;
      if (ordinal !== null || suffix === 'SP') at += 2;
      nodes.push({ kind: 'field', key, name: key.toUpperCase(), fill: prefix, ordinal });
    } else if (format[at] === '"') {
      at = quoted(format, at + 1, nodes);
    } else if (at < format.length) {
      if (format[at] === '\\' && format[at + 1] === '"') at++;
      const text = String.fromCodePoint(format.codePointAt(at) ?? 0);
      nodes.push({ kind: isSeparator(text) ? 'separator' : 'text', text });
      at += text.length;
    }
  }
  return nodes;
}

function quoted(format: string, start: number, nodes: FormatNode[]): number {
  let at = start;
  while (at < format.length) {
    if (format[at] === '"') return at + 1;
    if (format[at] === '\\' && at + 1 < format.length) at++;
    const text = String.fromCodePoint(format.codePointAt(at) ?? 0);
    nodes.push({ kind: 'text', text });
    at += text.length;
  }
  return at;
}

/** Printable ASCII that is neither letter nor digit, and blanks. */
export function isSeparator(text: string): boolean {
  return /^[\s!-/:-@[-`{-~]$/.test(text);
}

export const monthNames = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

export const dayNames = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
