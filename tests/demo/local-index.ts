import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { formatCount } from '../../telemetry/units.ts';

export interface Search {
  readonly words: string;
  readonly hits: number;
  readonly best: readonly { readonly id: number; readonly text: string; readonly status: string }[];
  /** Of the two queries: count and the best hits. */
  readonly tookMs: number;
  /** The shop's position that the answer equals. */
  readonly position: string;
}

/** The sinks' SQLite file as any other program would read it: read-only, while tidemark writes it. */
export class LocalIndex {
  readonly #file: string;
  #db: DatabaseSync | null = null;

  constructor(file: string) {
    this.#file = file;
  }

  /** Whether both tables can be read: they appear at once, when the first snapshot is complete. */
  get isReady(): boolean {
    return this.#open() !== null;
  }

  /** The orders that contain all the words, best matches first. Null while the index is not ready. */
  search(words: string, limit: number): Search | null {
    return this.#atOneCommit((db, position) => {
      const started = performance.now();
      const found = db.prepare('SELECT count(*) AS hits FROM orders_search WHERE orders_search MATCH ?').get(words);
      const rows = db
        .prepare(
          `SELECT o.id, o.product, o.quantity, o.ship_to, o.status FROM orders_search s JOIN orders o ON o.id = s.rowid
           WHERE orders_search MATCH ? ORDER BY s.rank, o.id DESC LIMIT ?`,
        )
        .all(words, limit);
      const tookMs = performance.now() - started;
      const best = rows.map((row) => ({
        id: Number(row['id']),
        text: `${String(row['quantity'])} × ${String(row['product'])} for ${String(row['ship_to'])}`,
        status: String(row['status']),
      }));
      return { words, hits: Number(found?.['hits']), best, tookMs, position };
    });
  }

  /**
   * Whether customers and orders belong together, which they do after every transaction of the shop and in the middle of none:
   * a sentence if not, `whole` if so, null while the index is not ready.
   */
  look(): string | null {
    return this.#atOneCommit((db, position) => {
      const row = db
        .prepare(
          `SELECT (SELECT sum(orders) FROM customers) AS counted, (SELECT count(*) FROM orders) AS orders,
             (SELECT sum(spent_cents) FROM customers) AS spent, (SELECT sum(total_cents) FROM orders) AS total`,
        )
        .get();
      const counts = { counted: 0, orders: 0, spent: 0, total: 0, ...row };
      if (counts.counted === counts.orders && counts.spent === counts.total) return 'whole';
      const [counted, orders, spent, total] = [counts.counted, counts.orders, counts.spent, counts.total].map(
        formatCount,
      );
      return `at ${position} customers say ${counted} orders for ${spent} cents, and there are ${orders} for ${total}`;
    });
  }

  close(): void {
    this.#db?.close();
    this.#db = null;
  }

  /** Runs queries in one read transaction: all of them see the same commit. */
  #atOneCommit<T>(read: (db: DatabaseSync, position: string) => T): T | null {
    const db = this.#open();
    if (db === null) return null;
    db.exec('BEGIN');
    try {
      const row = db.prepare("SELECT position FROM _tidemark WHERE sink = 'orders'").get();
      return read(db, String(row?.['position']));
    } finally {
      db.exec('COMMIT');
    }
  }

  #open(): DatabaseSync | null {
    if (this.#db !== null) return this.#db;
    if (!existsSync(this.#file)) return null;
    let db: DatabaseSync | null = null;
    try {
      db = new DatabaseSync(this.#file, { readOnly: true, timeout: 1000 });
      const row = db.prepare("SELECT count(*) AS sinks FROM _tidemark WHERE sink IN ('customers', 'orders')").get();
      if (row?.['sinks'] === 2) this.#db = db;
    } catch {
      // The file is being made.
    }
    if (this.#db === null) db?.close();
    return this.#db;
  }
}
