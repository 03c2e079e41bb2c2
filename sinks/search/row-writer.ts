import { present } from '../../base/assert.ts';
import { ChangeCursor } from '../../model/change.ts';
import { ByteWriter } from '../../model/json-writer.ts';
import type { ChangeSet } from '../change-set.ts';
import type { SearchSinkOptions } from '../options.ts';
import type { RejectedRow, SinkDocument, SinkShape } from '../port.ts';
import { shapeOf } from '../shape.ts';
import type { SinkDependencies } from '../sink.ts';
import { BulkEncoder } from './bulk-encoder.ts';
import { BulkSender } from './bulk-sender.ts';
import type { EngineClient } from './engine-client.ts';
import { unfollowable, writeAlias } from './index-admin.ts';
import type { IndexAdmin } from './index-admin.ts';
import { comparable } from './json-text.ts';
import { checkShape, routingColumn } from './mapping.ts';

/** Writes rows of a sink to one index, under one shape. */
export class RowWriter {
  readonly #admin: IndexAdmin;
  readonly #options: SearchSinkOptions;
  readonly #log: SinkDependencies['log'];
  readonly #sender: BulkSender;
  readonly #index: string;
  readonly #lines = new ByteWriter();
  readonly #record = new ChangeCursor();
  #shape: SinkShape | null = null;
  #encoder: BulkEncoder | null = null;
  #schemasSeen = 0;
  #newestSchemaId = 0;

  constructor(
    client: EngineClient,
    admin: IndexAdmin,
    options: SearchSinkOptions,
    deps: Pick<SinkDependencies, 'log' | 'clock'>,
    index: string,
  ) {
    this.#admin = admin;
    this.#options = options;
    this.#log = deps.log;
    this.#sender = new BulkSender(client, deps.clock);
    this.#index = index;
  }

  /** Of the shape that the rows have; 0 before any. */
  get schemaId(): number {
    return this.#shape?.schemaId ?? 0;
  }

  get encoder(): BulkEncoder {
    return present(this.#encoder, `the shape of sink ${this.#options.name}`);
  }

  /** Goes on under the shape that the index has. */
  async resume(shape: SinkShape): Promise<void> {
    this.#shape = shape;
    const { routing } = this.#options;
    const shards = routing === null ? 1 : await this.#admin.shardsOf(this.#index);
    const position = routingColumn(this.#options, shape, shards);
    this.#encoder = new BulkEncoder(this.#options, shape, position, (schemaId) => this.#log.table(schemaId));
  }

  /**
   * Fits the index to the newest shape that the sink's rows have, be it newer than the one asked for: what an index holds cannot be brought
   * to a shape without a column or with another name, so that a new index has to begin with the newest. Returns why the index must give
   * way to a new one, or null.
   */
  async reshape(asked: SinkShape): Promise<string | null> {
    const { name, from, columns } = this.#options;
    const newest = this.#newest();
    const table = this.#log.table(newest);
    const shape = table !== undefined && newest > asked.schemaId ? shapeOf(name, table, newest, columns) : asked;
    checkShape(this.#options, from, shape);
    const before = this.#shape;
    if (before?.schemaId === shape.schemaId) return null;
    const reason = before && unfollowable(before, shape);
    if (reason !== null) return reason;
    const refusal = await this.#admin.reshape(this.#index, shape);
    if (refusal !== null && before !== null) return refusal;
    if (refusal !== null) throw this.#admin.refused(refusal);
    await this.resume(shape);
    return null;
  }

  async send(changes: ChangeSet, from: number, to: number): Promise<readonly RejectedRow[]> {
    return this.#sender.send(writeAlias(this.#index), this.encoder, changes, from, to);
  }

  /** The rows [from, to) of the set as documents to compare. VALUE_INVALID for one that has no JSON. */
  documents(changes: ChangeSet, from: number, to: number): SinkDocument[] {
    const documents: SinkDocument[] = [];
    for (let index = from; index < to; index++) {
      changes.locate(index, this.#record);
      this.#lines.reset();
      this.encoder.writeId(this.#record, this.#lines);
      const key = JSON.parse(this.#lines.bytes().toString()) as string;
      this.#lines.reset();
      this.encoder.writeSource(this.#record, this.#lines);
      documents.push({ key, text: comparable(this.#lines.bytes(), 0) });
    }
    return documents;
  }

  /** Id of the newest version of the sink's table that the log knows; 0 when it knows none. */
  #newest(): number {
    for (let table = this.#log.table(this.#schemasSeen + 1); table; table = this.#log.table(this.#schemasSeen + 1)) {
      this.#schemasSeen++;
      if (table.topic === this.#options.from) this.#newestSchemaId = this.#schemasSeen;
    }
    return this.#newestSchemaId;
  }
}
