/**
 * Where in a file a character of a YAML scalar stands. Quotes, escapes, indentation and folding move characters and make line breaks and
 * spaces of each other, but leave the others in their order: those are counted.
 */

/** A scalar as it is written: `source` begins with its quote or its `|`, if it has one. */
export interface WrittenScalar {
  readonly source: string;
  readonly style: 'plain' | 'single' | 'double' | 'block';
}

/**
 * The offset in the scalar's source of the character at `index` of its value (at its end: behind the last one); for white space, of what
 * comes next. Null where the source does not read as the value does: behind a variable that has been filled in.
 */
export function offsetInSource({ source, style }: WrittenScalar, value: string, index: number): number | null {
  let at = style === 'plain' ? 0 : style === 'block' ? source.indexOf('\n') + 1 : 1;
  let end = at;
  for (let position = 0; position < value.length; position++) {
    if (isBlank(value.charCodeAt(position))) continue;
    let unit = unitAt(source, at, style);
    while (unit.isBlank && at < source.length) {
      at += unit.length;
      unit = unitAt(source, at, style);
    }
    if (position >= index) return at;
    if (unit.character !== null && unit.character !== value[position]) return null;
    if (at >= source.length) return null;
    at += unit.length;
    // A character beyond 16 bits that is written as one escape is two of the value.
    position += unit.characters - 1;
    end = at;
  }
  return end;
}

interface Unit {
  /** Characters of the source. */
  readonly length: number;
  /** Characters of the value. */
  readonly characters: number;
  readonly isBlank: boolean;
  /** What it must be in the value; null for an escape. */
  readonly character: string | null;
}

const blankEscapes = ' \t\n\r0abevfnrtN_LP';
const codeDigits: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

function unitAt(source: string, at: number, style: WrittenScalar['style']): Unit {
  const character = source[at] ?? '';
  if (style === 'double' && character === '\\') {
    const escape = source[at + 1] ?? '';
    const digits = codeDigits[escape] ?? 0;
    const code = Number.parseInt(source.slice(at + 2, at + 2 + digits), 16);
    const isBlankCode = digits > 0 && isBlank(code);
    return {
      length: 2 + digits,
      characters: digits > 0 && code > 0xffff ? 2 : 1,
      isBlank: isBlankCode || (digits === 0 && blankEscapes.includes(escape)),
      character: null,
    };
  }
  const length = style === 'single' && character === "'" && source[at + 1] === "'" ? 2 : 1;
  return { length, characters: 1, isBlank: isBlank(source.charCodeAt(at)), character };
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x09 || code === 0x0d;
}
