import { assert, present } from '../../base/assert.ts';
import type { Log } from '../../model/log.ts';
import { fingerprintOf, streamOf } from '../options.ts';
import type { RedisSinkOptions } from '../options.ts';
import type { Cursor, SinkShape, SinkState } from '../port.ts';
import { shapeOf } from '../shape.ts';
import { isUnfit } from '../unfit.ts';
import { keyFormOf } from './key-form.ts';
import type { KeyForm } from './key-form.ts';
import { PackedRows } from './packed-rows.ts';
import { noCursor, parseRecord, recordText } from './record.ts';
import type { SinkRecord, Version } from './record.ts';
import { RowPacker } from './row-packer.ts';

/** One sink of the target: its record as the server holds it, the shape of its rows, and the rows of the open write. */
export class SinkEntry {
  readonly options: RedisSinkOptions;
  readonly rows = new PackedRows();
  /** The record's key holds this; empty when there is none. */
  held = '';
  record: SinkRecord | null = null;
  /** Rows of the open write are staged already, since they are too many for one step. */
  staged = false;
  /** What has been staged since the rebuild began, each write of a row counted; infinite where that was before this connection. */
  stagedRows = Infinity;
  stagedBytes = Infinity;
  /** What has been filled is to be shown with the commit of the open write. */
  shown = false;
  readonly #log: Log;
  #shape: SinkShape | null = null;
  #form: KeyForm | null = null;
  #packers: (RowPacker | undefined)[] = [];

  constructor(options: RedisSinkOptions, log: Log) {
    this.options = options;
    this.#log = log;
  }

  get name(): string {
    return this.options.name;
  }

  /** Takes over what the server says; false when that is nothing of ours. */
  load(text: string): boolean {
    this.held = text;
    this.record = text === '' ? null : parseRecord(text);
    this.staged = false;
    this.shown = false;
    this.stagedRows = Infinity;
    this.stagedBytes = Infinity;
    this.rows.clear();
    this.#shape = null;
    this.#form = null;
    this.#packers = [];
    return text === '' || this.record !== null;
  }

  /** Where delivery goes on. */
  state(): SinkState | null {
    if (this.record === null) return null;
    const { state, now, next } = this.record;
    const written = next ?? now;
    const isSeen = state !== 'filling' && now.cursor.epoch !== 0;
    return {
      cursor: written.cursor,
      rebuilding: state !== 'live',
      visible: isSeen ? now.cursor : null,
      schemaId: written.schemaId,
      fingerprint: written.fingerprint,
    };
  }

  /** The version that rows are written to. */
  get written(): Version {
    const record = present(this.record, `the record of sink ${this.name}`);
    return record.next ?? record.now;
  }

  /** An empty state by the present definition. */
  emptyVersion(): Version {
    const { key, format, ttlMs } = this.options;
    const cursor = { ...noCursor, epoch: this.#log.epoch };
    return { cursor, fingerprint: fingerprintOf(this.options), schemaId: 0, key, format, ttlMs };
  }

  /** The version with the present shape at the cursor. */
  versionAt(cursor: Cursor): Version {
    const { written } = this;
    return {
      ...written,
      cursor,
      schemaId: this.#shape?.schemaId ?? written.schemaId,
      key: this.#form?.template ?? written.key,
    };
  }

  /** Whether all rows are those of the cursor's commit, once they are live. */
  isConsistentAt(seq: number): boolean {
    if (this.options.start === 'consistent') return true;
    const from = this.#log.state(streamOf(this.options)).get(`consistent:${this.options.from}`);
    return from !== undefined && seq >= (JSON.parse(from) as { seq: number }).seq;
  }

  liveAt(cursor: Cursor): SinkRecord {
    return { state: 'live', consistent: this.isConsistentAt(cursor.seq), now: this.versionAt(cursor), next: null };
  }

  /** The record's change for the server; `accept` takes it over when that is done. */
  change(record: SinkRecord): { sink: string; held: string; text: string } {
    return { sink: this.name, held: this.held, text: recordText(record) };
  }

  accept(record: SinkRecord): void {
    this.record = record;
    this.held = recordText(record);
  }

  /** The shape of the rows, as far as they have one. */
  get shape(): SinkShape | null {
    const schemaId = this.record === null ? 0 : this.written.schemaId;
    if (this.#shape === null && schemaId !== 0) this.take(this.#shapeAt(schemaId));
    return this.#shape;
  }

  get form(): KeyForm {
    assert(this.shape !== null, `sink ${this.name} has no shape yet`);
    return present(this.#form, `the keys of sink ${this.name}`);
  }

  take(shape: SinkShape): void {
    this.#form = keyFormOf(this.name, this.options.key, shape);
    this.#shape = shape;
    this.#packers = [];
  }

  /**
   * The newest shape that the log knows, or the one given where the sink's columns are not in that. Rows are filled in under it from
   * the beginning: a shape that changed while they are would want the earlier ones written again.
   */
  newestShape(shape: SinkShape | null): SinkShape | null {
    let newest = 0;
    for (let id = 1, table = this.#log.table(id); table; id++, table = this.#log.table(id)) {
      if (table.topic === this.options.from) newest = id;
    }
    if (newest <= (shape?.schemaId ?? 0)) return shape;
    try {
      return this.#shapeAt(newest);
    } catch (error) {
      if (isUnfit(error)) return shape;
      throw error;
    }
  }

  /** How rows of that version of the table are written. */
  packer(schemaId: number): RowPacker {
    let packer = this.#packers[schemaId];
    if (packer === undefined) {
      const { format, numbers = 'exact' } = this.options;
      const table = present(this.#log.table(schemaId), `table ${schemaId} of the log`);
      const { form } = this;
      packer = new RowPacker(table, present(this.#shape, 'a shape'), form, { format, numbers });
      this.#packers[schemaId] = packer;
    }
    return packer;
  }

  #shapeAt(schemaId: number): SinkShape {
    const table = present(this.#log.table(schemaId), `table ${schemaId} of the log`);
    return shapeOf(this.name, table, schemaId, this.options.columns);
  }
}

/** Whether rows of the two shapes look alike. A column that changed its type is written again by its source. */
export function sameColumns(one: SinkShape, other: SinkShape): boolean {
  const columnsOf = ({ columns, key }: SinkShape): string =>
    JSON.stringify([columns.map(({ id, name }) => [id, name]), key]);
  return columnsOf(one) === columnsOf(other);
}
