import { RowError } from './expression.ts';

/**
 * to_char() of numbers: the template is read into parts once, then each number is laid out over them digit by digit, as NUM_processor
 * of formatting.c does. Not supported: RN (Roman), EEEE, V.
 */
export interface NumberFormat {
  readonly parts: readonly Part[];
  /** Digits that the template has before and after the point. */
  readonly pre: number;
  readonly post: number;
  /** Position of the first 0 among the digits before the point; -1 without one. */
  readonly zeroStart: number;
  readonly zeroEnd: number;
  readonly decimal: boolean;
  readonly fill: boolean;
  readonly sign: 'none' | 'before' | 'after';
  readonly plus: boolean;
  readonly minus: boolean;
  readonly bracket: boolean;
}

type Keyword =
  | 'FM'
  | 'MI'
  | 'PL'
  | 'PR'
  | 'SG'
  | 'SP'
  | 'TH'
  | 'th'
  | 'S'
  | 'D'
  | 'G'
  | 'L'
  | 'B'
  | 'C'
  | '0'
  | '9'
  | ','
  | '.';
type Part = { readonly key: Keyword } | { readonly text: string };

const keywords = /^(?:EEEE|FM|MI|PL|PR|RN|SG|SP|TH|[BCDGLSV09,.])/i;

export function readNumberFormat(template: string): NumberFormat {
  const parts: Part[] = [];
  for (let at = 0; at < template.length;) {
    const rest = template.slice(at);
    const key = keywords.exec(rest)?.[0];
    if (key !== undefined) {
      parts.push({ key: keywordOf(key, template) });
      at += key.length;
    } else if (rest.startsWith('"')) {
      const quoted = /^"((?:[^"\\]|\\[^])*)"?/.exec(rest);
      parts.push({ text: (quoted?.[1] ?? '').replaceAll(/\\([^])/g, '$1') });
      at += quoted?.[0].length ?? 1;
    } else {
      const escaped = rest.startsWith('\\"');
      parts.push({ text: escaped ? '"' : String.fromCodePoint(rest.codePointAt(0) as number) });
      at += escaped ? 2 : (parts.at(-1) as { text: string }).text.length;
    }
  }
  return describe(parts);
}

function keywordOf(text: string, template: string): Keyword {
  const upper = text.toUpperCase();
  if (upper === 'RN' || upper === 'EEEE' || upper === 'V') {
    throw new RowError('0A000', `"${text}" in the number format "${template}" is not supported in views`);
  }
  return text === 'th' ? 'th' : (upper as Keyword);
}

/** Counts digits and finds where signs go, in the template's order. */
function describe(parts: readonly Part[]): NumberFormat {
  let [pre, post, zeroStart, zeroEnd, signAt] = [0, 0, -1, 0, -1];
  let [decimal, fill, plus, minus, bracket] = [false, false, false, false, false];
  let sign: NumberFormat['sign'] = 'none';
  for (const part of parts) {
    if (!('key' in part)) continue;
    const { key } = part;
    if ((key === '9' || key === '0') && bracket) throw syntax(`"${key}" must be ahead of "PR"`);
    if (key === '0' && zeroStart < 0 && !decimal) zeroStart = pre;
    if (key === '9' || key === '0') {
      if (decimal) post++;
      else pre++;
    }
    if (key === '0') zeroEnd = pre + post;
    if (key === '.' || key === 'D') {
      if (decimal) throw syntax('multiple decimal points');
      decimal = true;
    }
    if (key === 'S') {
      if (sign !== 'none') throw syntax('cannot use "S" twice');
      if (plus || minus || bracket) throw syntax('cannot use "S" and "PL"/"MI"/"SG"/"PR" together');
      sign = decimal ? 'after' : 'before';
      signAt = pre;
    }
    if ((key === 'MI' || key === 'PL' || key === 'SG') && sign !== 'none')
      throw syntax(`cannot use "S" and "${key}" together`);
    if (key === 'PR' && (sign !== 'none' || plus || minus))
      throw syntax('cannot use "PR" and "S"/"PL"/"MI"/"SG" together');
    fill ||= key === 'FM';
    minus ||= key === 'MI' || key === 'SG';
    plus ||= key === 'PL' || key === 'SG';
    bracket ||= key === 'PR';
  }
  if (sign === 'before' && signAt === pre && !plus && !minus) sign = 'after';
  return { parts, pre, post, zeroStart, zeroEnd, decimal, fill, sign, plus, minus, bracket };
}

function syntax(message: string): RowError {
  return new RowError('42601', message);
}

/** `number`: the digits of a number already rounded to the format's digits after the point, with its sign in front. */
export function formatNumber(number: string, format: NumberFormat): string {
  return new Layout(number, format).print();
}

/** One number on its way over a template. */
class Layout {
  readonly #format: NumberFormat;
  readonly #negative: boolean;
  readonly #number: string;
  /** Places of the template before the number's first digit. */
  readonly #leading: number;
  /** With FM: the index of the last digit worth showing, or of the point when none after it is. -1: all are. */
  readonly #lastRelevant: number;
  readonly #end: number;
  readonly #bracket: boolean;
  #signWritten: boolean;
  #place = 0;
  #at = 0;
  #inNumber = false;
  /** A place after the number's last character writes the C string's end there, so that nothing after it is seen. */
  #ended = false;
  #text = '';

