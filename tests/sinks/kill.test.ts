import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import { ChangeCursor } from '../../model/change.ts';
import { unpackRow } from '../../model/row.ts';
import { until } from './harness.ts';
import { accountsPerTable, sides } from './transfers.ts';

interface Seen {
  looks: number;
  broken: number;
  /** Looks at which the cursor was not the one of the rows. */
  apart: number;
  /** The highest cursor seen. */
  seq: number;
}

/** Looks at both tables and the cursor in one statement, as any reader of the file might. */
function look(path: string, seen: Seen): void {
  let db: DatabaseSync;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: 2_000 });
  } catch {
    return; // The file is not there yet.
  }
  try {
    const row = db
      .prepare(
        `SELECT (SELECT sum(balance) FROM left_side) + (SELECT sum(balance) FROM right_side) AS sum,
           (SELECT count(*) FROM left_side) + (SELECT count(*) FROM right_side) AS rows,
           (SELECT max(_seq) FROM (SELECT _seq FROM left_side UNION ALL SELECT _seq FROM right_side)) AS newest,
           (SELECT min(seq) FROM _tidemark) AS low, (SELECT max(seq) FROM _tidemark) AS high`,
      )
      .get();
    if (row === undefined) return;
    seen.looks++;
    seen.seq = Number(row['high']);
    if (row['sum'] !== 0 || row['rows'] !== 2 * accountsPerTable) seen.broken++;
    if (row['newest'] !== row['low'] || row['low'] !== row['high']) seen.apart++;
  } catch (error) {
    // Before the consistent start there is no table to read.
    if (!String(error).includes('no such table')) throw error;
  } finally {
    db.close();
  }
}

async function runAndKill(directory: string, mode: 'atomic' | 'torn', forMs: number, seen: Seen): Promise<void> {
  const child = fork(join(import.meta.dirname, 'transfers-child.ts'), [directory, mode], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', () => reject(new RangeError('the child ended before it ran')));
    });
    // Until the time is over, and at least until the sink has moved.
    const before = seen.seq;
    const start = performance.now();
    while (performance.now() < start + forMs || (seen.seq === before && performance.now() < start + 10_000)) {
      look(join(directory, 'sink.db'), seen);
      await systemClock.sleep(1);
    }
  } finally {
    child.kill('SIGKILL');
    await gone;
  }
  look(join(directory, 'sink.db'), seen);
}

/** The rows of both tables after the transactions up to `seq`, by the log. */
async function replay(directory: string, seq: number): Promise<Map<string, string>> {
  const log = await openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock });
  const rows = new Map<string, string>();
  const record = new ChangeCursor();
  const reader = log.read('shop', { fromSeq: 0, follow: false });
  for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
    for (const piece of batch.pieces) {
      if (piece.seq > seq) continue;
      record.reset(piece.changes.bytes);
      while (record.next()) {
        const [id = '', balance = ''] = unpackRow(record.bytes, record.afterStart, 2);
        rows.set(`${log.table(record.schemaId)?.name} ${id}`, `${balance} ${piece.seq}`);
      }
    }
  }
  await reader.close();
  await log.close();
  return rows;
}

async function folder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-kill-'));
  onTestFinished(async () => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('kill -9 at any moment leaves rows and cursor at one commit, and no reader ever sees half of one', async () => {
  const directory = await folder();
  const seen: Seen = { looks: 0, broken: 0, apart: 0, seq: 0 };
  let before = 0;
  for (let kill = 0; kill < 6; kill++) {
    await runAndKill(directory, 'atomic', 100 + Math.random() * 200, seen);
    const db = new DatabaseSync(join(directory, 'sink.db'), { readOnly: true });
    const cursor = Number(db.prepare('SELECT min(seq) AS seq FROM _tidemark').get()?.['seq'] ?? 0);
    expect(cursor).toBeGreaterThan(before);
    before = cursor;
    const held = new Map<string, string>();
    for (const { name } of sides) {
      for (const row of db.prepare(`SELECT id, balance, _seq FROM ${name}`).iterate()) {
        held.set(`${name} ${String(row['id'])}`, `${String(row['balance'])} ${String(row['_seq'])}`);
      }
    }
    db.close();
    expect(held).toEqual(await replay(directory, cursor));
  }
  expect(seen.looks).toBeGreaterThan(50);
  expect(seen).toMatchObject({ broken: 0, apart: 0 });
});

test('the same reader catches a sink that commits in the middle of transactions', async () => {
  const seen: Seen = { looks: 0, broken: 0, apart: 0, seq: 0 };
  const directory = await folder();
  await until('the reader sees a broken sum', async () => {
    await runAndKill(directory, 'torn', 300, seen);
    return seen.broken > 0;
  });
});
