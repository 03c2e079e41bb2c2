import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { present } from '../base/assert.ts';
import { systemClock } from '../base/clock.ts';
import { TidemarkError } from '../base/errors.ts';
import { systemFiles } from '../base/files.ts';
import type { Log } from '../model/log.ts';
import { createSinkGroups } from '../sinks/create-groups.ts';
import type { Figure, Measured } from './figure.ts';
import { faster, figure, Stopwatch } from './figure.ts';
import { inFolder, openBenchLog } from './log-load.ts';
import {
  changesAt,
  changesPerTransaction,
  columns,
  fill,
  rowsPerCommit,
  stepAt,
  table,
  valuesOf,
} from './sink-load.ts';

/** The sink's rate over the backlog, against node:sqlite doing the same statements itself; without and with a full-text index. */
export async function run(options: { scale: number }): Promise<Figure[]> {
  const n = changesAt(options.scale);
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
