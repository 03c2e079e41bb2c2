import { freeBuffer } from '../../base/free-buffer.ts';
import type { ChangeBatch } from '../../model/change.ts';
import { ChangeWriter, flagAfter, opRead } from '../../model/change.ts';
import type { KeyEncoding } from '../../model/key.ts';
import { keySizeMax, writeKeyNull, writeKeyPart } from '../../model/key.ts';
import { fieldPositions, readFields, shortValueMax } from '../../model/row.ts';
import { CopyTextReader } from './copy-text.ts';
import { packFields } from './healer.ts';
import type { Relation } from './relations.ts';

/** Pieces of a chunk are small, so that their last one, which is seldom full, wastes little. */
const pieceBytes = 256 * 1024;
const writerBytes = pieceBytes + 16 * 1024;

/** Buffers kept for use again: as many as the chunks in flight have (snapshot/in-flight.ts). */
const pooledMax = 30;

/** Buffers of pieces, used again: fresh ones cost page faults, and the old ones pile up until the collector comes. */
export class PiecePool {
  readonly #writers: ChangeWriter[] = [];

  take(): ChangeWriter {
    return this.#writers.pop() ?? new ChangeWriter(writerBytes);
  }

  /** Its batch may be written over from now on. One that has grown for a huge row is let go. */
  give(writer: ChangeWriter): void {
    if (writer.buffer.length > writerBytes || this.#writers.length >= pooledMax) {
      freeBuffer(writer.buffer);
      return;
    }
    writer.reset();
    this.#writers.push(writer);
  }

  clear(): void {
    for (const { buffer } of this.#writers.splice(0)) freeBuffer(buffer);
  }
}

/** What rows are packed by. */
export type PackedRelation = Pick<Relation, 'table' | 'schemaId' | 'keyEncodings'>;

/** Packs rows of COPY as records with op read, in pieces of bounded size. */
export class RowPacker {
  rows = 0;
  bytes = 0;
  readonly #relation: PackedRelation;
  readonly #tuple: Int32Array;
  readonly #key: readonly number[];
  readonly #reader: CopyTextReader;
  readonly #pool: PiecePool;
  /** Full pieces. */
  #full: ChangeWriter[] = [];
  #changes: ChangeWriter;
  /** Where the row added last is packed. */
  #lastBuffer: Buffer;
  #lastAt = 0;

  constructor(relation: PackedRelation, pool: PiecePool) {
    const columns = relation.table.columns.length;
    this.#relation = relation;
    this.#tuple = Int32Array.from({ length: columns }, (_, column) => column);
    this.#key = relation.table.key;
    this.#reader = new CopyTextReader(columns, fieldPositions(columns + 1));
    this.#pool = pool;
    this.#changes = pool.take();
    this.#lastBuffer = this.#changes.buffer;
  }

  /** Adds the row `buffer[start..end)`, in COPY's text format. */
  add(buffer: Buffer, start: number, end: number): void {
    const changes = this.#changes;
    const reader = this.#reader;
    reader.read(buffer, start, end);
    changes.begin(opRead, flagAfter, this.#relation.schemaId);
    this.#writeKey(changes);
    changes.endKey();
    this.#lastAt = changes.at;
    if (!reader.isPlain || !packPlain(changes, reader)) packFields(changes, reader.bytes, this.#tuple, reader.fields);
    changes.end();
    this.#lastBuffer = changes.buffer;
    this.rows++;
    this.bytes += end - start;
    if (changes.size < pieceBytes) return;
    this.#full.push(changes);
    this.#changes = this.#pool.take();
  }

  get hasPiece(): boolean {
    return this.#full.length > 0;
  }

  /** Hands full pieces over one by one; each is used again after its promise. */
  async handOver(rows: (batch: ChangeBatch) => Promise<void> | undefined): Promise<void> {
    for (const piece of this.#full.splice(0)) {
      const pending = rows(piece.batch());
      if (pending !== undefined) await pending;
      this.#pool.give(piece);
    }
  }

  async handOverRest(rows: (batch: ChangeBatch) => Promise<void> | undefined): Promise<void> {
    if (this.#changes.count > 0) this.#full.push(this.#changes);
    await this.handOver(rows);
  }

  /** All pieces; valid until `release`. */
  take(): ChangeBatch[] {
    return [...this.#full, this.#changes].filter(({ count }) => count > 0).map((piece) => piece.batch());
  }

  /** What the pieces take in memory. */
  get memoryBytes(): number {
    return this.#full.reduce((sum, { buffer }) => sum + buffer.length, this.#changes.buffer.length);
  }

  /** Nobody looks at the pieces any more, and no row is added. */
  release(): void {
    for (const piece of [...this.#full.splice(0), this.#changes]) this.#pool.give(piece);
  }

  /** The key of the row added last, as text. */
  lastKey(): string[] | null {
    if (this.rows === 0) return null;
    const columns = this.#tuple.length;
    const fields = fieldPositions(columns);
    readFields(this.#lastBuffer, this.#lastAt, columns, fields);
    return this.#key.map((column) => this.#lastBuffer.toString('utf8', fields.start[column], fields.end[column]));
  }

  #writeKey(changes: ChangeWriter): void {
    const { bytes, fields } = this.#reader;
    for (let part = 0; part < this.#key.length; part++) {
      const column = this.#key[part] as number;
      const from = fields.start[column] as number;
      const to = fields.end[column] as number;
      if (to < 0) {
        changes.reserve(1);
        changes.at = writeKeyNull(changes.buffer, changes.at);
        continue;
      }
      changes.reserve(keySizeMax(to - from));
      const encoding = this.#relation.keyEncodings[part] as KeyEncoding;
      changes.at = writeKeyPart(encoding, bytes, from, to, changes.buffer, changes.at);
    }
  }
}

/**
 * A row without NULLs and escapes is packed by one copy when all of its values are short: each then has one byte in front in a packed
 * row, and one byte (a tab) between it and the next in COPY's text. Returns false when a value is too long for that.
 */
function packPlain(into: ChangeWriter, reader: CopyTextReader): boolean {
  const { start, end } = reader.fields;
  const { columns } = reader;
  if (reader.longest > shortValueMax) return false;
  const from = start[0] as number;
  const to = end[columns - 1] as number;
  into.reserve(1 + to - from);
  const { buffer, at } = into;
  reader.bytes.copy(buffer, at + 1, from, to);
  for (let column = 0; column < columns; column++) {
    const first = start[column] as number;
    buffer[at + first - from] = (end[column] as number) - first;
  }
  into.at = at + 1 + to - from;
  return true;
}
