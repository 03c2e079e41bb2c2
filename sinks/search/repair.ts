import { TidemarkError } from '../../base/errors.ts';
import { ChangeCursor } from '../../model/change.ts';
import { ByteWriter } from '../../model/json-writer.ts';
import type { ChangeSet } from '../change-set.ts';
import { versionOf, versionsPerTransaction } from './bulk-encoder.ts';
import { bulkPath } from './bulk-sender.ts';
import { retried, wordsOf } from './engine-client.ts';
import type { EngineClient, EngineFault } from './engine-client.ts';
import { writeAlias } from './index-admin.ts';
import type { RowWriter } from './row-writer.ts';

export interface Repair {
  readonly index: string;
  /** Number of the transaction that the index stands at: the rows are of that state, or of a later one. */
  readonly seq: number;
  readonly writer: RowWriter;
  readonly rows: ChangeSet;
  /** Ids of documents that are to go. */
  readonly extra: readonly string[];
  readonly isRouted: boolean;
}

/** A document that is still to be repaired: a row by its place in the set, or an id. */
interface Item {
  readonly row: number;
  readonly id: string;
  /** Above the version of the transaction that the index stands at. */
  above: number;
}

const itemsMax = 1_000;

/**
 * Makes the index hold the rows, and lets the documents `extra` go, whatever was done to them: each is written with a version above the
 * one it has, which a conflict tells, and below that of the transaction after the cursor, so that every later change wins over it.
 * ROW_REJECTED when the engine refuses a row.
 */
export async function repairDocuments(client: EngineClient, repair: Repair): Promise<void> {
  const { rows, extra } = repair;
  let items: Item[] = [];
  for (let row = 0; row < rows.count; row++) items.push({ row, id: '', above: 1 });
  for (const id of extra) items.push({ row: -1, id, above: 1 });
  while (items.length > 0) {
    const again = await send(client, repair, items.slice(0, itemsMax));
    items = [...again, ...items.slice(itemsMax)];
  }
}

/** Writes the items and returns those that are to be written above the version found. */
async function send(client: EngineClient, repair: Repair, items: readonly Item[]): Promise<Item[]> {
  const { index, seq, writer, rows, isRouted } = repair;
  const record = new ChangeCursor();
  const lines = new ByteWriter(256 * 1024);
  const routings = isRouted ? await routingsOf(client, index, items) : new Map<string, string>();
  for (const { row, id, above } of items) {
    if (row >= 0) {
      rows.locate(row, record);
      writer.encoder.write(record, versionOf(seq, above), lines);
      continue;
    }
    const routing = routings.get(id);
    const place = { _id: id, ...(routing === undefined ? {} : { routing }) };
    const version = String(versionOf(seq, above));
    lines.text(`{"delete":{"version_type":"external_gte","version":${version},${JSON.stringify(place).slice(1)}}\n`);
  }
  const path = bulkPath(writeAlias(index));
  const answer = await client.send('POST', path, lines.bytes(), 'application/x-ndjson');
  if (answer.status !== 200) throw client.refused('refuses to repair documents', answer);
  const { items: results = [] } = JSON.parse(answer.text) as { items?: Record<string, Result>[] };
  const again: Item[] = [];
  for (const [position, item] of items.entries()) {
    const result = results[position]?.['index'] ?? results[position]?.['delete'];
    if (result?.error === undefined) continue;
    again.push(judged(client, repair, item, result.status, result.error));
  }
  return again;
}

interface Result {
  readonly status: number;
  readonly error?: EngineFault;
}

function judged(client: EngineClient, { seq }: Repair, item: Item, status: number, error: EngineFault): Item {
  const place = { sink: client.sink };
  if (status === 400) throw new TidemarkError('ROW_REJECTED', wordsOf(error), { place });
  if (status === 429) return item;
  if (status !== 409) {
    throw new TidemarkError('SINK_FAILED', `The engine does not repair a document (${status}: ${wordsOf(error)})`, {
      hint: retried,
      place,
    });
  }
  // "[id]: version conflict, current version [1025] is higher than the one provided [1024]", in both engines.
  const held = /current version \[(\d+)\]/.exec(error.reason ?? '')?.[1];
  const above = held === undefined ? NaN : Number(BigInt(held) - BigInt(versionOf(seq))) + 1;
  if (above < versionsPerTransaction) return { ...item, above: Math.max(above, item.above + 1) };
  throw new TidemarkError(
    'SINK_FAILED',
    `A document has a version that no later change would win over: ${wordsOf(error)}`,
    {
      hint: `Somebody wrote it more than a thousand times, or with a version of their own. Run \`tidemark rebuild --sink ${client.sink}\`.`,
      place,
    },
  );
}

/** Where documents are that are known by their ids alone. */
async function routingsOf(client: EngineClient, index: string, items: readonly Item[]): Promise<Map<string, string>> {
  const ids = items.filter(({ row }) => row < 0).map(({ id }) => id);
  if (ids.length === 0) return new Map();
  const body = { size: ids.length, _source: false, query: { ids: { values: ids } } };
  const answer = await client.json('POST', `/${encodeURIComponent(index)}/_search`, body);
  const hits = answer.body['hits'] as { hits: { _id: string; _routing?: string }[] };
  return new Map(hits.hits.flatMap(({ _id, _routing }) => (_routing === undefined ? [] : [[_id, _routing] as const])));
}
