import { ChangeCursor, ChangeWriter, opCreate, opDelete, opUpdate } from '../../model/change.ts';
import type { Log } from '../../model/log.ts';
import { viewTopic, viewsStream } from '../port.ts';
import type { Records, StateStore } from '../state/port.ts';
import type { Row, StateKey } from '../value.ts';
import type { RowEncoder } from './view-topic.ts';
import type { ViewOutput } from './view-output.ts';

const readBytes = 256 * 1024;

/**
 * What a view's topic holds, and how that differs from the view's result: how results that were made anew take the place of published
 * ones, in one commit that says only what is different.
 *
 * The topic is read from its beginning into a scratch state: by the bytes of the key (of the row, where there is no key) the schema
 * id, how many there are, and the packed row; bytes as latin1 text.
 */
export class PublishedRows {
  readonly #output: ViewOutput;
  readonly #encoder: RowEncoder;
  readonly #scratch: Records;
  readonly #writer = new ChangeWriter();

  constructor(output: ViewOutput, encoder: RowEncoder, store: StateStore) {
    this.#output = output;
    this.#encoder = encoder;
    this.#scratch = store.records(`published:${output.view.name}`);
  }

  /** Reads the topic up to what is durable. `pause` is awaited between parts. */
  async load(log: Log, pause: () => Promise<void>): Promise<void> {
    await this.#clear(pause);
    const topics = new Set([viewTopic(this.#output.view.name)]);
    const reader = log.read(viewsStream, { fromSeq: 0, topics, follow: false, reuse: true });
    const record = new ChangeCursor();
    try {
      for (;;) {
        const batch = await reader.next(readBytes);
        if (batch === null) return;
        for (const piece of batch.pieces) {
          record.reset(piece.changes.bytes);
          while (record.next()) this.#take(record);
        }
        await pause();
      }
    } finally {
      await reader.close();
    }
  }

  /** Writes what takes the published rows to the result; yields often, so that what was written can be handed on. */
  *differences(into: ChangeWriter): Generator<void> {
    const scratch = this.#scratch;
    const { schemaId } = this.#encoder;
    const { hasKey } = this.#output;
    for (const [, record] of this.#output.results.entries()) {
      if (scratch.size === 0) {
        this.#create(hasKey ? 1 : (record[0] as number), hasKey ? record : record.slice(1), into);
        yield;
        continue;
      }
      const { key, packed, count, row } = this.#packed(record);
      const old = scratch.get(key);
      if (old === undefined) {
        this.#create(count, row, into);
      } else {
        scratch.delete(key);
        const isSame = old[0] === schemaId && old[2] === packed;
        if (!isSame) this.#update(key, old, row, into);
        else if (!this.#output.hasKey) this.#adjust(old, count, row, into);
      }
      yield;
    }
    const left: StateKey[] = [];
    for (const [key, old] of scratch.entries()) {
      this.#delete(key, old, into);
      left.push(key);
      yield;
    }
    for (const key of left) {
      scratch.delete(key);
      yield;
    }
  }

  async #clear(pause: () => Promise<void>): Promise<void> {
    const keys = Array.from(this.#scratch.entries(), ([key]) => key);
    for (const key of keys) this.#scratch.delete(key);
    await pause();
  }

  #take(record: ChangeCursor): void {
    const { bytes, keyStart, keyEnd, schemaId, hasAfter, hasBefore } = record;
    const scratch = this.#scratch;
    if (keyEnd > keyStart) {
      const key = bytes.toString('latin1', keyStart, keyEnd);
      if (hasAfter) scratch.set(key, [schemaId, 1, bytes.toString('latin1', record.afterStart, record.afterEnd)]);
      else scratch.delete(key);
      return;
    }
    if (hasBefore) this.#count(schemaId, bytes.toString('latin1', record.beforeStart, record.beforeEnd), -1);
    if (hasAfter) this.#count(schemaId, bytes.toString('latin1', record.afterStart, record.afterEnd), 1);
  }

  #count(schemaId: number, packed: string, weight: number): void {
    const key = `${schemaId}:${packed}`;
    const count = ((this.#scratch.get(key)?.[1] as number | undefined) ?? 0) + weight;
    if (count === 0) this.#scratch.delete(key);
    else this.#scratch.set(key, [schemaId, count, packed]);
  }

  #packed(record: Row): { key: string; packed: string; count: number; row: Row } {
    const { hasKey } = this.#output;
    const row = hasKey ? record : record.slice(1);
    const writer = this.#writer;
    writer.reset();
    this.#encoder.writeKey(row, writer);
    const keyEnd = writer.at;
    this.#encoder.writeRow(row, writer);
    const packed = writer.buffer.toString('latin1', keyEnd, writer.at);
    const key = hasKey ? writer.buffer.toString('latin1', 0, keyEnd) : `${this.#encoder.schemaId}:${packed}`;
    return { key, packed, count: hasKey ? 1 : (record[0] as number), row };
  }

  #create(count: number, row: Row, into: ChangeWriter): void {
    for (let left = count; left > 0; left--) this.#encoder.change(null, row, into);
  }

  /** The old row is told where it has the columns of the new one. */
  #update(key: StateKey, old: Row, row: Row, into: ChangeWriter): void {
    const isSameShape = old[0] === this.#encoder.schemaId;
    this.#writer.reset();
    this.#encoder.writeRow(row, this.#writer);
    into.add({
      op: isSameShape ? opUpdate : opCreate,
      schemaId: this.#encoder.schemaId,
      key: Buffer.from(key as string, 'latin1'),
      ...(isSameShape ? { before: Buffer.from(old[2] as string, 'latin1') } : {}),
      after: Buffer.from(this.#writer.buffer.subarray(0, this.#writer.at)),
    });
  }

  #adjust(old: Row, count: number, row: Row, into: ChangeWriter): void {
    const held = old[1] as number;
    this.#create(count - held, row, into);
    for (let left = held - count; left > 0; left--) this.#encoder.change(row, null, into);
  }

  #delete(key: StateKey, old: Row, into: ChangeWriter): void {
    for (let left = old[1] as number; left > 0; left--) {
      into.add({
        op: opDelete,
        schemaId: old[0] as number,
        key: Buffer.from(this.#isKeyed(key, old) ? (key as string) : '', 'latin1'),
        before: Buffer.from(old[2] as string, 'latin1'),
      });
    }
  }

  /** Rows of a version without a key are kept under a name that no key has. */
  #isKeyed(key: StateKey, old: Row): boolean {
    return key !== `${String(old[0])}:${String(old[2])}`;
  }
}
