import { dirname, join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import { readManifest, writeManifest } from '../../log/embedded/manifest.ts';
import { ChangeCursor, opDelete } from '../../model/change.ts';
import type { Log, Piece } from '../../model/log.ts';
import { unpackRow } from '../../model/row.ts';
import type { Table } from '../../model/table.ts';
import { sourceName } from './schema.ts';
import { Difference } from './difference.ts';

/** One row by column name, every value as its text. */
export type Row = ReadonlyMap<string, string | null>;

/** A transaction of the source as the log has it. */
export interface LoggedCommit {
  readonly seq: number;
  readonly txId: string;
  readonly topics: ReadonlySet<string>;
  readonly snapshot: boolean;
}

interface Held {
  readonly bytes: Buffer;
  readonly schemaId: number;
}

/**
 * Folds a log to the newest row of each key, as any reader would, and notes the transactions that it passes. It goes on from where it
 * stopped, in any later copy of the same log. Fails on a gap or a repetition in `seq`.
 */
export class Replay {
  seq = 0;
  /** Number of the log's newest transaction when it was read last. */
  newestSeq = 0;
  readonly commits: LoggedCommit[] = [];
  /** Runs of transactions that compaction took before they were seen: how many numbers each holds, by the next place in `commits`. */
  readonly compacted: { readonly before: number; readonly numbers: number }[] = [];
  readonly #topics = new Map<string, Map<string, Held>>();
  readonly #tables = new Map<number, Table>();
  readonly #newest = new Map<string, Table>();
  readonly #cursor = new ChangeCursor();

  /** Reads the log in `directory`, up to `upTo` when given. The log is repaired as at a start, so give it a copy. */
  async readFrom(directory: string, upTo = Infinity): Promise<void> {
    const log = await openEmbeddedLog({ directory, files: systemFiles, clock: systemClock });
    try {
      await this.read(log, upTo);
    } finally {
      await log.close();
    }
  }

  /**
   * Lets compaction take only what was read here: the log in `directory`, whose program must not run, is given a cursor of ours beside
   * its sinks'.
   */
  async holdCompaction(directory: string): Promise<void> {
    const path = join(directory, sourceName, 'cursors.json');
    if (this.seq === 0 || !(await systemFiles.exists(dirname(path)))) return;
    const cursors = await readManifest<Record<string, number>>(systemFiles, path);
    await writeManifest(systemFiles, path, { ...cursors, 'crash test': this.seq });
  }

  async read(log: Log, upTo = Infinity): Promise<void> {
    const reader = log.read(sourceName, { fromSeq: this.seq, follow: false });
    try {
      let touched = new Set<string>();
      let previous = this.seq;
      for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
        for (const piece of batch.pieces) {
          if (piece.seq > upTo) continue;
          if (piece.first) this.#begin(piece, previous);
          if (piece.first) touched = new Set();
          this.#apply(log, piece, touched);
          if (!piece.last) continue;
          previous = piece.seq;
          this.#end(piece, touched);
        }
      }
      this.newestSeq = log.frontier(sourceName).seq;
      if (this.newestSeq < this.seq) {
        throw new Difference(`the log ends at ${this.newestSeq} and was read up to ${this.seq} before`);
      }
    } finally {
      await reader.close();
    }
  }

  /** Every row of a table, with the columns that the newest version of the table has. */
  rows(table: string): Row[] {
    const topic = `${sourceName}.public.${table}`;
    const newest = this.#newest.get(topic);
    if (newest === undefined) return [];
    return [...(this.#topics.get(topic)?.values() ?? [])].map((held) => this.#row(held, newest));
  }

  #begin(piece: Piece, previous: number): void {
    if (piece.kind === 'transaction') {
      if (piece.seq !== previous + 1) throw new Difference(`the log goes from seq ${previous} to ${piece.seq}`);
      return;
    }
    if (piece.seq <= previous) throw new Difference(`a net of the log ends at ${piece.seq}, before ${previous}`);
    this.compacted.push({ before: this.commits.length, numbers: piece.seq - previous });
    if (piece.kind === 'full') this.#topics.clear();
  }

  #end(piece: Piece, topics: ReadonlySet<string>): void {
    this.seq = piece.seq;
    if (piece.kind !== 'transaction') return;
    const { seq, txId, snapshot } = piece;
    this.commits.push({ seq, txId, snapshot, topics });
  }

  #apply(log: Log, piece: Piece, touched: Set<string>): void {
    const cursor = this.#cursor.reset(piece.changes.bytes);
    while (cursor.next()) {
      const table = this.#table(log, cursor.schemaId);
      const { topic } = table;
      touched.add(topic);
      let rows = this.#topics.get(topic);
      if (rows === undefined) this.#topics.set(topic, (rows = new Map()));
      const key = cursor.key().toString('latin1');
      if (cursor.op === opDelete) rows.delete(key);
      else {
        rows.set(key, {
          bytes: Buffer.from(cursor.bytes.subarray(cursor.afterStart, cursor.afterEnd)),
          schemaId: cursor.schemaId,
        });
      }
    }
  }

  #table(log: Log, schemaId: number): Table {
    let table = this.#tables.get(schemaId);
    if (table === undefined) {
      table = log.table(schemaId);
      if (table === undefined) throw new Difference(`the log has rows of schema ${schemaId} and not the schema`);
      this.#tables.set(schemaId, table);
      this.#newest.set(table.topic, table);
    }
    return table;
  }

  #row({ bytes, schemaId }: Held, newest: Table): Row {
    const table = this.#tables.get(schemaId);
    if (table === undefined) throw new Difference(`schema ${schemaId} is not known`);
    const values = unpackRow(bytes, 0, table.columns.length);
    const byId = new Map(table.columns.map(({ id }, position) => [id, values[position] ?? null]));
    return new Map(newest.columns.map(({ id, name }) => [name, byId.get(id) ?? null]));
  }
}
