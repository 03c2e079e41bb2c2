import type { Difference, DifferenceKind } from './compare.ts';

/** Keys of each list that an answer names at most; the counts are exact all the same. */
export const keysMax = 100_000;

/** What a verify found, as `--json` prints it: keys are JSON where the target keeps them so, else text. */
export interface VerifyAnswer {
  readonly sink: string;
  /** What the sink was compared with: its source table, its query run at the source, or the log. */
  readonly against: 'table' | 'query' | 'log';
  /** Rows that the sink should hold. */
  readonly rows: number;
  readonly counts: Readonly<Record<DifferenceKind, number>>;
  readonly missing: readonly string[];
  readonly extra: readonly string[];
  readonly different: readonly string[];
  /** There are more keys than the lists name. */
  readonly cut: boolean;
  readonly repaired: number;
  /** Of the rows that differ, those in which the log itself differs from the source. */
  readonly log_differs: number;
  /** Rows that differ in the order of an aggregate without ORDER BY alone, and so are no differences. */
  readonly order_only: number;
  /** Rows that changed all the time, so that they could not be judged. */
  readonly unsettled: number;
  /** Where the sink was compared with the log: how the tables of the sources compare with the log. */
  readonly tables: readonly TableAnswer[];
  readonly notes: readonly string[];
  readonly took_ms: number;
}

/** How a table of a source compares with its topic in the log. */
export interface TableAnswer {
  readonly table: string;
  readonly rows: number;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
}

/** Whether the sink, or the log that it is filled from, differs from the source when the work is done. */
export function differs(answer: Pick<VerifyAnswer, 'counts' | 'repaired' | 'tables'>): boolean {
  const { missing, extra, different } = answer.counts;
  const inTables = answer.tables.some((table) => table.missing + table.extra + table.different > 0);
  return inTables || missing + extra + different > answer.repaired;
}

/** Differences as they are found: counted all, named as far as `keysMax` goes. */
export class Tally {
  readonly counts: Record<DifferenceKind, number> = { missing: 0, extra: 0, different: 0 };
  readonly keys: Record<DifferenceKind, string[]> = { missing: [], extra: [], different: [] };
  cut = false;

  add(found: readonly Difference[]): void {
    for (const { key, kind, rows } of found) {
      this.counts[kind] += rows;
      if (this.keys[kind].length < keysMax) this.keys[kind].push(key);
      else this.cut = true;
    }
  }

  /** The keys as people look for them: 9 before 10. */
  sorted(): Record<DifferenceKind, readonly string[]> {
    const { missing, extra, different } = this.keys;
    return { missing: inOrder(missing), extra: inOrder(extra), different: inOrder(different) };
  }
}

/** Longer lists are for programs. */
const sortedMax = 10_000;

function inOrder(keys: readonly string[]): readonly string[] {
  if (keys.length > sortedMax) return keys;
  const { compare } = new Intl.Collator('en', { numeric: true });
  return keys.toSorted((a, b) => compare(a, b) || (a < b ? -1 : 1));
}

/** An answer as JSON text. A key that is a JSON object stands as it is, with all the digits of its numbers. */
export function answerJson(answer: VerifyAnswer): string {
  const { missing, extra, different, ...rest } = answer;
  const { sink, rows, repaired, ...others } = rest;
  const lists = Object.entries({ missing, extra, different }).map(
    ([name, keys]) => `${JSON.stringify(name)}:[${keys.map(keyJson).join(',')}]`,
  );
  const head = JSON.stringify({ sink, rows }).slice(0, -1);
  const tail = JSON.stringify({ repaired, ...others }).slice(1);
  return `${head},${lists.join(',')},${tail}`;
}

function keyJson(key: string): string {
  return /^\{.*\}$/s.test(key) && isJson(key) ? key : JSON.stringify(key);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
