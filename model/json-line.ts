import { TidemarkError } from '../base/errors.ts';

/**
 * Finds the values of known members in lines that hold one JSON object each (RFC 8259), without building the object: positions into
 * the line's bytes, to be read by whoever knows the member's type. Costs about 2 ns a byte where members come in the same order
 * line after line, as they do.
 */
export const jsonAbsent = 0;
export const jsonNull = 1;
export const jsonTrue = 2;
export const jsonFalse = 3;
/** A number; start and end enclose its text. */
export const jsonNumber = 4;
/** A string without escapes; start and end enclose what is between the quotes. */
export const jsonString = 5;
/** A string with escapes; start and end enclose the quotes too, so that JSON.parse reads it. */
export const jsonEscaped = 6;
/** An object or array, verbatim. */
export const jsonNested = 7;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const braceOpen = 0x7b;
const braceClose = 0x7d;
const bracketOpen = 0x5b;
const bracketClose = 0x5d;
const minus = 0x2d;
const zero = 0x30;
const nine = 0x39;
const dot = 0x2e;

export class JsonLineScanner {
  /** Of each known member: one of the `json…` kinds, and where its value is. The last one counts where a name is repeated. */
  readonly kind: Uint8Array;
  readonly start: Int32Array;
  readonly end: Int32Array;
  /** Members of the object last scanned that have none of the known names. */
  unknown = 0;
  readonly #positions: ReadonlyMap<string, number>;
  /** `"name":` of each member, as most writers print it. */
  readonly #prefixes: readonly Buffer[];
  #bytes: Buffer = Buffer.alloc(0);
  #to = 0;
  #lineStart = 0;
  /** Kind of the value that `#value` went over last, and its first and last byte. */
  #valueKind = 0;
  #valueStart = 0;
  #valueEnd = 0;

  constructor(names: readonly string[]) {
    this.#positions = new Map(names.map((name, index) => [name, index]));
    this.#prefixes = names.map((name) => Buffer.from(`${JSON.stringify(name)}:`));
    this.kind = new Uint8Array(names.length);
    this.start = new Int32Array(names.length);
    this.end = new Int32Array(names.length);
  }

  /** Scans the object in `bytes[from..to)`. VALUE_INVALID, with the byte's place in the line, for what is no JSON object. */
  scan(bytes: Buffer, from: number, to: number): void {
    this.#bytes = bytes;
    this.#to = to;
    this.#lineStart = from;
    this.unknown = 0;
    this.kind.fill(jsonAbsent);
    let at = this.#blank(from);
    if (bytes[at] !== braceOpen || at >= to) this.#fail(at, 'an object is expected');
    at = this.#blank(at + 1);
    if (at < to && bytes[at] === braceClose) return this.#end(at + 1);
    let expected = 0;
    for (;;) {
      const member = this.#member(at, expected);
      at = this.#value(this.#valueEnd);
      if (member >= 0) {
        this.kind[member] = this.#valueKind;
        this.start[member] = this.#valueStart;
        this.end[member] = this.#valueEnd;
        expected = member + 1;
      } else {
        this.unknown++;
      }
      if (at < to && (bytes[at] as number) <= 0x20) at = this.#blank(at);
      const next = at < to ? bytes[at] : -1;
      if (next === comma) at++;
      else if (next === braceClose) return this.#end(at + 1);
      else this.#fail(at, "',' or '}' is expected");
      if (at < to && (bytes[at] as number) <= 0x20) at = this.#blank(at);
    }
  }

