import { dirname, relative, resolve, sep } from 'node:path';
import { list, mapping } from './report.ts';
import type { Report } from './report.ts';
import { lastPart } from './table-name.ts';
import type { Path, YamlMapping, YamlValue } from './yaml-tree.ts';

type NamedSinks = readonly (readonly [string, YamlValue])[];

/** Where the sinks write: paths that are files, that nobody else owns, and tables that do not get in each other's way. */
export function checkTargets(root: YamlMapping, sinks: NamedSinks, file: string, report: Report): void {
  const folder = dirname(file);
  const dataDirectory = report.isBroken(['data_dir']) ? null : dataDirectoryOf(root, folder);
  const targets: Target[] = [];
  for (const [name, value] of sinks) {
    const { type, path } = mapping(value);
    if (typeof path !== 'string' || path === '' || (type !== 'sqlite' && type !== 'ndjson')) continue;
    if (report.isBroken(['sinks', name, 'path'])) continue;
    const target: Target = { name, type, path, file: path === '-' ? '-' : resolve(folder, path) };
    const problem = notAFile(target) ?? ownedBy(target, file, dataDirectory);
    if (problem === null) targets.push(target);
    else report.value(['sinks', name, 'path'], problem);
  }
  targets.forEach((target, index) => {
    for (const other of targets.slice(0, index)) if (tellCollision(other, target, report)) break;
  });
  checkTables(sinks, targets, report);
}

interface Target {
  readonly name: string;
  readonly type: 'sqlite' | 'ndjson';
  /** As it is written. */
  readonly path: string;
  /** Absolute, or `-`. */
  readonly file: string;
}

function dataDirectoryOf(root: YamlMapping, folder: string): string | null {
  const { data_dir: written = './data' } = root;
  return typeof written === 'string' && written !== '' ? resolve(folder, written) : null;
}

/** Why the text cannot be the path of a sink's file. What follows the semicolon is what to write. */
function notAFile({ type, path }: Target): string | null {
  const example = exampleOf(type);
  if (path === '-' && type === 'sqlite')
    return `'-' is standard output, where no database can be; write path: ${example}`;
  if (path.includes('\0')) return `a path cannot hold the character NUL; write path: ${example}`;
  if (path === ':memory:') return `a database in memory would be lost with the process; write path: ${example}`;
  if (/^file:/i.test(path)) return `this is a URI; write the path alone, such as ${example}`;
  if (path.trim() === '' || /(^|\/)\.{0,2}$/.test(path))
    return `this is a folder; write the path of a file: ${example}`;
  const longest = Math.max(...path.split('/').map((part) => Buffer.byteLength(part)));
  if (longest > nameBytesMax || Buffer.byteLength(path) > pathBytesMax)
    return 'this path is too long; write a shorter one';
  return null;
}

/** File systems hold names of 255 bytes and paths of 4,095; `-journal` and its like are added to the sink's. */
const nameBytesMax = 255 - '-journal'.length;
const pathBytesMax = 4_000;

/** What the service keeps under data_dir, by the first part of the path there. */
const ownFolders = new Set(['log', 'sinks', 'sources', 'views']);
const ownFiles = /^(lock(-journal|-wal|-shm)?|owner\.json(\.new)?)$/;

/** Whose file it is, where it is not the sink's. */
function ownedBy(target: Target, file: string, dataDirectory: string | null): string | null {
  if (target.file === '-') return null;
  if (isWithin(target.file, '/dev') && !isWithin(target.file, '/dev/shm')) {
    return `a device cannot be replaced as a file is; write path: ${target.type === 'ndjson' ? '"-" for standard output' : exampleOf(target.type)}`;
  }
  if (filesOf(target).includes(file)) return 'this is the configuration file itself; write the path of another file';
  if (dataDirectory === null) return null;
  if (isWithin(dataDirectory, target.file))
    return "this is the folder of 'data_dir', or one above it; write the path of a file";
  if (!isWithin(target.file, dataDirectory)) return null;
  // File systems that ignore case would find the service's own files under these names as well.
  const [first = '', ...rest] = relative(dataDirectory, target.file).toLowerCase().split(sep);
  if (!ownFolders.has(first) && !ownFiles.test(first)) return null;
  const shown = rest.length > 0 ? `the folder '${first}'` : `'${first}'`;
  return `${shown} in data_dir belongs to the service; write another path, such as ${exampleOf(target.type)}`;
}

function exampleOf(type: Target['type']): string {
  return type === 'sqlite' ? './data/search.db' : './data/changes.ndjson';
}

