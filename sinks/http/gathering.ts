import { present } from '../../base/assert.ts';
import type { ChangeCursor } from '../../model/change.ts';
import { ByteWriter } from '../../model/json-writer.ts';
import { writeUpsert } from '../line-encoder.ts';
import type { LineEncoder } from '../line-encoder.ts';
import type { RefusedChange } from '../port.ts';
import { rowIdentity, rowNameOf } from '../row-name.ts';
import type { SpooledRow } from '../spool.ts';

const comma = 0x2c;

/** What stands around the changes of a request. */
export interface Frame {
  readonly sink: string;
  readonly seq: number;
  /** As JSON. */
  readonly position: string;
  readonly snapshot?: true;
  /** Rows that were refused come again, at a position that the endpoint has reached. */
  readonly again?: true;
  readonly part?: number;
  readonly last?: boolean;
}

/**
 * Changes that wait to be sent, as the JSON that a request holds, each followed by a comma; and of each, what a dead letter of it must
 * say: where its key's JSON ends, and the bytes that tell its row apart.
 */
export class Gathering {
  readonly #lines = new ByteWriter(64 * 1024);
  readonly #keys = new ByteWriter(4 * 1024);
  readonly #rows = new ByteWriter(4 * 1024);
  #lineEnds: number[] = [];
  #keyEnds: number[] = [];
  #rowEnds: number[] = [];
  #seqs: number[] = [];

  get count(): number {
    return this.#lineEnds.length;
  }

  /** Bytes of JSON. */
  get bytes(): number {
    return this.#lines.at;
  }

  /** Adds a change; ROW_REJECTED, with nothing added, when a value has no JSON. */
  add(encoder: LineEncoder, record: ChangeCursor, seq: number): void {
    encoder.write(record, seq, this.#lines);
    encoder.writeKey(record, this.#keys);
    this.#rows.raw(rowIdentity(record));
    this.#end(seq);
  }

  /** Adds a row of a start, which has no dead letter. */
  addRow({ key, doc, seq }: SpooledRow): void {
    writeUpsert(key, doc, seq, this.#lines);
    this.#end(seq);
  }

  #end(seq: number): void {
    this.#lines.buffer[this.#lines.at - 1] = comma; // in place of the newline
    this.#lineEnds.push(this.#lines.at);
    this.#keyEnds.push(this.#keys.at);
    this.#rowEnds.push(this.#rows.at);
    this.#seqs.push(seq);
  }

  /** Number of the transaction of a change. */
  seqAt(index: number): number {
    return present(this.#seqs[index], 'a change that was gathered');
  }

  /** The body of a request with the changes [from, to). */
  body(frame: Frame, from: number, to: number): Buffer {
    const { sink, seq, position, snapshot, again, part, last } = frame;
    const parts = part === undefined ? '' : `,"part":${part},"last":${last}`;
    const flags = `${snapshot === true ? ',"snapshot":true' : ''}${again === true ? ',"again":true' : ''}${parts}`;
    const start = `{"sink":${JSON.stringify(sink)},"seq":${seq},"position":${position}${flags},"changes":[`;
    const lines = this.#lines.buffer.subarray(
      startOf(this.#lineEnds, from),
      startOf(this.#lineEnds, to) - (to > from ? 1 : 0),
    );
    return Buffer.concat([Buffer.from(start), lines, Buffer.from(']}')]);
  }

  /** The changes [from, to) as dead letters. */
  refused(sink: string, reason: string, from: number, to: number): RefusedChange[] {
    const refused: RefusedChange[] = [];
    for (let index = from; index < to; index++) {
      const key = this.#keys.buffer.toString('utf8', startOf(this.#keyEnds, index), startOf(this.#keyEnds, index + 1));
      const row = this.#rows.buffer.subarray(startOf(this.#rowEnds, index), startOf(this.#rowEnds, index + 1));
      refused.push({ sink, row: rowNameOf(row), key, seq: this.seqAt(index), reason });
    }
    return refused;
  }

  /** Forgets the first `count` changes. */
  drop(count: number): void {
    if (count === this.count) return this.clear();
    this.#lineEnds = dropFirst(this.#lines, this.#lineEnds, count);
    this.#keyEnds = dropFirst(this.#keys, this.#keyEnds, count);
    this.#rowEnds = dropFirst(this.#rows, this.#rowEnds, count);
    this.#seqs = this.#seqs.slice(count);
  }

  clear(): void {
    for (const writer of [this.#lines, this.#keys, this.#rows]) writer.reset();
    this.#lineEnds = [];
    this.#keyEnds = [];
    this.#rowEnds = [];
    this.#seqs = [];
  }
}

/** Where the item `index` begins, given where each ends. */
function startOf(ends: readonly number[], index: number): number {
  return index === 0 ? 0 : (ends[index - 1] ?? 0);
}

function dropFirst(writer: ByteWriter, ends: readonly number[], count: number): number[] {
  const cut = startOf(ends, count);
  writer.buffer.copyWithin(0, cut, writer.at);
  writer.at -= cut;
  return ends.slice(count).map((end) => end - cut);
}
