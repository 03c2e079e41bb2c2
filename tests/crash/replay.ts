import { dirname, join } from 'node:path';
import { systemFiles } from '../../base/files.ts';
import { readManifest, writeManifest } from '../../log/embedded/manifest.ts';
import { ChangeCursor, opDelete } from '../../model/change.ts';
import type { Log, Piece } from '../../model/log.ts';
import { unpackRow } from '../../model/row.ts';
import type { Table } from '../../model/table.ts';
import { Difference } from './difference.ts';

/** One row by column name, every value as its text. */
export type Row = ReadonlyMap<string, string | null>;

/** A transaction of the stream as the log has it. */
export interface LoggedCommit {
  readonly seq: number;
  readonly txId: string;
  readonly topics: ReadonlySet<string>;
  readonly snapshot: boolean;
  readonly state: Readonly<Record<string, string | null>>;
}

const shownBytes = 160;

interface Held {
  readonly bytes: Buffer;
  readonly schemaId: number;
}

/**
 * Folds a log to the newest row of each key, as any reader would, and notes the transactions that it passes. It goes on from where it
 * stopped, in any later copy of the same log. Fails on a gap or a repetition in `seq`.
 */
export class Replay {
  readonly stream: string;
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
  /** Every change of a transaction says what it replaces, and makes a difference. */
  readonly #isExact: boolean;

  constructor(stream: string, options: { isExact: boolean } = { isExact: false }) {
    this.stream = stream;
    this.#isExact = options.isExact;
  }

  /**
   * Lets compaction take only what was read here: the log in `directory`, whose program must not run, is given a cursor of ours, by this
   * name, beside its sinks'.
   */
  async holdCompaction(directory: string, name: string): Promise<void> {
    const path = join(directory, this.stream, 'cursors.json');
    if (this.seq === 0 || !(await systemFiles.exists(dirname(path)))) return;
    const cursors = await readManifest<Record<string, number>>(systemFiles, path);
    await writeManifest(systemFiles, path, { ...cursors, [name]: this.seq });
  }

  async read(log: Log, upTo = Infinity): Promise<void> {
    const reader = log.read(this.stream, { fromSeq: this.seq, follow: false });
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
      this.newestSeq = log.frontier(this.stream).seq;
      if (this.newestSeq < this.seq) {
        throw new Difference(`the log ends at ${this.newestSeq} and was read up to ${this.seq} before`);
      }
    } finally {
      await reader.close();
    }
  }

  /** Every row of a topic, with the columns that the newest version of its table has. */
  rows(topic: string): Row[] {
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
    const { seq, txId, snapshot, state = {} } = piece;
    this.commits.push({ seq, txId, snapshot, topics, state });
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
      if (this.#isExact && piece.kind === 'transaction')
        expectChange(cursor, rows.get(key), `${topic}, seq ${piece.seq}`);
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

/** Fails when the change was made before already, or of something else than there is. */
function expectChange(cursor: ChangeCursor, held: Held | undefined, where: string): void {
  const { bytes, hasBefore, hasAfter } = cursor;
  const before = hasBefore ? bytes.subarray(cursor.beforeStart, cursor.beforeEnd) : null;
  const after = hasAfter ? bytes.subarray(cursor.afterStart, cursor.afterEnd) : null;
  const replaces = held?.bytes ?? null;
  if (before === null ? replaces !== null : replaces?.equals(before) !== true) {
    throw new Difference(
      `${where}: a change of ${shown(before)} where the topic holds ${shown(replaces)}; it becomes ${shown(after)}`,
    );
  }
  if (before === null ? after === null : after?.equals(before) === true) {
    throw new Difference(`${where}: a change of ${shown(before)} that makes no difference`);
  }
}

function shown(bytes: Buffer | null): string {
  return bytes === null ? 'nothing' : JSON.stringify(bytes.toString('latin1').slice(0, shownBytes));
}
