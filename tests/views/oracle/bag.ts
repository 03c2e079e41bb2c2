/** Rows with how often they occur: what a query's answer is, whatever its order. */
export class RowBag {
  readonly #counts = new Map<string, number>();
  size = 0;

  static of(rows: readonly (readonly (string | null)[])[]): RowBag {
    const bag = new RowBag();
    for (const row of rows) bag.add(row, 1);
    return bag;
  }

  add(row: readonly (string | null)[], weight: number): void {
    this.#addText(textOfRow(row), weight);
  }

  equals(other: RowBag): boolean {
    if (this.#counts.size !== other.#counts.size) return false;
    for (const [row, count] of this.#counts) {
      if (other.#counts.get(row) !== count) return false;
    }
    return true;
  }

  /** Rows that occur more often here than in the other, with how much more. */
  without(other: RowBag): { readonly row: string; readonly count: number }[] {
    const more: { row: string; count: number }[] = [];
    for (const [row, count] of this.#counts) {
      const surplus = count - (other.#counts.get(row) ?? 0);
      if (surplus > 0) more.push({ row: readable(row), count: surplus });
    }
    for (const [row, count] of other.#counts) {
      if (count < 0 && !this.#counts.has(row)) more.push({ row: readable(row), count: -count });
    }
    return more;
  }

  /** The same with equal values written equally: 1.50 as 1.5, -0 as 0, two days as 48 hours. */
  normalised(): RowBag {
    const bag = new RowBag();
    for (const [row, count] of this.#counts) {
      const plain = row
        .replaceAll(intervalText, inSeconds)
        .replaceAll(/(\d+\.\d*?)0+(?!\d)/g, '$1')
        .replaceAll(/(\d)\.(?!\d)/g, '$1')
        .replaceAll(/-0(?![\d.])/g, '0');
      bag.#addText(plain, count);
    }
    return bag;
  }

  #addText(text: string, weight: number): void {
    const count = (this.#counts.get(text) ?? 0) + weight;
    if (count === 0) this.#counts.delete(text);
    else this.#counts.set(text, count);
    this.size += weight;
  }
}

const intervalText =
  /(?<![\w.+-])(?:[+-]?\d+ (?:year|mon|day)s?(?!\w) ?)+(?:[+-]?\d+:\d\d:\d\d(?:\.\d+)?)?|(?<![\w.+-])-?\d+:\d\d:\d\d(?:\.\d+)?/g;

/** As `=` takes intervals: a month has 30 days, and a day 24 hours. */
function inSeconds(text: string): string {
  const amount = (unit: string): bigint => BigInt(new RegExp(`([+-]?\\d+) ${unit}`).exec(text)?.[1] ?? 0);
  const days = amount('year') * 360n + amount('mon') * 30n + amount('day');
  const time = /([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?$/.exec(text);
  const [, sign = '', hours = '0', minutes = '0', seconds = '0', fraction = ''] = time ?? [];
  const micros =
    (BigInt(hours) * 3600n + BigInt(minutes) * 60n + BigInt(seconds)) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
  return `${days * 86_400_000_000n + (sign === '-' ? -micros : micros)} µs`;
}

/** NULL differs from every text, and no text has the character that ends it. */
function textOfRow(row: readonly (string | null)[]): string {
  let text = '';
  for (const value of row) text += value === null ? '\u0000' : `=${value}\u0000`;
  return text;
}

function readable(text: string): string {
  return text
    .split('\u0000')
    .slice(0, -1)
    .map((value) => (value === '' ? 'NULL' : value.slice(1)))
    .join(' | ');
}

/** What two answers differ in, a few rows of it. */
export function difference(expected: RowBag, actual: RowBag): string {
  const lines = [
    `${expected.size} rows expected, ${actual.size} there`,
    shown('missing', expected, actual),
    shown('wrong', actual, expected),
  ];
  return lines.filter((line) => line !== '').join('\n');
}

function shown(title: string, bag: RowBag, other: RowBag): string {
  const more = bag.without(other);
  return more
    .slice(0, 8)
    .map(({ row, count }) => `  ${title}: ${count > 1 ? `${count} × ` : ''}${row}`)
    .concat(more.length > 8 ? [`  … ${more.length - 8} more`] : [])
    .join('\n');
}
