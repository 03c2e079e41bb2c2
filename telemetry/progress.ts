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
  readonly #rates = new Map<string, Rate>();
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
        this.#rates.delete(source.name);
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
    const { snapshot } = source;
    let rate = this.#rates.get(source.name);
    if (!rate) {
      rate = new Rate();
      this.#rates.set(source.name, rate);
    }
    rate.sample(now, snapshot.rows);
    return describeSnapshot(source, rate.perSecond(), this.#output.isTTY === true);
  }
}

/** One line about a snapshot under way. The estimate is the server's; more rows than it make 100 %, not more. */
function describeSnapshot(source: SourceReport, rowsPerSecond: number, withBar: boolean): string {
  const { snapshot } = source;
  const estimated = Math.max(snapshot.rows_estimated, snapshot.rows);
  const share = estimated === 0 ? 0 : snapshot.rows / estimated;
  const parts = [`${formatCount(snapshot.rows)} of ~${formatCount(estimated)} rows`];
  if (snapshot.chunks_left > 0) parts.push(`${formatCount(snapshot.chunks_left)} chunks left`);
  if (snapshot.waiting_for !== null) {
    parts.push(`waits for ${snapshot.waiting_for}`);
  } else if (rowsPerSecond > 0) {
    parts.push(`${formatCount(rowsPerSecond)} rows/s`);
    parts.push(`${formatSeconds((estimated - snapshot.rows) / rowsPerSecond)} left`);
  }
  const filled = Math.round(share * barCells);
  const bar = withBar ? ` [${'█'.repeat(filled)}${'░'.repeat(barCells - filled)}]` : '';
  return `snapshot ${source.name}${bar} ${Math.floor(share * 100)} %  ${parts.join(' · ')}`;
}