/** Every file that the sink makes beside its own. */
function filesOf({ type, file }: Target): string[] {
  const suffixes = type === 'sqlite' ? ['', '-wal', '-shm', '-journal'] : ['', '.new'];
  return suffixes.map((suffix) => file + suffix);
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** Whether the two files cannot both be, told at the second one's. */
function tellCollision(first: Target, second: Target, report: Report): boolean {
  const path: Path = ['sinks', second.name, 'path'];
  const names = `'${first.name}' and '${second.name}'`;
  if (first.file === second.file && first.type === 'sqlite' && second.type === 'sqlite') return false;
  if (first.file === second.file && first.type === second.type) {
    report.value(path, `sinks ${names} would write to the same place; give each its own 'path'`);
  } else if (first.file === second.file) {
    report.value(path, 'another sink of another type writes to this file; give each its own');
  } else if (first.file === '-' || second.file === '-') {
    return false;
  } else if (filesOf(first).includes(second.file) || filesOf(second).includes(first.file)) {
    report.value(
      path,
      `of the files of sinks ${names}, one has the name of the other's side file; choose another name`,
    );
  } else if (isWithin(first.file, second.file) || isWithin(second.file, first.file)) {
    report.value(path, `of the paths of sinks ${names}, one is a folder of the other; choose another`);
  } else {
    return false;
  }
  return true;
}

interface SinkTable {
  readonly sink: string;
  readonly table: string;
  readonly at: Path;
}

/** Tables of one SQLite file: SQLite and the sinks' own bookkeeping keep some names for themselves. */
function checkTables(sinks: NamedSinks, targets: readonly Target[], report: Report): void {
  const files = new Map(targets.map((target) => [target.name, target.file]));
  const byFile = new Map<string, SinkTable[]>();
  for (const [sink, value] of sinks) {
    const { type, table, from } = mapping(value);
    if (type !== 'sqlite') continue;
    const written = typeof table === 'string';
    const at: Path = ['sinks', sink, written ? 'table' : 'from'];
    if (report.isBroken(at)) continue;
    const own = { sink, table: written ? table : typeof from === 'string' ? lastPart(from) : sink, at };
    if (tellReserved(own, written, report)) continue;
    checkSearchNames(sink, own.table, mapping(value), report);
    const file = files.get(sink);
    if (file === undefined) continue;
    const others = byFile.get(file) ?? [];
    byFile.set(file, [...others, own]);
    for (const other of others) if (tellTaken(other, own, report)) break;
  }
}

function tellReserved({ table, at }: SinkTable, written: boolean, report: Report): boolean {
  if (!/^(sqlite_|_tidemark)/i.test(table)) return false;
  const fix = written ? 'choose another name' : "name the sink's otherwise with 'table'";
  report.value(at, `tables that begin with 'sqlite_' or '_tidemark' are taken; ${fix}`);
  return true;
}

/**
 * What sinks/sqlite/layout.ts makes beside a table: the copy that is being built, the full-text index of either, and FTS5's own
 * tables (https://sqlite.org/fts5.html, section 9) with the triggers that fill it.
 */
const besideTable = /^(__new){0,2}(_search(_(data|idx|content|docsize|config|insert|update|delete))?)?$/;

function tellTaken(first: SinkTable, second: SinkTable, report: Report): boolean {
  const [a, b] = [first.table.toLowerCase(), second.table.toLowerCase()];
  const names = `'${first.sink}' and '${second.sink}'`;
  if (a === b) {
    report.value(
      ['sinks', second.sink, 'path'],
      `sinks ${names} would write to the same place; give each its own 'table'`,
    );
    return true;
  }
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  if (!long.startsWith(short) || !besideTable.test(long.slice(short.length))) return false;
  const owner = short === a ? first : second;
  report.value(
    second.at,
    `sinks ${names} share a file, and sink '${owner.sink}' keeps this name for what it makes beside its own table; write another 'table', or another 'path'`,
  );
  return true;
}

/** Names that FTS5 does not let a column have: its own, and the index's. */
function checkSearchNames(sink: string, table: string, value: YamlMapping, report: Report): void {
  const path: Path = ['sinks', sink, 'search'];
  const taken = new Set(['rank', 'rowid', `${table}_search`.toLowerCase(), `${table}__new_search`.toLowerCase()]);
  list(value['search']).forEach((column, index) => {
    if (typeof column !== 'string' || !taken.has(column.toLowerCase())) return;
    report.value(
      [...path, index],
      `the full-text index keeps this name for itself; rename the column with columns: { ${yamlName(`${column}_text`)}: ${yamlName(column)}, … } and search that`,
    );
  });
}

/** A column's name as YAML takes it. */
function yamlName(column: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(column) ? column : JSON.stringify(column);
}
