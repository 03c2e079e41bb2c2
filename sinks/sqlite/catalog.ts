import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { TidemarkError } from '../../base/errors.ts';
import type { Cursor } from '../port.ts';
import type { Layout } from './layout.ts';

/** What the file says about one sink. */
export interface SinkEntry {
  readonly fingerprint: string;
  /** The table that readers see, and how far it has come. */
  visible: { layout: Layout; cursor: Cursor } | null;
  /** The table that is being filled beside it. */
  copy: { layout: Layout; cursor: Cursor } | null;
}

/**
 * The bookkeeping tables. `_tidemark` is for everybody: one line a sink, how far the table that readers see has come.
 * `_tidemark_sinks` has each sink's tables and the position of a copy that is being filled; `_tidemark_owner` the token of the one
 * process that may write.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS _tidemark (
    sink TEXT PRIMARY KEY, seq INTEGER NOT NULL, position TEXT, epoch INTEGER NOT NULL, time_ms REAL NOT NULL);
  CREATE TABLE IF NOT EXISTS _tidemark_sinks (
    sink TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, layout TEXT, copy_layout TEXT,
    copy_seq INTEGER, copy_position TEXT, copy_epoch INTEGER, copy_time_ms REAL);
  CREATE TABLE IF NOT EXISTS _tidemark_owner (id INTEGER PRIMARY KEY CHECK (id = 1), token TEXT NOT NULL);
`;

export class Catalog {
  readonly #path: string;
  readonly #token: string;
  readonly #readToken: StatementSync;
  readonly #writeCursor: StatementSync;
  readonly #writeCopyCursor: StatementSync;
  readonly #writeEntry: StatementSync;

  /** Makes the tables where they are missing and takes the file over. Inside a write. SINK_TARGET when a table of these names is not ours. */
  constructor(db: DatabaseSync, path: string, token: string) {
    this.#path = path;
    this.#token = token;
    try {
      db.exec(schema);
      db.prepare('INSERT OR REPLACE INTO _tidemark_owner (id, token) VALUES (1, ?)').run(token);
      this.#readToken = db.prepare('SELECT token FROM _tidemark_owner WHERE id = 1');
      this.#writeCursor = db.prepare(`
        INSERT INTO _tidemark (sink, seq, position, epoch, time_ms) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (sink) DO UPDATE SET seq = excluded.seq, position = excluded.position, epoch = excluded.epoch, time_ms = excluded.time_ms`);
      this.#writeCopyCursor = db.prepare(
        'UPDATE _tidemark_sinks SET copy_seq = ?, copy_position = ?, copy_epoch = ?, copy_time_ms = ? WHERE sink = ?',
      );
      this.#writeEntry = db.prepare('INSERT OR REPLACE INTO _tidemark_sinks VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    } catch (error) {
      if (!(error instanceof Error) || !/no column|no such column|has no|may not be|columns but/.test(error.message))
        throw error;
      throw new TidemarkError(
        'SINK_TARGET',
        `${path} has tables named _tidemark that are not of this program's making`,
        {
          hint: 'Give the sink another file.',
          place: { file: path },
          cause: error,
        },
      );
    }
  }

  /** SINK_FENCED when another process has taken the file over since. */
  checkOwner(): void {
    if (this.#readToken.get()?.['token'] === this.#token) return;
    throw new TidemarkError('SINK_FENCED', `Another tidemark has taken over ${this.#path}`, {
      hint: 'Stop one of the two, then start this one again.',
      place: { file: this.#path },
    });
  }

  setCursor(sink: string, { seq, position, epoch, timeMs }: Cursor): void {
    this.#writeCursor.run(sink, seq, position, epoch, timeMs);
  }

  setCopyCursor(sink: string, { seq, position, epoch, timeMs }: Cursor): void {
    this.#writeCopyCursor.run(seq, position, epoch, timeMs, sink);
  }

  save(sink: string, { fingerprint, visible, copy }: SinkEntry): void {
    this.#writeEntry.run(
      sink,
      fingerprint,
      visible && JSON.stringify(visible.layout),
      copy && JSON.stringify(copy.layout),
      copy && copy.cursor.seq,
      copy && copy.cursor.position,
      copy && copy.cursor.epoch,
      copy && copy.cursor.timeMs,
    );
  }
}

export function forget(db: DatabaseSync, sink: string): void {
  db.prepare('DELETE FROM _tidemark WHERE sink = ?').run(sink);
  db.prepare('DELETE FROM _tidemark_sinks WHERE sink = ?').run(sink);
}

/** Every sink that the file knows, those of other configurations included. */
export function readEntries(db: DatabaseSync): Map<string, SinkEntry> {
  const entries = new Map<string, SinkEntry>();
  const rows = db.prepare('SELECT * FROM _tidemark_sinks LEFT JOIN _tidemark USING (sink)').all();
  for (const row of rows) {
    const layout = row['layout'];
    const copy = row['copy_layout'];
    entries.set(String(row['sink']), {
      fingerprint: String(row['fingerprint']),
      visible: typeof layout === 'string' ? { layout: JSON.parse(layout), cursor: cursorOf(row, '') } : null,
      copy: typeof copy === 'string' ? { layout: JSON.parse(copy), cursor: cursorOf(row, 'copy_') } : null,
    });
  }
  return entries;
}

function cursorOf(row: Record<string, unknown>, prefix: string): Cursor {
  const position = row[`${prefix}position`];
  return {
    epoch: Number(row[`${prefix}epoch`]),
    seq: Number(row[`${prefix}seq`]),
    position: typeof position === 'string' ? position : null,
    timeMs: Number(row[`${prefix}time_ms`]),
  };
}
