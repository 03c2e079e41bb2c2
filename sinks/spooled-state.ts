import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { TidemarkError, messageOf } from '../base/errors.ts';
import { ChangeCursor } from '../model/change.ts';
import { ByteWriter } from '../model/json-writer.ts';
import type { ChangeSet } from './change-set.ts';
import type { LineEncoder } from './line-encoder.ts';
import { Spool } from './spool.ts';
import type { SpooledRow } from './spool.ts';

/** What the changes of a sink come to as long as nothing of it may be shown, as JSON: the first commit of a feed is the whole of it. */
export class SpooledState {
  readonly #spool: Spool;
  readonly #keyed: boolean;
  readonly #record = new ChangeCursor();
  readonly #scratch = new ByteWriter(1024);

  /** `keyed`: rows are told apart by their keys, and otherwise by all they hold. */
  constructor(path: string, keyed: boolean) {
    mkdirSync(dirname(path), { recursive: true });
    this.#spool = new Spool(path, keyed);
    this.#keyed = keyed;
  }

  /** Takes the changes [from, to) of the set, all or none; ROW_REJECTED when a value has no JSON. */
  apply(encoder: LineEncoder, changes: ChangeSet, from: number, to: number): void {
    this.#spool.write(() => {
      for (let index = from; index < to; index++) {
        changes.locate(index, this.#record);
        this.#take(encoder, changes.seqAt(index));
      }
    });
  }

  rows(): Generator<SpooledRow> {
    return this.#spool.rows();
  }

  /** Lets the state go, with what it holds on disk. */
  close(): void {
    this.#spool.close();
  }

  #take(encoder: LineEncoder, seq: number): void {
    const record = this.#record;
    const { bytes } = record;
    const keyed = this.#keyed;
    if (!record.hasAfter || (!keyed && record.hasBefore)) {
      this.#spool.delete(keyed ? record.key() : bytes.subarray(record.beforeStart, record.beforeEnd));
    }
    if (!record.hasAfter) return;
    const id = keyed ? record.key() : bytes.subarray(record.afterStart, record.afterEnd);
    const key = this.#text(() => encoder.writeKey(record, this.#scratch));
    const doc = this.#text(() => encoder.writeDoc(record, this.#scratch));
    this.#spool.upsert(id, { key, doc, seq });
  }

  #text(write: () => void): string {
    this.#scratch.reset();
    try {
      write();
    } catch (error) {
      throw new TidemarkError('ROW_REJECTED', messageOf(error), { cause: error });
    }
    return this.#scratch.buffer.toString('utf8', 0, this.#scratch.at);
  }
}
