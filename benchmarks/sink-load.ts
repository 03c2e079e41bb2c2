import { ChangeWriter, opCreate, opDelete, opUpdate } from '../model/change.ts';
import { scalar } from '../model/data-type.ts';
import type { ScalarName } from '../model/data-type.ts';
import { keySizeMax, writeKeyPart } from '../model/key.ts';
import type { Log } from '../model/log.ts';
import { packRow } from '../model/row.ts';
import type { Table } from '../model/table.ts';

/** The standard row and backlog: 60 % inserts, 30 % updates, 10 % deletes, 333 changes a transaction. */
const million = 1_000_000;
export const changesPerTransaction = 333;
/** Changes at that scale, in whole transactions. */
export function changesAt(scale: number): number {
  return Math.max(3, Math.round((scale * million) / changesPerTransaction)) * changesPerTransaction;
}

/** Rows of a commit of a raw client: about as many as delivery applies at once when it is behind. */
export const rowsPerCommit = 2_500;

export const columns: Record<string, ScalarName> = {
  id: 'int8',
  a: 'int4',
  b: 'int8',
  c: 'numeric',
  d: 'text',
  e: 'timestamptz',
  f: 'bool',
  g: 'text',
};

export const table: Table = {
  source: 'bench',
  schema: 'public',
  name: 'bench',
  topic: 'bench.public.bench',
  kind: 'table',
  columns: Object.entries(columns).map(([name, type], id) => ({
    id,
    name,
    type: scalar(type),
    declared: type,
    nullable: false,
  })),
  key: [0],
};

export interface Step {
  readonly op: 'insert' | 'update' | 'delete';
  readonly id: number;
}

/** The change number `index` of the backlog: of every ten six insert, three update an earlier row, one deletes one. */
export function stepAt(index: number): Step {
  const place = index % 10;
  const inserted = Math.floor(index / 10) * 6 + Math.min(place, 6);
  if (place < 6) return { op: 'insert', id: inserted };
  const id = (index * 2_654_435_761) % inserted;
  return { op: place < 9 ? 'update' : 'delete', id };
}

const words = ['amber', 'basalt', 'cedar', 'delta', 'ember', 'fjord', 'garnet', 'harbor', 'indigo', 'juniper'];

/** Values as the raw client binds them: 40 characters in `d`, 60 in `g`. */
export function valuesOf(id: number, version: number): (string | number)[] {
  const at = `2026-11-21T14:${String(10 + (id % 50))}:00.123456+00:00`;
  const d = `${words[id % 10] ?? ''} ${words[version % 10] ?? ''} ${id}`.padEnd(40, 'x');
  return [
    id,
    id % 1000,
    id * 7,
    `${id % 10_000}.25`,
    d,
    at,
    version % 2 === 0 ? 'true' : 'false',
    `${version}`.padEnd(60, 'g'),
  ];
}

/** Writes the backlog into a log. */
export async function fill(log: Log, n: number): Promise<void> {
  const writer = await log.writer('bench');
  const schemaId = writer.schemaId(table);
  const changes = new ChangeWriter(128 * 1024);
  const key = Buffer.alloc(keySizeMax(16));
  for (let index = 0; index < n; index++) {
    const { op, id } = stepAt(index);
    const row = packRow(valuesOf(id, index).map((value, column) => sourceText(column, value)));
    const text = Buffer.from(String(id));
    const keyBytes = key.subarray(0, writeKeyPart('int', text, 0, text.length, key, 0));
    if (op === 'delete') changes.add({ op: opDelete, schemaId, key: keyBytes, before: row });
    else changes.add({ op: op === 'insert' ? opCreate : opUpdate, schemaId, key: keyBytes, after: row });
    if ((index + 1) % changesPerTransaction !== 0) continue;
    writer.append(changes.batch());
    changes.reset();
    const seq = (index + 1) / changesPerTransaction;
    const state = seq === 1 ? { state: { [`consistent:${table.topic}`]: '{"seq":1}' } } : {};
    writer.commit({ position: `0/${seq}`, commitTimeMs: Date.now(), snapshot: false, txId: '', ...state });
    await writer.drained();
  }
  await writer.durable();
  await writer.close();
}

/** The same value as PostgreSQL prints it. */
function sourceText(column: number, value: string | number): string {
  if (column === 5) return String(value).replace('T', ' ').replace('+00:00', '+00');
  return column === 6 ? String(value).slice(0, 1) : String(value);
}
