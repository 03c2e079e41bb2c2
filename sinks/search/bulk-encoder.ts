import { assert } from '../../base/assert.ts';
import type { ChangeCursor } from '../../model/change.ts';
import type { ByteWriter } from '../../model/json-writer.ts';
import { rowJsonEncoder } from '../../model/json.ts';
import type { RowJsonEncoder } from '../../model/json.ts';
import type { Table } from '../../model/table.ts';
import type { SearchSinkOptions } from '../options.ts';
import type { SinkShape } from '../port.ts';
import { columnSources } from '../shape.ts';
import { IdWriter } from './document-id.ts';

/**
 * The version of a document is that of the transaction that wrote it last: its number × 1024.
 *
 * `external_gte` refuses what is older than what is there, so a replay never brings back an older row, and lets what is as new pass: a
 * transaction may come in several pieces that change one key twice, both under the transaction's one version, the later one later. What
 * a replay writes under the version that is there is the same row again, or one of the same transaction, which no search has seen
 * before the whole transaction is there (refresher.ts). Versions of two epochs never meet: another epoch fills another index.
 *
 * The room between two transactions is for documents that somebody altered behind our back. A write without a version adds 1 to the
 * version that is there; up to 1,023 of them leave a later transaction above. A repair takes a version out of the same room, above what
 * it finds and below the transaction after the cursor, so later changes win over it as well (repair.ts).
 */
export const versionsPerTransaction = 1024;

/** Above this, seq × 1024 is no whole number of a double any more; it is printed from a BigInt. */
const seqExactMax = 2 ** 42;

const indexStart = Buffer.from('{"index":{"version_type":"external_gte","version":');
const deleteStart = Buffer.from('{"delete":{"version_type":"external_gte","version":');
const idStart = Buffer.from(',"_id":');
const routingStart = Buffer.from(',"routing":');
const actionEnd = Buffer.from('}}\n');
const lineEnd = Buffer.from('\n');

interface Encoders {
  readonly id: IdWriter;
  readonly routing: IdWriter | null;
  readonly row: RowJsonEncoder;
}

/** Writes changes as the lines of a bulk request; no object per row or field (benchmarks/sinks-search.ts). */
export class BulkEncoder {
  readonly #shape: SinkShape;
  readonly #numbers: 'exact' | 'string';
  readonly #routing: number;
  readonly #tableOf: (schemaId: number) => Table | undefined;
  readonly #encoders: (Encoders | undefined)[] = [];

  /** `routing`: position in the shape's columns of the one that routes, or -1. */
  constructor(
    options: SearchSinkOptions,
    shape: SinkShape,
    routing: number,
    tableOf: (schemaId: number) => Table | undefined,
  ) {
    this.#shape = shape;
    this.#numbers = options.numbers ?? 'exact';
    this.#routing = routing;
    this.#tableOf = tableOf;
  }

  /** Appends the change's lines. VALUE_INVALID, with nothing appended, when a value has no JSON. */
  write(record: ChangeCursor, version: number | bigint, into: ByteWriter): void {
    const { id, row, routing } = this.#encodersOf(record.schemaId);
    const { bytes, hasAfter } = record;
    const begin = into.at;
    const rowStart = hasAfter ? record.afterStart : record.beforeStart;
    try {
      into.raw(hasAfter ? indexStart : deleteStart);
      if (typeof version === 'number') into.decimal(version);
      else into.text(String(version));
      into.raw(idStart);
      id.write(bytes, rowStart, into);
      if (routing !== null) {
        into.raw(routingStart);
        routing.write(bytes, rowStart, into);
      }
      into.raw(actionEnd);
      if (!hasAfter) return;
      row.write(bytes, rowStart, into);
      into.raw(lineEnd);
    } catch (error) {
      into.at = begin;
      throw error;
    }
  }

  /** Appends the document's id, as JSON. */
  writeId(record: ChangeCursor, into: ByteWriter): void {
    const rowStart = record.hasAfter ? record.afterStart : record.beforeStart;
    this.#encodersOf(record.schemaId).id.write(record.bytes, rowStart, into);
  }

  /** Appends the document. */
  writeSource(record: ChangeCursor, into: ByteWriter): void {
    this.#encodersOf(record.schemaId).row.write(record.bytes, record.afterStart, into);
  }

  #encodersOf(schemaId: number): Encoders {
    let encoders = this.#encoders[schemaId];
    if (encoders === undefined) {
      const table = this.#tableOf(schemaId);
      assert(table !== undefined, `the log has no table with id ${schemaId}`);
      encoders = this.#make(table);
      this.#encoders[schemaId] = encoders;
    }
    return encoders;
  }

  #make(table: Table): Encoders {
    const { columns, key } = this.#shape;
    const sources = columnSources(table, columns);
    const present = columns.flatMap(({ name }, position) => {
      const index = sources[position] ?? -1;
      return index < 0 ? [] : [{ index, name }];
    });
    const routing = this.#routing < 0 ? null : (sources[this.#routing] ?? -1);
    return {
      id: new IdWriter(
        table,
        key.map((position) => sources[position] ?? -1),
      ),
      routing: routing === null ? null : new IdWriter(table, [routing]),
      row: rowJsonEncoder(table, { columns: present, singleLine: true, numbers: this.#numbers }),
    };
  }
}

/** Version of a document that the transaction wrote, or of one `above` it. */
export function versionOf(seq: number, above = 0): number | bigint {
  if (seq < seqExactMax) return seq * versionsPerTransaction + above;
  return BigInt(seq) * BigInt(versionsPerTransaction) + BigInt(above);
}
