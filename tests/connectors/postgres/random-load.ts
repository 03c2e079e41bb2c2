import type { Client } from 'pg';
import { onTestFinished } from 'vitest';
import { systemCodeOf } from '../../../base/errors.ts';
import { connectTo } from '../../servers/suite.ts';

/** Two tables with everything that a load can meet: large values out of line, keys that move, a key of two columns. */
export const loadTables = `
  CREATE TABLE docs (id int PRIMARY KEY, n int NOT NULL, body text, note text);
  ALTER TABLE docs ALTER body SET STORAGE EXTERNAL;
  CREATE TABLE pairs (a text, b int, v numeric, PRIMARY KEY (a, b));
  INSERT INTO docs SELECT i, 0, CASE WHEN i % 3 = 0 THEN repeat('b' || i, 1000) END, 'n' FROM generate_series(1, 600) i;
  INSERT INTO pairs SELECT chr(97 + i % 26), i, i / 7.0 FROM generate_series(1, 600) i;
  ANALYZE docs, pairs`;

const states = new Set(['40P01', '23505', '40001']);

/** One session's transactions, drawn from `random`. */
export class Writer {
  readonly #client: Client;
  readonly #random: () => number;
  /**
   * Whether tables may be truncated. Not while a slot is made: PostgreSQL (17.10 at least) can leave such a slot unable to decode
   * ("could not map filenumber"), which is no concern of these tests.
   */
  truncates = false;

  private constructor(client: Client, random: () => number) {
    this.#client = client;
    this.#random = random;
  }

  static async open(url: string, random: () => number, settings = ''): Promise<Writer> {
    const client = await connectTo(url);
    onTestFinished(async () => client.end());
    if (settings !== '') await client.query(settings);
    return new Writer(client, random);
  }

  /** Runs one transaction of several statements. Deadlocks and keys that are taken roll it back, as an application would. */
  async transaction(): Promise<void> {
    const count = 1 + this.#pick(6);
    try {
      await this.#client.query('BEGIN');
      for (let index = 0; index < count; index++) {
        const savepoint = this.#random() < 0.2;
        if (savepoint) await this.#client.query('SAVEPOINT s');
        await this.#client.query(this.#statement());
        if (savepoint) await this.#client.query(this.#random() < 0.5 ? 'ROLLBACK TO s' : 'RELEASE s');
      }
      await this.#client.query(this.#random() < 0.1 ? 'ROLLBACK' : 'COMMIT');
    } catch (error) {
      await this.#client.query('ROLLBACK');
      if (!states.has(systemCodeOf(error) ?? '')) throw error;
    }
  }

  #statement(): string {
    const id = 1 + this.#pick(800);
    const other = 1 + this.#pick(800);
    const letter = String.fromCharCode(97 + this.#pick(26));
    switch (this.#pick(13)) {
      case 0:
        return `INSERT INTO docs VALUES (${id}, 0, repeat('new${id}', ${this.#pick(1500)}), NULL) ON CONFLICT DO NOTHING`;
      case 1:
        return `UPDATE docs SET n = n + 1 WHERE id BETWEEN ${id} AND ${id + this.#pick(20)}`;
      case 2:
        return `UPDATE docs SET body = repeat('up${other}', ${this.#pick(1500)}) WHERE id = ${id}`;
      case 3:
        return `DELETE FROM docs WHERE id BETWEEN ${id} AND ${id + this.#pick(5)}`;
      case 4:
      case 5:
        return `UPDATE docs SET id = ${other}, n = n + 1 WHERE id = ${id} AND NOT EXISTS (SELECT FROM docs WHERE id = ${other})`;
      case 6:
        return `UPDATE docs SET id = -id WHERE id IN (${id}, -${other})`;
      case 7:
        return `INSERT INTO pairs SELECT '${letter}', i, random() FROM generate_series(${id}, ${id + this.#pick(30)}) i ON CONFLICT (a, b) DO UPDATE SET v = excluded.v`;
      case 8:
        return `UPDATE pairs SET v = -v WHERE a = '${letter}' AND b % 3 = 0`;
      case 9:
        return `UPDATE pairs SET a = upper(a) || '${id}' WHERE a = '${letter}' AND b = ${id}`;
      case 10:
        return `DELETE FROM pairs WHERE b % 97 = ${id % 97}`;
      case 11:
        return `INSERT INTO docs SELECT i, 1, NULL, 'many' FROM generate_series(${1000 + id}, ${1000 + id + 50}) i ON CONFLICT (id) DO UPDATE SET note = 'again'`;
      default:
        return this.truncates && this.#random() < 0.08
          ? `TRUNCATE ${this.#random() < 0.5 ? 'pairs' : 'docs'}`
          : `UPDATE docs SET note = note || '.' WHERE id % 50 = ${id % 50}`;
    }
  }

  #pick(below: number): number {
    return Math.floor(this.#random() * below);
  }
}
