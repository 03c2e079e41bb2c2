import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';

/** A row as the first commit of a feed shows it. */
export interface SpooledRow {
  readonly key: string;
  readonly doc: string;
  readonly seq: number;
}

/**
 * The state of a feed that may not be shown yet: the newest row of every key, in a temporary database, so that memory stays bounded.
 * It is begun again after a restart, so it need not survive one. Rows without a key are told apart by what they hold.
 */
export class Spool {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;

  constructor(path: string, keyed: boolean) {
    this.#path = path;
    removeSpool(path);
    this.#db = new DatabaseSync(path);
    this.#db.exec(`
      PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384; PRAGMA locking_mode = EXCLUSIVE;
      CREATE TABLE rows (id BLOB NOT NULL, key TEXT NOT NULL, doc TEXT NOT NULL, seq INTEGER NOT NULL);
      CREATE ${keyed ? 'UNIQUE ' : ''}INDEX rows_id ON rows (id);`);
    const conflict = keyed
      ? 'ON CONFLICT (id) DO UPDATE SET key = excluded.key, doc = excluded.doc, seq = excluded.seq'
      : '';
    this.#insert = this.#db.prepare(`INSERT INTO rows VALUES (?, ?, ?, ?) ${conflict}`);
    this.#delete = this.#db.prepare('DELETE FROM rows WHERE rowid = (SELECT rowid FROM rows WHERE id = ? LIMIT 1)');
  }

  /** All changes of one call are one transaction of the spool: none of them stays when one fails. */
  write(changes: () => void): void {
    this.#db.exec('BEGIN');
    try {
      changes();
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  upsert(id: Buffer, { key, doc, seq }: SpooledRow): void {
    this.#insert.run(id, key, doc, seq);
  }

  delete(id: Buffer): void {
    this.#delete.run(id);
  }

  *rows(): Generator<SpooledRow> {
    for (const { key, doc, seq } of this.#db.prepare('SELECT key, doc, seq FROM rows ORDER BY id').iterate()) {
      yield { key: String(key), doc: String(doc), seq: Number(seq) };
    }
  }

  /** Lets the spool go, with what it holds. */
  close(): void {
    if (this.#db.isOpen) this.#db.close();
    removeSpool(this.#path);
  }
}

function removeSpool(path: string): void {
  for (const suffix of ['', '-journal']) rmSync(`${path}${suffix}`, { force: true });
}
