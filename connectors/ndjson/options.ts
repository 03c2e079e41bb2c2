import type { Clock } from '../../base/clock.ts';
import type { Files } from '../../base/files.ts';
import type { DataType } from '../../model/data-type.ts';
import type { Report } from '../../model/events.ts';
import type { Log } from '../../model/log.ts';

/** The schema of all tables whose source has none. */
export const ndjsonSchema = 'public';

/** How the poll for a file's growth, and for a file that is not there yet, is paced. */
export const defaultPollMs = 50;

export interface NdjsonColumn {
  readonly name: string;
  readonly type: DataType;
  /** The type in SQL's words, as Column.declared has it. */
  readonly declared: string;
  /**
   * From what a line has (a number's text, a string's content, JSON) to the text that PostgreSQL prints for it; VALUE_INVALID for what
   * is no value of the type.
   */
  readonly input: (text: string) => string;
}

export interface NdjsonTable {
  readonly name: string;
  /** A stream has no key. */
  readonly kind: 'table' | 'stream';
  readonly columns: readonly NdjsonColumn[];
  /** Names of columns. */
  readonly key: readonly string[];
}

/** What is needed to look at the lines. */
export interface NdjsonTarget {
  /** The source's name in the configuration. */
  readonly name: string;
  /** Absolute path of a file, or `-` for standard input. */
  readonly path: string;
  /** At least one. With one, a line is a row of it. */
  readonly tables: readonly NdjsonTable[];
  readonly files: Files;
}

export interface NdjsonOptions extends NdjsonTarget {
  readonly log: Log;
  readonly clock: Clock;
  readonly report: Report;
  readonly pollMs?: number;
}
