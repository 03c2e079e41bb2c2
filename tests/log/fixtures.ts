import { present } from '../../base/assert.ts';
import { ChangeCursor, ChangeWriter, opCreate, opDelete, opUpdate } from '../../model/change.ts';
import type { ChangeBatch } from '../../model/change.ts';
import { scalar } from '../../model/data-type.ts';
import { writeKeyPart } from '../../model/key.ts';
import type { CommitInfo, Log, LogReader, LogWriter, Piece } from '../../model/log.ts';
import { packRow, unpackRow } from '../../model/row.ts';
import type { Table } from '../../model/table.ts';

/** One change of a test's transaction: `value` null deletes. */
export interface TestChange {
  readonly table: string;
  readonly key: number;
  readonly value: string | null;
}

export function table(name: string, kind: 'table' | 'stream' = 'table', columns = 2): Table {
  const names = ['id', 'value', 'more', 'last'].slice(0, columns);
  return {
    source: 'shop',
    schema: 'public',
    name,
    topic: `shop.public.${name}`,
    kind,
    columns: names.map((column, id) => ({ id, name: column, type: scalar('text'), declared: 'text', nullable: true })),
    key: kind === 'stream' ? [] : [0],
  };
}

/** Keyed unless the name begins with "keyless". */
export function tableNamed(name: string): Table {
  return table(name, name.startsWith('keyless') ? 'stream' : 'table');
}

export function batchOf(writer: Pick<LogWriter, 'schemaId'>, changes: readonly TestChange[]): ChangeBatch {
  const into = new ChangeWriter(256);
  for (const change of changes) {
    const of = tableNamed(change.table);
    const schemaId = writer.schemaId(of);
    const text = Buffer.from(String(change.key));
    const key = Buffer.alloc(of.key.length === 0 ? 0 : 16);
    const keyEnd = of.key.length === 0 ? 0 : writeKeyPart('int', text, 0, text.length, key, 0);
    const common = { schemaId, key: key.subarray(0, keyEnd) };
    if (change.value === null) into.add({ ...common, op: opDelete, before: packRow([text, null]), keyOnly: true });
    else if (change.key % 3 === 0) into.add({ ...common, op: opCreate, after: packRow([text, change.value]) });
    else into.add({ ...common, op: opUpdate, before: packRow([text, 'old']), after: packRow([text, change.value]) });
  }
  return into.batch();
}

export function infoOf(seq: number, more: Partial<CommitInfo> = {}): CommitInfo {
  return { position: `0/${seq.toString(16)}`, commitTimeMs: 1000 + seq, snapshot: false, txId: `tx${seq}`, ...more };
}

/** Writes one transaction; returns its number. */
export function write(writer: LogWriter, changes: readonly TestChange[], more: Partial<CommitInfo> = {}): number {
  if (changes.length > 0) writer.append(batchOf(writer, changes));
  return writer.commit(infoOf(writer.last.seq + 1, more));
}

/** Change records as test changes again. */
export function changesOf(log: Log, batch: ChangeBatch): TestChange[] {
  const cursor = new ChangeCursor().reset(batch.bytes);
  const changes: TestChange[] = [];
  while (cursor.next()) {
    const of = present(log.table(cursor.schemaId), 'a table');
    const start = cursor.hasAfter ? cursor.afterStart : cursor.beforeStart;
    const [id, value] = unpackRow(cursor.bytes, start, 2);
    changes.push({ table: of.name, key: Number(id), value: cursor.op === opDelete ? null : (value ?? '') });
  }
  return changes;
}

/** One transaction as a reader gave it. */
export interface ReadTransaction {
  readonly seq: number;
  readonly kind: Piece['kind'];
  readonly last: Piece;
  readonly changes: TestChange[];
  readonly pieces: number;
}

/** Reads until the end or until transaction `upToSeq`, and sees to it that pieces make whole transactions. */
export async function readAll(
  log: Log,
  reader: LogReader,
  options: { bytesMax?: number; upToSeq?: number } = {},
): Promise<ReadTransaction[]> {
  const transactions: ReadTransaction[] = [];
  let open: Piece[] = [];
  for (;;) {
    const batch = await reader.next(options.bytesMax);
    if (!batch) break;
    for (const piece of batch.pieces) {
      const [first] = open;
      if (piece.first !== (first === undefined)) throw new Error(`piece of ${piece.seq} out of place`);
      if (first && first.seq !== piece.seq) throw new Error(`pieces of ${first.seq} and ${piece.seq} are mixed`);
      if (first && (first.position !== piece.position || first.txId !== piece.txId)) throw new Error('pieces differ');
      open.push(piece);
      if (!piece.last) continue;
      const changes = open.flatMap((one) => changesOf(log, one.changes));
      transactions.push({ seq: piece.seq, kind: piece.kind, last: piece, changes, pieces: open.length });
      open = [];
    }
    const lastSeq = transactions.at(-1)?.seq;
    if (lastSeq !== undefined && batch.reached.seq < lastSeq) throw new Error('reached lies behind what was given');
    if (open.length === 0 && lastSeq !== undefined && lastSeq >= (options.upToSeq ?? Infinity)) break;
  }
  if (open.length > 0) throw new Error('half a transaction');
  return transactions;
}

export async function readFrom(
  log: Log,
  stream: string,
  fromSeq: number,
  bytesMax?: number,
): Promise<ReadTransaction[]> {
  const reader = log.read(stream, { fromSeq, follow: false });
  try {
    return await readAll(log, reader, bytesMax === undefined ? {} : { bytesMax });
  } finally {
    await reader.close();
  }
}

export async function rowsOf(
  log: Log,
  topic: string,
  options: { upToSeq: number; newestBefore?: number },
): Promise<TestChange[]> {
  const rows: TestChange[] = [];
  for await (const batch of log.rows(topic, options)) rows.push(...changesOf(log, batch));
  return rows.toSorted((a, b) => a.key - b.key || compareText(a.value ?? '', b.value ?? ''));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What a stream's tables hold: of keyed tables the newest value, of others all values ever added. */
export class Contents {
  readonly rows = new Map<string, string>();
  readonly added: string[] = [];

  apply(changes: readonly TestChange[]): void {
    for (const { table: name, key, value } of changes) {
      if (name.startsWith('keyless')) this.added.push(`${name} ${key} ${value}`);
      else if (value === null) this.rows.delete(`${name} ${key}`);
      else this.rows.set(`${name} ${key}`, value);
    }
  }

  copy(): Contents {
    const copy = new Contents();
    for (const [key, value] of this.rows) copy.rows.set(key, value);
    copy.added.push(...this.added);
    return copy;
  }

  clear(): void {
    this.rows.clear();
    this.added.length = 0;
  }

  /** Sorted, for comparison. */
  list(): string[] {
    return [...[...this.rows].map(([key, value]) => `${key} = ${value}`), ...this.added].toSorted();
  }
}
