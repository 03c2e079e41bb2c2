import { Rate } from './rate.ts';
import type { SourceReport } from './status.ts';
import { formatCount, formatSeconds } from './units.ts';

const barCells = 24;
/** Without a terminal, a line this often is enough to see that it lives. */
const lineEveryMs = 10_000;
const clearLine = '\r\u001B[2K';

/** Where progress goes: the terminal that the log goes to as well. */
export interface ProgressOutput {
  write(text: string): void;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/**
 * Shows snapshots under way: one line that is redrawn in place on a terminal, a plain line every ten seconds elsewhere.
 * Log lines and the bar share the terminal: `around` takes the bar away for a line and puts it back.
 */
export class SnapshotProgress {
  readonly #output: ProgressOutput;
  readonly #now: () => number;
  readonly #seen = new Map<string, { readonly rate: Rate; readonly tables: Map<string, TableRows> }>();
  #shown = '';
  #lineAt = Number.NEGATIVE_INFINITY;

  /** `now` is a monotonic time in milliseconds. */
  constructor(output: ProgressOutput, now: () => number) {
    this.#output = output;
    this.#now = now;
  }

  /** Shows the state of all sources; called a few times a second. */
  update(sources: readonly SourceReport[]): void {
    const now = this.#now();
    const lines: string[] = [];
    for (const source of sources) {
      if (source.snapshot.state !== 'running') {
        this.#seen.delete(source.name);
        continue;
      }
      lines.push(this.#describe(source, now));
    }
    if (this.#output.isTTY === true) {
      this.#draw(lines.join('   '));
    } else if (lines.length > 0 && now - this.#lineAt >= lineEveryMs) {
      this.#lineAt = now;
      for (const line of lines) this.#output.write(`${line}\n`);
    }
  }

  /** Writes a line of the log above the bar. */
  around(line: string): void {
    if (this.#shown === '') {
      this.#output.write(line);
      return;
    }
    this.#output.write(`${clearLine}${line}${this.#shown}`);
  }

  /** Takes the bar away for good. */
  end(): void {
    this.#draw('');
  }

  #draw(text: string): void {
    // A terminal that does not say how wide it is (0, in some) is taken for a narrow one: a line that wraps cannot be redrawn.
    const line = text.slice(0, (this.#output.columns || 80) - 1);
    if (line === this.#shown) return;
    this.#output.write(clearLine + line);
    this.#shown = line;
  }

  #describe(source: SourceReport, now: number): string {
    let seen = this.#seen.get(source.name);
    if (!seen) {
      seen = { rate: new Rate(), tables: new Map() };
      this.#seen.set(source.name, seen);
    }
    const whole = wholeOf(source, seen.tables);
    seen.rate.sample(now, whole.rows);
    return describeSnapshot(source, whole, seen.rate.perSecond(), this.#output.isTTY === true);
  }
}

/** All tables of a snapshot, those that are done included: a source tells only of those under way. */
interface Whole {
  readonly rows: number;
  readonly estimated: number;
  readonly tables: number;
  readonly tablesDone: number;
}

interface TableRows {
  rows: number;
  estimated: number;
}

/** Takes over what the source says, and sums up with what it said of tables that are done by now. */
function wholeOf({ snapshot }: SourceReport, tables: Map<string, TableRows>): Whole {
  for (const { topic, rows, rows_estimated: estimated } of snapshot.tables) {
    tables.set(topic, { rows, estimated: Math.max(rows, estimated) });
  }
  if (tables.size === 0) {
    const { rows, rows_estimated: estimated } = snapshot;
    return { rows, estimated: Math.max(rows, estimated), tables: 0, tablesDone: 0 };
  }
  const underWay = new Map(snapshot.tables.map((table) => [table.topic, table]));
  let [rows, estimated, unknown] = [0, 0, 0];
  for (const [topic, table] of tables) {
    const now = underWay.get(topic);
    if (!now) table.rows = table.estimated;
    else if (now.state === 'waiting' && table.estimated === 0) unknown++;
    rows += table.rows;
    estimated += table.estimated;
  }
  // A table that has not been begun is taken for an average one: without it the end would seem near too early.
  const known = tables.size - unknown;
  if (known > 0) estimated = Math.round((estimated / known) * tables.size);
  return { rows, estimated, tables: tables.size, tablesDone: tables.size - underWay.size };
}

/** One line about a snapshot under way. The estimate is the server's; more rows than it make 100 %, not more. */
function describeSnapshot(
  { name, snapshot }: SourceReport,
  { rows, estimated, tables, tablesDone }: Whole,
  rowsPerSecond: number,
  withBar: boolean,
): string {
  const share = estimated === 0 ? 0 : rows / estimated;
  const parts = [`${formatCount(rows)} of ~${formatCount(estimated)} rows`];
  if (tables > 1) parts.push(`${formatCount(tablesDone)} of ${formatCount(tables)} tables`);
  if (snapshot.chunks_left > 0) parts.push(`${formatCount(snapshot.chunks_left)} chunks left`);
  if (snapshot.waiting_for !== null) {
    parts.push(`waits for ${snapshot.waiting_for}`);
  } else if (rowsPerSecond > 0) {
    parts.push(`${formatCount(rowsPerSecond)} rows/s`);
    parts.push(`${formatSeconds((estimated - rows) / rowsPerSecond)} left`);
  }
  const filled = Math.round(share * barCells);
  const bar = withBar ? ` [${'█'.repeat(filled)}${'░'.repeat(barCells - filled)}]` : '';
  return `snapshot ${name}${bar} ${Math.floor(share * 100)} %  ${parts.join(' · ')}`;
}
