/** Where the demo shows itself. */
export interface ScreenOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export type Style = 'bold' | 'dim' | 'good' | 'bad';
/** Wraps a text in the style, or leaves it as it is when colours are off. */
export type Paint = (style: Style, text: string) => string;

const codes: Record<Style, [on: number, off: number]> = { bold: [1, 22], dim: [2, 22], good: [32, 39], bad: [31, 39] };

const escape = '\u001B[';
const clearToEndOfLine = `${escape}K`;
const clearBelow = `${escape}J`;
const hideCursor = `${escape}?25l`;
const showCursor = `${escape}?25h`;

/** A frame of lines that is redrawn in place on a terminal; elsewhere there are only lines, one after the other. */
export class Screen {
  readonly isTerminal: boolean;
  readonly paint: Paint;
  readonly #output: ScreenOutput;
  #height = 0;
  #last = '';

  constructor(output: ScreenOutput, environment: Readonly<Record<string, string | undefined>>) {
    this.#output = output;
    this.isTerminal = output.isTTY === true && environment['TERM'] !== 'dumb';
    const coloured = this.isTerminal && (environment['NO_COLOR'] ?? '') === '';
    this.paint = (style, text) => {
      const [on, off] = codes[style];
      return coloured ? `${escape}${on}m${text}${escape}${off}m` : text;
    };
  }

  /** Shows a frame in place of the last one. Does nothing without a terminal. */
  draw(lines: readonly string[]): void {
    if (!this.isTerminal) return;
    const { columns = 80, rows = 24 } = this.#output;
    // One row stays free: writing into the last one would scroll, and the next frame would be drawn below this one.
    const shown = lines.slice(0, Math.max(1, rows - 1)).map((line) => cut(line, columns - 1));
    const frame = shown.map((line) => `${line}${clearToEndOfLine}\n`).join('');
    if (frame === this.#last) return;
    const up = this.#height > 0 ? `${escape}${this.#height}A\r` : hideCursor;
    this.#output.write(`${up}${frame}${clearBelow}`);
    this.#height = shown.length;
    this.#last = frame;
  }

  /** A line that stays. Only without a terminal: there the frame says it all. */
  say(line: string): void {
    if (!this.isTerminal) this.#output.write(`${line}\n`);
  }

  /** Leaves the last frame where it is; what follows is written below it. */
  end(lines: readonly string[]): void {
    if (this.#height > 0) this.#output.write(showCursor);
    this.#height = 0;
    for (const line of lines) this.#output.write(`${line}\n`);
  }
}

/** At most `width` characters, not counting colours; what they switched on is switched off. */
function cut(line: string, width: number): string {
  const [first = '', ...rest] = line.split(escape);
  let left = width;
  const take = (text: string): string => {
    const characters = Array.from(text);
    const taken = characters.slice(0, left);
    left -= taken.length;
    return taken.join('');
  };
  let result = take(first);
  for (const part of rest) {
    const end = part.indexOf('m') + 1;
    result += escape + part.slice(0, end) + take(part.slice(end));
  }
  return result;
}
