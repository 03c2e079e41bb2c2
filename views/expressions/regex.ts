import { RowError } from './expression.ts';

/**
 * PostgreSQL's regular expressions (ARE, `~`), as far as JavaScript's mean the same when all that is asked is whether a text matches.
 * Others are refused: back references, look-behind, options within the pattern, collating elements.
 */
export function regexMatcher(pattern: string, flags: '' | 'i'): (text: string) => boolean {
  const source = translate(pattern);
  let regex: RegExp;
  try {
    regex = new RegExp(source, `su${flags}`);
  } catch {
    throw new RowError('2201B', `invalid regular expression: ${pattern}`);
  }
  return (text) => regex.test(text);
}

/** What iswspace() takes for space: no-break spaces are not. */
const spaces = String.raw`\t-\r \x85\u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000`;

const classes: Readonly<Record<string, string>> = {
  alpha: String.raw`\p{Alphabetic}`,
  digit: '0-9',
  alnum: String.raw`\p{Alphabetic}\p{Nd}`,
  upper: String.raw`\p{Lu}`,
  lower: String.raw`\p{Ll}`,
  space: spaces,
  blank: String.raw` \t`,
  xdigit: '0-9A-Fa-f',
  punct: String.raw`!-\/:-@\[-\x60\{-~`,
  cntrl: String.raw`\x00-\x1f\x7f`,
};

const word = String.raw`[\p{Alphabetic}\p{Nd}_]`;

/** Escapes that mean another thing, or none, in JavaScript. */
const escapes: Readonly<Record<string, string>> = {
  d: String.raw`\d`,
  D: String.raw`\D`,
  s: `[${spaces}]`,
  S: `[^${spaces}]`,
  w: word,
  W: String.raw`[^\p{Alphabetic}\p{Nd}_]`,
  n: String.raw`\n`,
  r: String.raw`\r`,
  t: String.raw`\t`,
  f: String.raw`\f`,
  v: String.raw`\v`,
  a: String.raw`\x07`,
  b: String.raw`\x08`,
  e: String.raw`\x1b`,
  B: String.raw`\\`,
  A: '^',
  Z: '$',
  m: `(?<!${word})(?=${word})`,
  M: `(?<=${word})(?!${word})`,
  y: `(?:(?<!${word})(?=${word})|(?<=${word})(?!${word}))`,
  Y: `(?:(?<!${word})(?!${word})|(?<=${word})(?=${word}))`,
};

function translate(pattern: string): string {
  if (pattern.startsWith('***') || /^\(\?[a-z]+\)/.test(pattern)) throw unsupported(pattern, 'options in the pattern');
  let source = '';
  let at = 0;
  while (at < pattern.length) {
    const character = String.fromCodePoint(pattern.codePointAt(at) as number);
    if (character === '[') {
      const [bracket, end] = bracketOf(pattern, at);
      source += bracket;
      at = end;
    } else if (character === '\\') {
      const hex = /^\\x([0-9a-fA-F]+)/.exec(pattern.slice(at));
      source += hex === null ? escapeOf(pattern, at) : codePoint(hex[1] ?? '');
      at += hex === null ? 2 : hex[0].length;
    } else {
      if (character === '(' && pattern[at + 1] === '?' && !/[:=!]/.test(pattern[at + 2] ?? '')) {
        throw unsupported(pattern, 'look-behind');
      }
      const alone = character === '{' && !/^\{\d+(,\d*)?\}/.test(pattern.slice(at));
      source +=
        alone || character === '}' || character === ']' || character === '/'
          ? closing(pattern, at, character)
          : character;
      at += character.length;
    }
  }
  return source;
}

/** A brace that ends a bound stands for itself in the source, others are literal. */
function closing(pattern: string, at: number, character: string): string {
  if (character === '}' && /\{\d+(,\d*)?\}$/.test(pattern.slice(0, at + 1))) return character;
  return `\\${character}`;
}

/** One character, however many digits there are; one that does not exist matches nothing. */
function codePoint(hex: string): string {
  const code = Number.parseInt(hex, 16);
  return code > 0x10ffff ? String.raw`[^\s\S]` : `\\u{${code.toString(16)}}`;
}

function escapeOf(pattern: string, at: number): string {
  const next = pattern[at + 1];
  if (next === undefined) throw new RowError('2201B', 'invalid regular expression: invalid escape \\ sequence');
  if (Object.hasOwn(escapes, next)) return escapes[next] as string;
  if (/[A-Za-z0-9]/.test(next)) throw unsupported(pattern, `\\${next}`);
  return /[\\^$.*+?()[\]{}|/]/.test(next) ? `\\${next}` : next;
}

/** A bracket expression from `at` on, and where it ends. A `]` that stands first is literal. */
function bracketOf(pattern: string, start: number): readonly [string, number] {
  let at = start + 1;
  let source = '[';
  if (pattern[at] === '^') {
    source += '^';
    at++;
  }
  const first = at;
  for (; at < pattern.length; at++) {
    const character = pattern[at] as string;
    if (character === ']' && at > first) return [`${source}]`, at + 1];
    if (character === '[' && /[.:=]/.test(pattern[at + 1] ?? '')) {
      const named = /^\[:([a-z]+):\]/.exec(pattern.slice(at));
      const own = named === null ? undefined : classes[named[1] ?? ''];
      if (named === null || own === undefined) throw unsupported(pattern, 'collating elements');
      source += own;
      at += named[0].length - 1;
    } else if (character === '\\') {
      const next = pattern[++at] ?? '';
      if (!/[dswnrtfv\\\]\-^[.*+?(){}|/$]/.test(next)) throw unsupported(pattern, `\\${next} in brackets`);
      source += next === 'w' ? String.raw`\p{Alphabetic}\p{Nd}_` : next === 's' ? spaces : `\\${next}`;
    } else source += character !== '-' && /[\]\\/^[(){}|]/.test(character) ? `\\${character}` : character;
  }
  throw new RowError('2201B', 'invalid regular expression: brackets [] not balanced');
}

function unsupported(pattern: string, what: string): RowError {
  return new RowError('0A000', `${what} in the regular expression "${pattern}" is not supported in views`);
}
