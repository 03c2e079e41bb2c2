import type { Figure } from './figure.ts';
import { judge } from './goals.ts';

const titles = ['figure', 'value', 'reference', 'ratio', 'goal', 'met', 'RSS', 'CPU an event', 'events'];
/** Columns of numbers, aligned to the right. */
const numeric = [1, 3, 6, 7, 8];

/** The figures for people, as the lines of a table of Markdown. */
export function table(figures: readonly Figure[]): string[] {
  const rows = figures.map(cells);
  const widths = titles.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column] ?? '')].map((cell) => cell.length)),
  );
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => pad(cell, widths[column] ?? 0, numeric.includes(column))).join(' | ')} |`;
  const rule = widths.map((size, column) => (numeric.includes(column) ? `${'-'.repeat(size - 1)}:` : '-'.repeat(size)));
  return [line(titles), `| ${rule.join(' | ')} |`, ...rows.map(line)];
}

function cells(figure: Figure): string[] {
  const { goal, met } = judge(figure);
  const { reference } = figure;
  return [
    figure.name,
    `${number(figure.value)} ${figure.unit}`,
    reference === null ? 'not on this machine' : `${reference.name}: ${number(reference.value)}`,
    figure.ratio === null ? '' : String(figure.ratio),
    goal,
    met === null ? '' : met ? 'yes' : 'no',
    `${figure.rss_mb} MB`,
    `${figure.cpu_us_per_event} µs`,
    number(figure.n),
  ];
}

function number(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 3 });
}

function pad(text: string, size: number, right: boolean): string {
  const blanks = ' '.repeat(Math.max(0, size - text.length));
  return right ? blanks + text : text + blanks;
}
