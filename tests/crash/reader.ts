/**
 * A process that reads the SQLite sinks all the while, as an application would, and looks for half a transaction. Argument: the folder of
 * their files. It ends at SIGTERM with what it has seen as one line of JSON, or with exit code 1 and what was wrong.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../base/errors.ts';
import { sinkCursors } from './compare.ts';
import { viewHalves } from './reader-views.ts';
import { viewFiles, viewSink } from './views.ts';

const pauseMs = 4;
/** Two tables of the file are at one commit once their cursors agree; until then each is being filled on its own. */
const together = [
  ['savings', 'checking'],
  ['journal', 'counters'],
] as const;

const seen = { polls: 0, checked: 0, commits: 0, viewChecks: 0, viewCommits: 0, unreadable: 0 };
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

interface Source {
  readonly file: string;
  readonly path: string;
  readonly views: readonly string[];
  db: DatabaseSync | null;
  /** Newest step of the views. */
  newest: number;
}

const [directory = ''] = process.argv.slice(2);
const sources = viewFiles.map(({ file, views }): Source => ({
  file,
  path: join(directory, file),
  views,
  db: null,
  newest: 0,
}));
let newest = 0;
while (!stop.signal.aborted) {
  for (const source of sources) look(source);
  await delay(pauseMs);
}
for (const { db } of sources) db?.close();
console.log(JSON.stringify(seen));

function look(source: Source): void {
  try {
    source.db ??= existsSync(source.path) ? new DatabaseSync(source.path, { readOnly: true, timeout: 1000 }) : null;
    if (source.db !== null) poll(source, source.db);
  } catch (error) {
    // While the file is being made or recovered it cannot be read; that is not half a transaction.
    if (!/locked|busy|unable to open|readonly|no such table/.test(messageOf(error))) fail(messageOf(error));
    seen.unreadable++;
    source.db?.close();
    source.db = null;
  }
}

function poll(source: Source, file: DatabaseSync): void {
  seen.polls++;
  file.exec('BEGIN');
  try {
    const cursors = sinkCursors(file);
    pollTables(file, cursors);
    pollViews(source, file, cursors);
  } finally {
    file.exec('COMMIT');
  }
}

function pollTables(file: DatabaseSync, cursors: ReadonlyMap<string, number>): void {
  const [transfers, journals] = together.map((names) => {
    const [first, second] = names.map((name) => cursors.get(name));
    return first !== undefined && first === second ? first : null;
  });
  if (transfers !== undefined && transfers !== null) checkSum(file, transfers);
  if (journals !== undefined && journals !== null) checkJournal(file, journals);
  const seq = transfers ?? journals ?? null;
  if (seq === null) return;
  seen.checked++;
  if (seq < newest) fail(`the cursor went back from ${newest} to ${seq}`);
  if (seq > newest) seen.commits++;
  newest = seq;
}

function pollViews(source: Source, file: DatabaseSync, cursors: ReadonlyMap<string, number>): void {
  const [step, ...others] = new Set(source.views.map((view) => cursors.get(viewSink(source.file, view))));
  if (step === undefined || others.length > 0) return;
  seen.viewChecks++;
  if (step < source.newest) fail(`the views of ${source.file} went back from step ${source.newest} to ${step}`);
  if (step === source.newest) return;
  source.newest = step;
  seen.viewCommits++;
  const half = viewHalves(file, source.views);
  if (half !== null) fail(`at step ${step} of ${source.file} ${half}`);
}

function checkSum(file: DatabaseSync, seq: number): void {
  const row = file
    .prepare('SELECT (SELECT sum(balance) FROM savings) AS a, (SELECT sum(balance) FROM checking) AS b')
    .get();
  const [a, b] = [Number(row?.['a']), Number(row?.['b'])];
  if (a + b !== 0) fail(`at seq ${seq} savings hold ${a} and checking ${b}, together ${a + b} instead of 0`);
}

/** Every transaction adds the next line of its connection and writes its number down in the other table. */
function checkJournal(file: DatabaseSync, seq: number): void {
  const rows = file
    .prepare(
      `SELECT c.conn, c.n, (SELECT max(n) FROM journal j WHERE j.conn = c.conn) AS newest,
         (SELECT count(*) FROM journal j WHERE j.conn = c.conn) AS lines FROM counters c`,
    )
    .all();
  for (const { conn, n, newest: last, lines } of rows) {
    if (Number(n) !== Number(last ?? 0) || Number(n) !== Number(lines)) {
      fail(
        `at seq ${seq} connection ${String(conn)} has counter ${String(n)} and ${String(lines)} lines up to ${String(last)}`,
      );
    }
  }
}

function fail(message: string): never {
  console.log(JSON.stringify({ ...seen, violation: message }));
  process.exit(1);
}
