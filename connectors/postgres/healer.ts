import { present } from '../../base/assert.ts';
import type { ChangeBatch, ChangeWriter } from '../../model/change.ts';
import { ChangeCursor } from '../../model/change.ts';
import {
  fieldNull,
  fieldPositions,
  fieldUnchanged,
  packedSize,
  readFields,
  writeLength,
  writeNull,
} from '../../model/row.ts';
import type { FieldPositions } from '../../model/row.ts';
import type { Snapshotter } from '../../snapshot/snapshotter.ts';
import type { LargeValues, LargeValueStore } from './large-values.ts';
import { valuesName } from './generations.ts';
import type { Relation } from './relations.ts';

/** A row whose columns are `fields` of `buffer`, in the order of the tuple. */
export interface TupleRow {
  readonly buffer: Buffer;
  readonly fields: FieldPositions;
}

/** Copies a short value byte by byte: for less than this a native copy costs more than it saves. */
const shortCopyBytes = 24;

/** Packs the columns of a tuple, in the table's order. */
export function packFields(into: ChangeWriter, from: Buffer, tuple: Int32Array, fields: FieldPositions): void {
  const { start, end } = fields;
  let size = 0;
  for (let column = 0; column < tuple.length; column++) {
    const place = tuple[column] as number;
    const length = (end[place] as number) < 0 ? 0 : (end[place] as number) - (start[place] as number);
    size += packedSize(length);
  }
  into.reserve(size);
  const { buffer } = into;
  let { at } = into;
  for (let column = 0; column < tuple.length; column++) {
    const place = tuple[column] as number;
    const to = end[place] as number;
    if (to < 0) {
      at = writeNull(buffer, at);
      continue;
    }
    let index = start[place] as number;
    const length = to - index;
    at = writeLength(buffer, at, length);
    if (length > shortCopyBytes) {
      from.copy(buffer, at, index, to);
      at += length;
    } else {
      while (index < to) buffer[at++] = from[index++] as number;
    }
  }
  into.at = at;
}

/** Fills in the values that the server left out because they are stored out of line and did not change. */
export class Healer {
  readonly #store: LargeValueStore;
  readonly #cursor = new ChangeCursor();

  constructor(store: LargeValueStore) {
    this.#store = store;
  }

  hasUnchanged(relation: Relation, fields: FieldPositions): boolean {
    const { tuple } = relation;
    for (let column = 0; column < tuple.length; column++) {
      if (fields.end[tuple[column] as number] === fieldUnchanged) return true;
    }
    return false;
  }

  /** The row with its unchanged values, from the whole old row when the stream carries it; null when one is not held. */
  heal(relation: Relation, row: TupleRow, old: FieldPositions | null, oldKey: Buffer): TupleRow | null {
    if (old !== null) {
      for (const place of relation.tuple) {
        if (row.fields.end[place] !== fieldUnchanged) continue;
        row.fields.start[place] = present(old.start[place], 'an old column');
        row.fields.end[place] = present(old.end[place], 'an old column');
      }
      return row;
    }
    const values = this.#store.get(valuesName(relation.captured), oldKey);
    if (values === null) return null;
    return fill(relation, row, values);
  }

  /** Keeps the values of a row that the server may leave out next time. `unchanged` says that it left some out this time. */
  keep(relation: Relation, key: Buffer, row: TupleRow, unchanged: boolean): void {
    const { tuple, weights, table } = relation;
    const { start, end } = row.fields;
    if (!unchanged) {
      let bytes = 0;
      for (let column = 0; column < tuple.length; column++) {
        const place = tuple[column] as number;
        if ((end[place] as number) >= 0)
          bytes += ((end[place] as number) - (start[place] as number)) * ((weights[column] as number) || 1);
      }
      if (bytes < relation.toastBytes) return;
    }
    const values = new Map<number, Buffer | null>();
    for (let column = 0; column < tuple.length; column++) {
      if (weights[column] === 0) continue;
      const place = tuple[column] as number;
      const to = end[place] as number;
      values.set(
        present(table.columns[column], 'a column').id,
        to === fieldNull ? null : row.buffer.subarray(start[place], to),
      );
    }
    this.#store.put(valuesName(relation.captured), key, values);
  }

  /** Keeps the large values of a snapshot's rows. */
  keepBatch(relation: Relation, batch: ChangeBatch): void {
    if (!relation.hasToastable) return;
    const columns = relation.table.columns.length;
    const heaviest = relation.weights.reduce((most, weight) => Math.max(most, weight), 1);
    const inOrder: Relation = { ...relation, tuple: Int32Array.from({ length: columns }, (_, column) => column) };
    const fields = fieldPositions(columns);
    const cursor = this.#cursor.reset(batch.bytes);
    while (cursor.next()) {
      if (
        cursor.schemaId !== relation.schemaId ||
        !cursor.hasAfter ||
        (cursor.afterEnd - cursor.afterStart) * heaviest < relation.toastBytes
      )
        continue;
      readFields(batch.bytes, cursor.afterStart, columns, fields);
      this.keep(inOrder, cursor.key(), { buffer: batch.bytes, fields }, false);
    }
  }
}

function fill(relation: Relation, row: TupleRow, values: LargeValues): TupleRow | null {
  const { tuple, table } = relation;
  let size = 0;
  for (let column = 0; column < tuple.length; column++) {
    const place = tuple[column] as number;
    const to = row.fields.end[place] as number;
    if (to === fieldUnchanged) {
      const value = values.get(present(table.columns[column], 'a column').id);
      if (value === undefined) return null;
      size += value?.length ?? 0;
    } else if (to !== fieldNull) {
      size += to - (row.fields.start[place] as number);
    }
  }
  const buffer = Buffer.allocUnsafe(size);
  const fields = fieldPositions(row.fields.end.length);
  let at = 0;
  for (let column = 0; column < tuple.length; column++) {
    const place = tuple[column] as number;
    const to = row.fields.end[place] as number;
    const stored = to === fieldUnchanged ? values.get(present(table.columns[column], 'a column').id) : undefined;
    fields.start[place] = at;
    if (stored === null || to === fieldNull) {
      fields.end[place] = fieldNull;
      continue;
    }
    at += stored === undefined ? row.buffer.copy(buffer, at, row.fields.start[place], to) : stored.copy(buffer, at);
    fields.end[place] = at;
  }
  return { buffer, fields };
}

/** Tells the snapshotter of a row that could not be healed, so that it is read by its key. */
export function holdRow(snapshotter: Snapshotter, relation: Relation, key: Buffer, row: TupleRow): void {
  const values = Array.from(relation.keyTuple, (place) => {
    return row.buffer.toString('utf8', row.fields.start[place], row.fields.end[place]);
  });
  snapshotter.hold(relation.topic, key.toString('latin1'), values);
}
