import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { formatCount } from '../../telemetry/units.ts';

export interface Hit {
  readonly id: number;
  /** Name and city. */
  readonly who: string;
  readonly orders: number;
  /** The part of what they ordered that fits the words best. */
  readonly products: string;
}

export interface Search {
  readonly words: string;
  readonly hits: number;
  readonly best: readonly Hit[];
  /** Of the two queries: count and the best hits. */
  readonly tookMs: number;
  /** The shop's position that the answer equals. */
  readonly position: string;
}

/** The sinks' SQLite file as any other program would read it: read-only, while tidemark writes it. */
export class LocalIndex {
  readonly #file: string;
  #db: DatabaseSync | null = null;
  /** Number of the step up to which documents have been looked into. */
  #lookedInto = -1;

  constructor(file: string) {
    this.#file = file;
  }

  /** Whether all can be read: the documents appear at once, when they have been made of the first snapshot. */
  get isReady(): boolean {
    return this.#open() !== null;
  }

  /** The customers whose documents contain all the words, best matches first. Null while the index is not ready. */
  search(words: string, limit: number): Search | null {
    return this.#atOneCommit((db, { position }) => {
      const started = performance.now();
      const found = db.prepare('SELECT count(*) AS hits FROM documents_search(?)').get(words);
      const rows = db
        .prepare(
          `SELECT d.id, d.name, d.city, d.order_count, snippet(documents_search, 2, '', '', '…', 6) AS products
           FROM documents_search(?) s JOIN documents d ON d.rowid = s.rowid ORDER BY s.rank, d.id DESC LIMIT ?`,
        )
        .all(words, limit);
      const tookMs = performance.now() - started;
      const best = rows.map((row) => ({
        id: Number(row['id']),
        who: `${String(row['name'])}, ${String(row['city'])}`,
        orders: Number(row['order_count']),
        products: String(row['products'] ?? ''),
      }));
      return { words, hits: Number(found?.['hits']), best, tookMs, position };
    });
  }

  /**
   * Whether every document is of one commit: what the shop says of a customer equals what the document holds, which is so after every
   * transaction of the shop and in the middle of none. Looks at the sums of all documents, and into those that changed since the last look.
   * A sentence if not, `whole` if so, null while the index is not ready.
   */
  look(): string | null {
    return this.#atOneCommit((db, { seq, position }) => {
      const row = db
        .prepare(
          `SELECT id, order_count, spent_cents, orders_found, spent_found FROM documents
           WHERE order_count <> orders_found OR spent_cents <> spent_found OR _seq > ? AND (
             json_array_length(orders) <> orders_found OR spent_found <> (
               SELECT coalesce(sum((line.value ->> 'quantity') * (line.value ->> 'price_cents')), 0)
               FROM json_each(orders) placed, json_each(placed.value, '$.lines') line))
           LIMIT 1`,
        )
        .get(this.#lookedInto);
      this.#lookedInto = seq;
      if (row === undefined) return 'whole';
      const [orders, cents, ordersFound, centsFound] = [
        'order_count',
        'spent_cents',
        'orders_found',
        'spent_found',
      ].map((name) => formatCount(Number(row[name])));
      return (
        `at ${position} customer ${String(row['id'])} has ${orders} orders for ${cents} cents,` +
        ` and the document sums ${ordersFound} for ${centsFound}, or has other lines than it sums`
      );
    });
  }

  close(): void {
    this.#db?.close();
    this.#db = null;
  }

  /** Runs queries in one read transaction: all of them see the same commit. */
  #atOneCommit<T>(read: (db: DatabaseSync, at: { seq: number; position: string }) => T): T | null {
    const db = this.#open();
    if (db === null) return null;
    db.exec('BEGIN');
    try {
      const row = db.prepare("SELECT seq, position FROM _tidemark WHERE sink = 'documents'").get();
      return read(db, { seq: Number(row?.['seq']), position: String(row?.['position']) });
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
      const row = db.prepare("SELECT count(*) AS sinks FROM _tidemark WHERE sink IN ('documents', 'customers')").get();
      if (row?.['sinks'] === 2) this.#db = db;
    } catch {
      // The file is being made.
    }
    if (this.#db === null) db?.close();
    return this.#db;
  }
}