  constructor(number: string, format: NumberFormat) {
    const { pre, post, fill, plus, minus, sign } = format;
    this.#format = format;
    this.#negative = number.startsWith('-');
    const digits = this.#negative ? number.slice(1) : number;
    const before = digits.includes('.') ? digits.indexOf('.') : digits.length;
    this.#number = before > pre ? `${'#'.repeat(pre)}.${'#'.repeat(post)}` : digits;
    this.#leading = Math.max(0, pre - before);
    this.#bracket = format.bracket && !(fill && !this.#negative && !plus && !minus);
    this.#signWritten = plus || minus ? minus : !this.#negative && fill && sign === 'none';
    this.#lastRelevant = fill && format.decimal ? this.#relevant() : -1;
    const count = post + pre - 1 + (!this.#signWritten && this.#leading === 0 ? 1 : 0);
    this.#end = count + (this.#leading > 0 ? 1 : 0) + (format.decimal ? 1 : 0);
  }

  #relevant(): number {
    const point = this.#number.indexOf('.');
    if (point < 0) return -1;
    let last = point;
    for (let at = point + 1; at < this.#number.length; at++) if (this.#number[at] !== '0') last = at;
    const { zeroEnd } = this.#format;
    if (zeroEnd <= this.#leading) return last;
    return Math.max(last, Math.min(this.#number.length - 1, zeroEnd - this.#leading));
  }

  print(): string {
    for (const part of this.#format.parts) {
      if (this.#ended) break;
      if ('key' in part) this.#part(part.key);
      else this.#text += part.text;
    }
    return this.#text;
  }

  #part(key: Keyword): void {
    const { fill } = this.#format;
    switch (key) {
      case '0':
      case '9':
      case '.':
      case 'D':
        return this.#digit(key);
      case ',':
      case 'G':
        if (this.#inNumber) this.#text += ',';
        else if (!fill) this.#text += ' ';
        return undefined;
      case 'L':
        this.#text += ' ';
        return undefined;
      case 'TH':
      case 'th':
        this.#text += this.#ordinal(key);
        return undefined;
      case 'MI':
        this.#text += this.#negative ? '-' : fill ? '' : ' ';
        return undefined;
      case 'PL':
        this.#text += this.#negative ? (fill ? '' : ' ') : '+';
        return undefined;
      case 'SG':
        this.#text += this.#negative ? '-' : '+';
        return undefined;
      default:
        return undefined;
    }
  }

  #ordinal(key: 'TH' | 'th'): string {
    const number = this.#number;
    if (number.startsWith('#') || this.#negative || this.#format.decimal) return '';
    const last = number.slice(-1);
    if (last === '.') throw new RowError('22P02', `"${number}" is not a number`);
    const teen = number.length > 1 && number.at(-2) === '1';
    const ending = teen ? 'th' : last === '1' ? 'st' : last === '2' ? 'nd' : last === '3' ? 'rd' : 'th';
    return key === 'TH' ? ending.toUpperCase() : ending;
  }

  #digit(key: '0' | '9' | '.' | 'D'): void {
    const { zeroStart, fill } = this.#format;
    this.#inNumber = false;
    if (!this.#signWritten) this.#leadingSign();
    if (this.#place < this.#leading) {
      if (zeroStart < 0 || zeroStart > this.#place) this.#text += fill ? '' : ' ';
      else {
        this.#text += '0';
        this.#inNumber = true;
      }
    } else this.#numberAt(key);
    if (!this.#ended) this.#trailingSign();
    this.#place++;
  }

  #leadingSign(): void {
    const { zeroStart, fill, sign } = this.#format;
    if (this.#place < this.#leading && zeroStart !== this.#place) return;
    if (this.#isBarePoint() && !this.#endsAtPoint()) return;
    if (sign !== 'none') {
      if (sign === 'after') return;
      this.#text += this.#negative ? '-' : '+';
    } else if (this.#bracket) this.#text += this.#negative ? '<' : ' ';
    else if (this.#negative) this.#text += '-';
    else if (!fill) this.#text += ' ';
    this.#signWritten = true;
  }

  #numberAt(key: '0' | '9' | '.' | 'D'): void {
    const character = this.#number[this.#at] ?? '';
    if (character === '.') this.#text += '.';
    else if (this.#lastRelevant < 0 || this.#at <= this.#lastRelevant || key === '0') {
      if (this.#isBarePoint()) {
        if (!this.#format.fill) this.#text += ' ';
        else if (this.#endsAtPoint()) this.#text += '0';
      } else {
        this.#text += character;
        this.#inNumber = true;
        this.#ended = character === '';
      }
    }
    if (this.#at < this.#number.length) this.#at++;
  }

  /** Whether the 0 before the point is not shown: 0.1 under 9.9 is ` .1`. */
  #isBarePoint(): boolean {
    const { zeroStart, post } = this.#format;
    return zeroStart < 0 && this.#at === 0 && this.#number.startsWith('0') && post !== 0;
  }

  #endsAtPoint(): boolean {
    return this.#lastRelevant >= 0 && this.#number[this.#lastRelevant] === '.';
  }

  #trailingSign(): void {
    const end = this.#lastRelevant >= 0 && this.#lastRelevant === this.#at ? this.#place : this.#end;
    if (this.#place + 1 !== end) return;
    if (this.#signWritten && this.#bracket) this.#text += this.#negative ? '>' : ' ';
    else if (this.#format.sign === 'after') this.#text += this.#negative ? '-' : '+';
  }
}
