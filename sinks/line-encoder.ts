import { assert } from '../base/assert.ts';
import { TidemarkError, messageOf } from '../base/errors.ts';
import type { ChangeCursor } from '../model/change.ts';
import type { ByteWriter } from '../model/json-writer.ts';
import { rowJsonEncoder } from '../model/json.ts';
import type { JsonColumn, RowJsonEncoder } from '../model/json.ts';
import type { Table } from '../model/table.ts';
import type { SinkColumn, SinkShape } from './port.ts';
import { columnSources } from './shape.ts';

/**
 * Changes as feeds and requests show them, each ended by a newline:
 *
 *   {"op":"upsert","key":{…},"doc":{…},"seq":n}
 *   {"op":"delete","key":{…},"doc":null,"seq":n}
 */
const upsertStart = Buffer.from('{"op":"upsert","key":');
const deleteStart = Buffer.from('{"op":"delete","key":');
const docStart = Buffer.from(',"doc":');
const docNull = Buffer.from(',"doc":null');
const seqStart = Buffer.from(',"seq":');
const lineEnd = Buffer.from('}\n');

interface Encoders {
  readonly key: RowJsonEncoder;
  readonly row: RowJsonEncoder;
}

/** Writes the changes of one sink as lines. */
export class LineEncoder {
  readonly #shape: SinkShape;
  readonly #tableOf: (schemaId: number) => Table | undefined;
  readonly #numbers: 'exact' | 'string';
  readonly #encoders: (Encoders | undefined)[] = [];

  constructor(
    shape: SinkShape,
    tableOf: (schemaId: number) => Table | undefined,
    numbers: 'exact' | 'string' = 'exact',
  ) {
    this.#shape = shape;
    this.#tableOf = tableOf;
    this.#numbers = numbers;
  }

  /** Appends the line of the change; ROW_REJECTED, with nothing appended, when a value has no JSON. */
  write(record: ChangeCursor, seq: number, into: ByteWriter): void {
    const begin = into.at;
    try {
      into.raw(record.hasAfter ? upsertStart : deleteStart);
      this.writeKey(record, into);
      if (record.hasAfter) {
        into.raw(docStart);
        this.writeDoc(record, into);
      } else {
        into.raw(docNull);
      }
      finishLine(seq, into);
    } catch (error) {
      into.at = begin;
      throw new TidemarkError('ROW_REJECTED', messageOf(error), { cause: error });
    }
  }

  /** Appends the key as JSON. A delete from a table without a key is known by its whole row. */
  writeKey(record: ChangeCursor, into: ByteWriter): void {
    const { key, row } = this.#encodersOf(record.schemaId);
    if (record.hasAfter) key.write(record.bytes, record.afterStart, into);
    else (this.#shape.key.length === 0 ? row : key).write(record.bytes, record.beforeStart, into);
  }

  writeDoc(record: ChangeCursor, into: ByteWriter): void {
    this.#encodersOf(record.schemaId).row.write(record.bytes, record.afterStart, into);
  }

  #encodersOf(schemaId: number): Encoders {
    let encoders = this.#encoders[schemaId];
    if (encoders === undefined) {
      const table = this.#tableOf(schemaId);
      assert(table !== undefined, `the log has no table with id ${schemaId}`);
      const { columns, key } = this.#shape;
      const keyColumns = key.flatMap((position) => columns[position] ?? []);
      const options = { singleLine: true, numbers: this.#numbers };
      encoders = {
        key: rowJsonEncoder(table, { columns: jsonColumns(table, keyColumns), ...options }),
        row: rowJsonEncoder(table, { columns: jsonColumns(table, columns), ...options }),
      };
      this.#encoders[schemaId] = encoders;
    }
    return encoders;
  }
}

/** Appends an upsert line from a key and a document that are JSON already. */
export function writeUpsert(key: string, doc: string, seq: number, into: ByteWriter): void {
  into.raw(upsertStart);
  into.text(key);
  into.raw(docStart);
  into.text(doc);
  finishLine(seq, into);
}

function finishLine(seq: number, into: ByteWriter): void {
  into.raw(seqStart);
  into.text(String(seq));
  into.raw(lineEnd);
}

/** The columns that rows of this version of the table have; others are left out of their documents. */
function jsonColumns(table: Table, columns: readonly SinkColumn[]): JsonColumn[] {
  const sources = columnSources(table, columns);
  return columns.flatMap(({ name }, position) => {
    const index = sources[position] ?? -1;
    return index < 0 ? [] : [{ index, name }];
  });
}
