import { ChangeCursor } from '../../model/change.ts';
import type { Log } from '../../model/log.ts';
import type { Window } from '../../snapshot/window.ts';
import { isTidemarkError } from '../../base/errors.ts';
import type { Generations } from './generations.ts';
import type { Healer } from './healer.ts';
import type { LargeValueStore } from './large-values.ts';
import type { Relation } from './relations.ts';

/**
 * Fills the window again after a restart: the keys of transactions that the log holds and that reads may not see yet. The state
 * `visible` is the number up to which all were seen when it was written. Where the log was compacted since, it no longer tells which
 * transaction changed what: those still running (`running` asks) may be among them.
 */
export async function rebuildWindow(
  log: Log,
  stream: string,
  window: Window,
  running: () => Promise<readonly string[]>,
): Promise<void> {
  const fromSeq = Math.max(0, Number(log.state(stream).get('visible') ?? 0));
  const reader = log.read(stream, { fromSeq, follow: false });
  const cursor = new ChangeCursor();
  let tracked = false;
  let compacted = false;
  for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
    for (const piece of batch.pieces) {
      if (piece.kind !== 'transaction' && !compacted) {
        compacted = true;
        for (const txId of await running()) window.addUnknown(txId, fromSeq + 1);
      }
      if (piece.snapshot || piece.kind !== 'transaction') continue;
      if (piece.first) tracked = window.begin(piece.txId, piece.seq);
      if (tracked) {
        cursor.reset(piece.changes.bytes);
        while (cursor.next()) {
          const topic = log.table(cursor.schemaId)?.topic;
          if (topic !== undefined) window.add(topic, cursor.bytes, cursor.keyStart, cursor.keyEnd);
        }
      }
      if (piece.last) window.end();
    }
  }
  await reader.close();
}

/** Brings the store of large values up to the log's end. */
export async function rebuildLargeValues(
  log: Log,
  stream: string,
  store: LargeValueStore,
  relationOf: (topic: string) => Promise<Relation>,
  context: { healer: Healer; generations: Generations },
): Promise<void> {
  const relations = new Map<number, Relation | null>();
  const reader = log.read(stream, { fromSeq: store.seq, follow: false });
  const cursor = new ChangeCursor();
  let seq = store.seq;
  for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
    for (const piece of batch.pieces) {
      cursor.reset(piece.changes.bytes);
      while (cursor.next()) {
        const { schemaId } = cursor;
        if (!relations.has(schemaId)) relations.set(schemaId, await relationFor(log, schemaId, relationOf));
      }
      for (const relation of relations.values()) {
        if (relation === null || piece.seq <= context.generations.since(relation.topic)) continue;
        context.healer.keepBatch(relation, piece.changes);
      }
      if (piece.last) store.commit(piece.seq);
      seq = piece.seq;
    }
    if (store.isFull) await store.settle(seq);
  }
  await store.settle(seq);
  await reader.close();
}

/** The relation for rows of an older version of a table: its columns as they were, with today's knowledge of what can be large. */
async function relationFor(
  log: Log,
  schemaId: number,
  relationOf: (topic: string) => Promise<Relation>,
): Promise<Relation | null> {
  const table = log.table(schemaId);
  if (table === undefined) return null;
  let now: Relation;
  try {
    now = await relationOf(table.topic);
  } catch (error) {
    // The table is gone: nobody will ask for its values.
    if (isTidemarkError(error, 'TABLE_UNKNOWN')) return null;
    throw error;
  }
  const weights = table.columns.map((column) => {
    const index = now.table.columns.findIndex(({ id }) => id === column.id);
    return index < 0 ? 16 : (now.weights[index] ?? 16);
  });
  return {
    ...now,
    table,
    schemaId,
    weights: Uint8Array.from(weights),
    tuple: Int32Array.from(table.columns, (_, column) => column),
    hasToastable: true,
  };
}