  /** The text of a member that is a string or a number, or JSON of another kind. */
  text(member: number): string {
    const { start, end } = this;
    if (this.kind[member] === jsonEscaped) {
      return JSON.parse(this.#bytes.toString('utf8', start[member], end[member])) as string;
    }
    return this.#bytes.toString('utf8', start[member], end[member]);
  }

  /** Goes over a member's name and colon; leaves the value's place in `#valueEnd`. Returns the member's number, or −1. */
  #member(at: number, expected: number): number {
    const prefix = this.#prefixes[expected];
    if (prefix !== undefined && this.#startsWith(prefix, at)) {
      this.#valueEnd = at + prefix.length;
      return expected;
    }
    if (at >= this.#to || this.#bytes[at] !== quote) this.#fail(at, 'a member name in double quotes is expected');
    const after = this.#string(at);
    const name = this.#bytes.toString('utf8', at, after);
    const unquoted = this.#valueKind === jsonString ? name.slice(1, -1) : (this.#parsed(name, at) as string);
    at = this.#blank(after);
    if (at >= this.#to || this.#bytes[at] !== colon) this.#fail(at, "':' is expected");
    this.#valueEnd = at + 1;
    return this.#positions.get(unquoted) ?? -1;
  }

  #startsWith(prefix: Buffer, at: number): boolean {
    const bytes = this.#bytes;
    if (at + prefix.length > this.#to) return false;
    for (let index = 0; index < prefix.length; index++) {
      if (bytes[at + index] !== prefix[index]) return false;
    }
    return true;
  }

  /** Goes over one value; returns the offset after it. */
  #value(from: number): number {
    const bytes = this.#bytes;
    const at = from < this.#to && (bytes[from] as number) > 0x20 ? from : this.#blank(from);
    const first = at < this.#to ? (bytes[at] as number) : -1;
    if (first === quote) {
      const after = this.#string(at);
      const isPlain = this.#valueKind === jsonString;
      this.#valueStart = isPlain ? at + 1 : at;
      this.#valueEnd = isPlain ? after - 1 : after;
      return after;
    }
    this.#valueStart = at;
    let after = at;
    if (first === minus || (first >= zero && first <= nine)) after = this.#number(at);
    else if (first === braceOpen || first === bracketOpen) after = this.#nested(at);
    else after = this.#word(at);
    this.#valueEnd = after;
    return after;
  }

  #string(at: number): number {
    const bytes = this.#bytes;
    const to = this.#to;
    let kind = jsonString;
    for (let index = at + 1; index < to; index++) {
      const byte = bytes[index] as number;
      if (byte === quote) {
        this.#valueKind = kind;
        if (kind === jsonEscaped) this.#parsed(bytes.toString('utf8', at, index + 1), at);
        return index + 1;
      }
      if (byte === backslash) {
        kind = jsonEscaped;
        index++;
      } else if (byte < 0x20) {
        this.#fail(index, 'a control character in a string');
      }
    }
    return this.#fail(to, 'the string does not end');
  }

  #number(at: number): number {
    const bytes = this.#bytes;
    const to = this.#to;
    let index = bytes[at] === minus ? at + 1 : at;
    const first = index;
    while (index < to && isDigit(bytes[index] as number)) index++;
    if (index === first || (bytes[first] === zero && index - first > 1)) this.#fail(at, 'not a number');
    if (index < to && bytes[index] === dot) {
      const fraction = ++index;
      while (index < to && isDigit(bytes[index] as number)) index++;
      if (index === fraction) this.#fail(at, 'not a number');
    }
    if (index < to && ((bytes[index] as number) | 0x20) === 0x65 /* e */) {
      index++;
      if (index < to && (bytes[index] === minus || bytes[index] === 0x2b)) index++;
      const exponent = index;
      while (index < to && isDigit(bytes[index] as number)) index++;
      if (index === exponent) this.#fail(at, 'not a number');
    }
    this.#valueKind = jsonNumber;
    return index;
  }

  /** Objects and arrays are rare in rows: their end is found here, and JSON.parse says whether they are right. */
  #nested(at: number): number {
    const bytes = this.#bytes;
    let depth = 0;
    for (let index = at; index < this.#to; index++) {
      const byte = bytes[index];
      if (byte === quote) {
        index = this.#string(index) - 1;
      } else if (byte === braceOpen || byte === bracketOpen) {
        depth++;
      } else if ((byte === braceClose || byte === bracketClose) && --depth === 0) {
        this.#parsed(bytes.toString('utf8', at, index + 1), at);
        this.#valueKind = jsonNested;
        return index + 1;
      }
    }
    return this.#fail(this.#to, 'the value does not end');
  }

  #word(at: number): number {
    for (const [word, kind] of words) {
      if (this.#startsWith(word, at)) {
        this.#valueKind = kind;
        return at + word.length;
      }
    }
    return this.#fail(at, 'a value is expected');
  }

  #end(at: number): void {
    const after = this.#blank(at);
    if (after < this.#to) this.#fail(after, 'the line goes on after the object');
  }

  #blank(from: number): number {
    const bytes = this.#bytes;
    let at = from;
    while (at < this.#to && (bytes[at] === 0x20 || bytes[at] === 0x09 || bytes[at] === 0x0d || bytes[at] === 0x0a))
      at++;
    return at;
  }

  #parsed(text: string, at: number): unknown {
    try {
      return JSON.parse(text);
    } catch {
      return this.#fail(at, 'not valid JSON');
    }
  }

  #fail(at: number, why: string): never {
    const shown = this.#bytes.toString('utf8', at, Math.min(this.#to, at + 20));
    const place =
      at >= this.#to ? 'at its end' : `at byte ${at - this.#lineStart + 1}, before ${JSON.stringify(shown)}`;
    throw new TidemarkError('VALUE_INVALID', `not a JSON object: ${why}, ${place}`);
  }
}

const words: readonly (readonly [Buffer, number])[] = [
  [Buffer.from('null'), jsonNull],
  [Buffer.from('true'), jsonTrue],
  [Buffer.from('false'), jsonFalse],
];

function isDigit(byte: number): boolean {
  return byte >= zero && byte <= nine;
}
