import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { systemFiles } from '../base/files.ts';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import { ChangeWriter, opCreate } from '../model/change.ts';
import type { ChangeBatch } from '../model/change.ts';
import { scalar } from '../model/data-type.ts';
import { writeKeyPart } from '../model/key.ts';
import type { Log, LogWriter } from '../model/log.ts';
import { packRow } from '../model/row.ts';
import type { Table } from '../model/table.ts';

/** Rows of the log benchmarks: 300 bytes as a change record, 1,000 a commit. */
export const rowsPerCommit = 1000;
export const rowBytes = 300;
const million = 1_000_000;

const table: Table = {
  source: 'bench',
  schema: 'public',
  name: 'bench',
  topic: 'bench.public.bench',
  kind: 'table',
  columns: ['id', 'payload'].map((name, id) => ({ id, name, type: scalar('text'), declared: 'text', nullable: false })),
  key: [0],
};

export function commitsAt(scale: number): number {
  return Math.max(3, Math.round((scale * million) / rowsPerCommit));
}

/** Runs in a temporary folder of the working directory, which is a disk where /tmp may be memory. */
export async function inFolder<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(process.cwd(), '.bench-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

export async function openBenchLog(directory: string): Promise<Log> {
  // Without compaction: it would fold the rows, which all have the same thousand keys.
  return openEmbeddedLog({
    directory: join(directory, 'log'),
    files: systemFiles,
    clock: systemClock,
    compactBytes: Infinity,
  });
}

/** A commit's rows, made once: what is measured is the log. */
export function makeBatch(writer: LogWriter): ChangeBatch {
  const schemaId = writer.schemaId(table);
  const into = new ChangeWriter(rowsPerCommit * (rowBytes + 16));
  for (let row = 0; row < rowsPerCommit; row++) {
    const text = Buffer.from(String(1_000_000 + row));
    const key = Buffer.alloc(16);
    const keyEnd = writeKeyPart('int', text, 0, text.length, key, 0);
    const payload = 'x'.repeat(rowBytes - 16 - keyEnd - 1 - text.length - 3);
    into.add({ op: opCreate, schemaId, key: key.subarray(0, keyEnd), after: packRow([text, payload]) });
  }
  return into.batch();
}

/** Writes the commits through the log, as fast as it lets. */
export async function fillLog(writer: LogWriter, commits: number): Promise<void> {
  const batch = makeBatch(writer);
  for (let commit = 0; commit < commits; commit++) {
    writer.append(batch);
    writer.commit({ position: `0/${commit}`, commitTimeMs: commit, snapshot: false, txId: '' });
    await writer.drained();
  }
  await writer.durable();
}

/** The same bytes in one file, synced every 8 MiB (about what a group commit takes at once); seconds. */
export async function rawWrite(path: string, bytes: number): Promise<number> {
  const block = Buffer.alloc(1024 * 1024, 'x');
  const start = performance.now();
  const file = await systemFiles.open(path, 'create');
  let unsynced = 0;
  for (let offset = 0; offset < bytes; offset += block.length) {
    const size = Math.min(block.length, bytes - offset);
    await file.write(block.subarray(0, size), offset);
    unsynced += size;
    if (unsynced < 8 * block.length) continue;
    await file.sync();
    unsynced = 0;
  }
  await file.sync();
  await file.close();
  return (performance.now() - start) / 1000;
}
