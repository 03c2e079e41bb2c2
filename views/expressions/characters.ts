/** Text as SQL counts it: in code points, of which those beyond U+FFFF take two units of a JavaScript string. */

/** By code point, as the bytes of UTF-8 compare: COLLATE "C". */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at++) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x !== y) return x < 0xd800 || y < 0xd800 ? x - y : codePointRank(x) - codePointRank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points beyond every single unit. */
function codePointRank(unit: number): number {
  return unit < 0xe000 ? unit + 0x10000 : unit;
}

/** Number of code points. */
export function characterCount(text: string): number {
  let count = text.length;
  for (let at = 0; at < text.length; at++) {
    if ((text.charCodeAt(at) & 0xfc00) === 0xd800) {
      count--;
      at++;
    }
  }
  return count;
}

export function hasSurrogates(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    if ((text.charCodeAt(at) & 0xf800) === 0xd800) return true;
  }
  return false;
}

/** Characters from the `start`-th (from 0) up to the `end`-th; both at least 0. */
export function sliceCharacters(text: string, start: number, end: number): string {
  if (!hasSurrogates(text)) return text.slice(start, end);
  return Array.from(text).slice(start, end).join('');
}

/** Without the blanks at the end, which do not count in character(n). */
export function withoutTrailingBlanks(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 32) end--;
  return end === text.length ? text : text.slice(0, end);
}

// Only characters beyond ASCII need to be looked at one by one.
// oxlint-disable-next-line no-control-regex
const ascii = /^[\0-\x7f]*$/;

/** Each character by itself, those whose other case is several characters left alone, as towlower does. */
export function lowerCase(text: string): string {
  return ascii.test(text) ? text.toLowerCase() : eachCharacter(text, lowerOf);
}

export function upperCase(text: string): string {
  return ascii.test(text) ? text.toUpperCase() : eachCharacter(text, upperOf);
}

function eachCharacter(text: string, change: (character: string) => string): string {
  let changed = '';
  for (const character of text) changed += change(character);
  return changed;
}

function lowerOf(character: string): string {
  const lower = character.toLowerCase();
  // The one capital whose small letter Unicode writes as two characters, and as one where there must be one.
  if (character === 'İ') return 'i';
  return characterCount(lower) === 1 ? lower : character;
}

function upperOf(character: string): string {
  const upper = character.toUpperCase();
  if (characterCount(upper) === 1) return upper;
  const code = character.charCodeAt(0);
  // Greek vowels with an iota below: 8 further on, or 9, is the capital with an iota beside it.
  if (code >= 0x1f80 && code < 0x1fb0 && (code & 8) === 0) return String.fromCharCode(code + 8);
  return code === 0x1fb3 || code === 0x1fc3 || code === 0x1ff3 ? String.fromCharCode(code + 9) : character;
}
