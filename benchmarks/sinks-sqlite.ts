import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { present } from '../base/assert.ts';
import { systemClock } from '../base/clock.ts';
import { TidemarkError } from '../base/errors.ts';
import { systemFiles } from '../base/files.ts';
import { ChangeWriter, opCreate, opDelete, opUpdate } from '../model/change.ts';
import { scalar } from '../model/data-type.ts';
import type { ScalarName } from '../model/data-type.ts';
import { keySizeMax, writeKeyPart } from '../model/key.ts';
import type { Log } from '../model/log.ts';
import { packRow } from '../model/row.ts';
import type { Table } from '../model/table.ts';
import { createSinkGroups } from '../sinks/create-groups.ts';
import type { Figure, Measured } from './figure.ts';
import { faster, figure, Stopwatch } from './figure.ts';
import { inFolder, openBenchLog } from './log-load.ts';

/** The standard row and backlog: 60 % inserts, 30 % updates, 10 % deletes, 333 changes a transaction. */
const million = 1_000_000;
const changesPerTransaction = 333;
/** Rows of a commit of the raw client: about as many as delivery applies at once when it is behind. */
const rowsPerCommit = 2_500;

const columns: Record<string, ScalarName> = {
  id: 'int8',
  a: 'int4',
  b: 'int8',
  c: 'numeric',
  d: 'text',
  e: 'timestamptz',
  f: 'bool',
  g: 'text',
};

const table: Table = {
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

interface Step {
  readonly op: 'insert' | 'update' | 'delete';
  readonly id: number;
}

/** The change number `index` of the backlog: of every ten six insert, three update an earlier row, one deletes one. */
function stepAt(index: number): Step {
  const place = index % 10;
  const inserted = Math.floor(index / 10) * 6 + Math.min(place, 6);
  if (place < 6) return { op: 'insert', id: inserted };
  const id = (index * 2_654_435_761) % inserted;
  return { op: place < 9 ? 'update' : 'delete', id };
}

const words = ['amber', 'basalt', 'cedar', 'delta', 'ember', 'fjord', 'garnet', 'harbor', 'indigo', 'juniper'];

/** Values as the raw client binds them: 40 characters in `d`, 60 in `g`. */
function valuesOf(id: number, version: number): (string | number)[] {
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

/** The sink's rate over the backlog, against node:sqlite doing the same statements itself; without and with a full-text index. */
export async function run(options: { scale: number }): Promise<Figure[]> {
  const n = Math.max(3, Math.round((options.scale * million) / changesPerTransaction)) * changesPerTransaction;
  return inFolder(async (directory) => {
    const log = await openBenchLog(directory);
    await fill(log, n);
    const figures = [
      await compare(log, directory, n, 'sinks-sqlite', []),
      await compare(log, directory, n, 'sinks-sqlite-search', ['d']),
    ];
    await log.close();
    return figures;
  });
}

async function compare(log: Log, directory: string, n: number, name: string, search: string[]): Promise<Figure> {
  let reference = 0;
  let best: Measured | null = null;
  for (let round = 0; round < 3; round++) {
    reference = Math.max(reference, n / raw(join(directory, `raw-${name}-${round}.db`), n, search));
    const watch = new Stopwatch();
    await deliver(log, join(directory, `${name}-${round}`), n, search);
    best = faster(best, watch.rate(n));
  }
  return figure(name, 'rows/s', present(best, 'a round'), { name: 'node:sqlite', value: reference });
}

async function fill(log: Log, n: number): Promise<void> {
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

async function deliver(log: Log, directory: string, n: number, search: string[]): Promise<void> {
  const path = join(directory, 'sink.db');
  const [group] = createSinkGroups(
    [{ name: 'bench', type: 'sqlite', path, from: table.topic, table: 'bench', search, start: 'consistent' }],
    {
      name: 'bench',
      log,
      clock: systemClock,
      files: systemFiles,
      random: Math.random,
      report: () => undefined,
      directory,
      onError: 'stop',
    },
  );
  if (group === undefined) throw new TidemarkError('INTERNAL', 'no group');
  const stop = new AbortController();
  const done = new Promise<void>((resolve) => {
    group.onProgress(() => {
      if (group.status()[0]?.seq === n / changesPerTransaction) resolve();
    });
  });
  const running = group.run(stop.signal);
  await done;
  stop.abort();
  await running;
}

/** Seconds that the statements take when the rows are there already. */
function raw(path: string, n: number, search: string[]): number {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384');
  db.exec(
    'CREATE TABLE bench (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, c TEXT, d TEXT, e TEXT, f TEXT, g TEXT, _seq INTEGER)',
  );
  if (search.length > 0) {
    db.exec(`CREATE VIRTUAL TABLE bench_search USING fts5(d, content='bench', content_rowid='rowid');
      CREATE TRIGGER i AFTER INSERT ON bench BEGIN INSERT INTO bench_search(rowid, d) VALUES (new.rowid, new.d); END;
      CREATE TRIGGER u AFTER UPDATE ON bench WHEN old.d IS NOT new.d BEGIN
        INSERT INTO bench_search(bench_search, rowid, d) VALUES ('delete', old.rowid, old.d);
        INSERT INTO bench_search(rowid, d) VALUES (new.rowid, new.d); END;
      CREATE TRIGGER x AFTER DELETE ON bench BEGIN
        INSERT INTO bench_search(bench_search, rowid, d) VALUES ('delete', old.rowid, old.d); END`);
  }
  const names = [...Object.keys(columns), '_seq'];
  const set = names.slice(1).map((name) => `${name} = excluded.${name}`);
  const upsert = db.prepare(
    `INSERT INTO bench VALUES (${names.map(() => '?').join(', ')}) ON CONFLICT (id) DO UPDATE SET ${set.join(', ')}`,
  );
  const remove = db.prepare('DELETE FROM bench WHERE id = ?');
  let seconds = 0;
  for (let from = 0; from < n; from += rowsPerCommit) {
    const steps = Array.from({ length: Math.min(rowsPerCommit, n - from) }, (_, index) => stepAt(from + index));
    const rows = steps.map(({ id }, index) => [
      ...valuesOf(id, from + index),
      Math.floor((from + index) / changesPerTransaction) + 1,
    ]);
    const start = performance.now();
    db.exec('BEGIN');
    for (const [index, { op, id }] of steps.entries()) {
      if (op === 'delete') remove.run(id);
      else upsert.run(...(rows[index] ?? []));
    }
    db.exec('COMMIT');
    seconds += (performance.now() - start) / 1000;
  }
  db.close();
  return seconds;
}
