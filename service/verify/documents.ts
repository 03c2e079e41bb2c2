import { present } from '../../base/assert.ts';
import { isTidemarkError, messageOf } from '../../base/errors.ts';
import { keyColumns, rowJsonEncoder } from '../../model/json.ts';
import { ChangeCursor, ChangeWriter, flagAfter, opRead } from '../../model/change.ts';
import type { ChangeBatch } from '../../model/change.ts';
import type { Log } from '../../model/log.ts';
import { ChangeSet } from '../../sinks/change-set.ts';
import type { SinkDocument } from '../../sinks/port.ts';

/** What a target gives for rows of the log when it holds them as they are (Target.expect). */
export type Expect = (changes: ChangeSet, from: number, to: number) => readonly SinkDocument[];

const fewRows = 200;

/** Turns records of one topic into the documents of a target. */
export class Documents {
  readonly topic: string;
  readonly #log: Log;
  readonly #expect: Expect;
  readonly #set: ChangeSet;
  readonly #record = new ChangeCursor();
  readonly #writer = new ChangeWriter();

  constructor(log: Log, topic: string, expect: Expect) {
    this.#log = log;
    this.topic = topic;
    this.#expect = expect;
    this.#set = new ChangeSet(topic);
  }

  /** The documents of records that all have a row after them, in their order. */
  ofRows(batch: ChangeBatch): readonly SinkDocument[] {
    const record = this.#record.reset(batch.bytes);
    this.#set.clear();
    while (record.next()) this.#set.add(record, 0, false, false);
    return this.#some(0, this.#set.count);
  }

  /** The same, few at a time: they are garbage before they have become old. */
  giveRows(batch: ChangeBatch, take: (documents: readonly SinkDocument[]) => void): void {
    const record = this.#record.reset(batch.bytes);
    const set = this.#set;
    set.clear();
    while (record.next()) set.add(record, 0, false, false);
    for (let from = 0; from < set.count; from += fewRows) take(this.#some(from, Math.min(from + fewRows, set.count)));
  }

  #some(from: number, to: number): readonly SinkDocument[] {
    try {
      return this.#expect(this.#set, from, to);
    } catch (error) {
      if (!isRejected(error)) throw error;
      return Array.from({ length: to - from }, (_, index) => this.#one(from + index));
    }
  }

  /** A row that the target cannot hold, and that is in its dead letters: nothing that it has is equal to it. */
  #one(index: number): SinkDocument {
    try {
      const [document] = this.#expect(this.#set, index, index + 1);
      return present(document, 'a document');
    } catch (error) {
      if (!isRejected(error)) throw error;
      this.#set.locate(index, this.#record);
      const { schemaId, bytes, afterStart } = this.#record;
      const table = present(this.#log.table(schemaId), `table ${schemaId}`);
      const columns = table.key.length > 0 ? { columns: keyColumns(table) } : {};
      const key = rowJsonEncoder(table, { ...columns, poison: 'text', singleLine: true }).stringify(bytes, afterStart);
      return { key, text: `${messageOf(error)} ${key}` };
    }
  }

  /** The documents that changes are about. Of a delete only the key is right. */
  ofChanges(batch: ChangeBatch): readonly SinkDocument[] {
    const record = this.#record.reset(batch.bytes);
    const writer = this.#writer;
    writer.reset();
    while (record.next()) {
      const { bytes, hasAfter, schemaId } = record;
      const row = hasAfter
        ? bytes.subarray(record.afterStart, record.afterEnd)
        : bytes.subarray(record.beforeStart, record.beforeEnd);
      addRow(writer, schemaId, record.key(), row);
    }
    return this.ofRows(writer.batch());
  }
}

function isRejected(error: unknown): boolean {
  return isTidemarkError(error, 'ROW_REJECTED') || isTidemarkError(error, 'VALUE_INVALID');
}

/** Appends a row as a record with op read. */
export function addRow(writer: ChangeWriter, schemaId: number, key: Buffer, row: Buffer): void {
  writer.begin(opRead, flagAfter, schemaId);
  writer.reserve(key.length + row.length);
  writer.at += key.copy(writer.buffer, writer.at);
  writer.endKey();
  writer.at += row.copy(writer.buffer, writer.at);
  writer.end();
}

/** Where the changes of a topic stand. */
export interface ChangesOf {
  readonly log: Log;
  readonly stream: string;
  readonly documents: Documents;
}

/** Those of the keys that transactions after number `fromSeq` changed, up to the newest durable one. */
export async function changedKeys(
  { log, stream, documents }: ChangesOf,
  fromSeq: number,
  keys: ReadonlyMap<string, unknown>,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const changed = new Set<string>();
  if (keys.size === 0 || fromSeq >= log.frontier(stream).seq) return changed;
  const reader = log.read(stream, {
    fromSeq,
    topics: new Set([documents.topic]),
    follow: false,
    reuse: true,
    signal,
  });
  try {
    for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
      for (const { kind, changes } of batch.pieces) {
        // It does not name what has gone.
        if (kind === 'full') return new Set(keys.keys());
        if (changes.count === 0) continue;
        for (const { key } of documents.ofChanges(changes)) if (keys.has(key)) changed.add(key);
      }
    }
  } finally {
    await reader.close();
  }
  signal.throwIfAborted();
  return changed;
}
