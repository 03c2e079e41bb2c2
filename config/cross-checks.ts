import { dirname, resolve } from 'node:path';
import { defaultSlot } from './build.ts';
import type { Finding } from './findings.ts';
import { nearest } from './nearest.ts';
import { lastPart, parseName, partMatches } from './table-name.ts';
import type { NamePart } from './table-name.ts';
import { isMapping } from './yaml-tree.ts';
import type { Path, YamlMapping, YamlTree, YamlValue } from './yaml-tree.ts';

/**
 * Conditions between keys. They look at the values as they were read, not at what the schema let pass, so that they are told
 * together with everything else that is wrong; what has the wrong shape they leave to the schema.
 */
export function crossChecks(tree: YamlTree, file: string): Finding[] {
  const report = new Report(tree);
  const root = mapping(tree.value);
  const sources = Object.entries(mapping(root['sources']));
  const sinks = Object.entries(mapping(root['sinks']));
  for (const [name, source] of sources) checkSource(name, mapping(source), report);
  checkSlots(root, sources, report);
  checkFrom(root, sources, sinks, report);
  for (const [name, sink] of sinks) checkColumns(name, mapping(sink), report);
  checkTargets(sinks, dirname(file), report);
  checkHttp(mapping(root['http']), report);
  checkDisk(mapping(root['disk']), report);
  return report.findings;
}

class Report {
  readonly findings: Finding[] = [];
  readonly #tree: YamlTree;
  constructor(tree: YamlTree) {
    this.#tree = tree;
  }
  value(path: Path, message: string): void {
    if (!this.#tree.isBroken(path)) this.findings.push({ ...this.#tree.valuePlace(path), message });
  }
  key(path: Path, message: string): void {
    if (!this.#tree.isBroken(path)) this.findings.push({ ...this.#tree.keyPlace(path), message });
  }
  isBroken(path: Path): boolean {
    return this.#tree.isBroken(path);
  }
}

function checkSource(name: string, source: YamlMapping, report: Report): void {
  const path: Path = ['sources', name];
  if (name === 'views') report.key(path, "'views' is taken: topics of views begin with it; name the source otherwise");
  const mode = mapping(source['snapshot'])['mode'];
  if (source['start_at'] !== undefined && mode !== 'never') {
    report.key(
      [...path, 'start_at'],
      "'start_at' skips what was there before; write snapshot: { mode: never } beside it",
    );
  }
  const tls = mapping(source['tls']);
  if ((tls['cert'] === undefined) !== (tls['key'] === undefined)) {
    report.key([...path, 'tls'], "'cert' and 'key' belong together; give both or neither");
  }
  const seen = new Set<string>();
  list(source['tables']).forEach((entry, index) => {
    const at = [...path, 'tables', index];
    const own = tableName(entry);
    if (own !== null && seen.has(own)) report.value(at, 'this table is already there above; remove one of the two');
    if (own !== null) seen.add(own);
    const excluded = list(mapping(entry)['exclude']);
    list(mapping(entry)['key']).forEach((column, position) => {
      if (excluded.includes(column))
        report.value([...at, 'key', position], "a column of 'key' cannot be in 'exclude' too");
    });
  });
}

/** Slots are the server's, not the database's. */
function checkSlots(root: YamlMapping, sources: readonly [string, YamlValue][], report: Report): void {
  const seen = new Map<string, string>();
  const deployment = typeof root['name'] === 'string' ? root['name'] : '';
  for (const [name, value] of sources) {
    const source = mapping(value);
    const { url } = source;
    if (typeof url !== 'string' || !URL.canParse(url) || report.isBroken(['sources', name, 'url'])) continue;
    const { slot = defaultSlot(deployment, name) } = source;
    if (typeof slot !== 'string') continue;
    const identity = `${new URL(url).host}\0${slot}`;
    const other = seen.get(identity);
    if (other !== undefined) {
      report.key(
        ['sources', name, 'slot'],
        `sources '${other}' and '${name}' would share one slot; give each its own 'slot' and 'publication'`,
      );
    }
    seen.set(identity, name);
  }
}

interface KnownTable {
  readonly source: string;
  readonly parts: readonly NamePart[];
}

function checkFrom(
  root: YamlMapping,
  sources: readonly [string, YamlValue][],
  sinks: readonly [string, YamlValue][],
  report: Report,
): void {
  const tables = knownTables(sources, report);
  // With views, or with a source that could not be understood, there are names that we do not know of.
  const isWhole = tables.isWhole && root['views'] === undefined;
  for (const [name, value] of sinks) {
    const { from } = mapping(value);
    const wanted = typeof from === 'string' ? parseName(from) : null;
    if (wanted === null || typeof from !== 'string') continue;
    const path = ['sinks', name, 'from'];
    const matches = tables.list.filter((table) => couldName(wanted, table));
    const exact = [...new Set(matches.filter((table) => !isPattern(table)).map(fullName))];
    if (exact.length > 1) {
      report.value(path, `this could be ${exact.join(' or ')}; write the one that is meant`);
    } else if (matches.length === 0 && isWhole) {
      const meant = nearestTable(from, tables.list);
      report.value(
        path,
        `no source has this table${meant === null ? "; add it to a source's 'tables'" : `; write ${meant}`}`,
      );
    }
  }
}

function knownTables(
  sources: readonly [string, YamlValue][],
  report: Report,
): { list: KnownTable[]; isWhole: boolean } {
  const found: KnownTable[] = [];
  let isWhole = sources.length > 0;
  for (const [source, value] of sources) {
    const entries = list(mapping(value)['tables']);
    if (entries.length === 0 || mapping(value)['type'] !== 'postgres') isWhole = false;
    entries.forEach((entry, index) => {
      const own = tableName(entry);
      const parts = own === null ? null : parseName(own);
      const path = ['sources', source, 'tables', index];
      if (parts?.length === 2 && !report.isBroken(path) && !report.isBroken([...path, 'name']))
        found.push({ source, parts });
      else isWhole = false;
    });
  }
  return { list: found, isWhole };
}

function couldName(wanted: readonly NamePart[], { source, parts }: KnownTable): boolean {
  if (wanted.length > 3) return false;
  const all = [{ text: source, isPattern: false }, ...parts].slice(-wanted.length);
  return wanted.every((part, index) => {
    const own = all[index];
    return own !== undefined && partMatches(own, part.text);
  });
}

function isPattern({ parts }: KnownTable): boolean {
  return parts.some((part) => part.isPattern);
}

function fullName({ source, parts }: KnownTable): string {
  return [source, ...parts.map(({ text }) => text)].join('.');
}

/** The table that `from` was probably meant to be, in the form (with or without schema and source) that it was written in. */
function nearestTable(from: string, tables: readonly KnownTable[]): string | null {
  const count = parseName(from)?.length ?? 1;
  const names = tables
    .filter((table) => !isPattern(table))
    .map((table) => fullName(table).split('.').slice(-count).join('.'));
  return nearest(from, names);
}

function checkColumns(name: string, sink: YamlMapping, report: Report): void {
  const path: Path = ['sinks', name];
  const { columns } = sink;
  const written = Array.isArray(columns) ? columns : isMapping(columns) ? Object.keys(columns) : null;
  const seen = new Set<string>();
  written?.forEach((column, index) => {
    if (typeof column !== 'string') return;
    const at = [...path, 'columns', Array.isArray(columns) ? index : column];
    const folded = column.toLowerCase();
    if (folded === '_seq') report.key(at, "'_seq' is the sink's own column; name this one otherwise");
    if (seen.has(folded)) report.key(at, 'this column is already there above; names differ by more than case');
    seen.add(folded);
  });
  if (sink['type'] !== 'sqlite') return;
  const searched = new Set<string>();
  list(sink['search']).forEach((column, index) => {
    if (typeof column !== 'string') return;
    const at = [...path, 'search', index];
    if (searched.has(column.toLowerCase())) report.value(at, 'this column is already there; remove one of the two');
    searched.add(column.toLowerCase());
    if (written !== null && !seen.has(column.toLowerCase())) {
      report.value(at, "this column is not among the sink's 'columns'; add it there, or remove it here");
    }
  });
  const { table } = sink;
  if (typeof table === 'string' && /^(sqlite_|_tidemark)/i.test(table)) {
    report.value([...path, 'table'], "tables that begin with 'sqlite_' or '_tidemark' are taken; choose another name");
  }
}

/** Two sinks must not write to one table of one database, nor to one file that is not a database. */
function checkTargets(sinks: readonly [string, YamlValue][], folder: string, report: Report): void {
  const targets = new Map<string, string>();
  const kinds = new Map<string, string>();
  for (const [name, value] of sinks) {
    const { type, path, table, from } = mapping(value);
    if (typeof path !== 'string' || (type !== 'sqlite' && type !== 'ndjson')) continue;
    if (report.isBroken(['sinks', name, 'path']) || report.isBroken(['sinks', name, 'table'])) continue;
    const file = path === '-' && type === 'ndjson' ? '-' : resolve(folder, path);
    const kind = kinds.get(file) ?? type;
    kinds.set(file, kind);
    const own = typeof table === 'string' ? table : typeof from === 'string' ? lastPart(from) : name;
    const target = type === 'sqlite' ? `${file}\0${own.toLowerCase()}` : file;
    const other = targets.get(target);
    if (kind !== type) {
      report.value(['sinks', name, 'path'], 'another sink of another type writes to this file; give each its own');
    } else if (other !== undefined) {
      const fix = type === 'sqlite' ? "give each its own 'table'" : "give each its own 'path'";
      report.value(['sinks', name, 'path'], `sinks '${other}' and '${name}' would write to the same place; ${fix}`);
    }
    targets.set(target, name);
  }
}

function checkHttp(http: YamlMapping, report: Report): void {
  const { host, token } = http;
  if (typeof host !== 'string' || host === '' || token !== undefined || isLoopback(host)) return;
  report.value(
    ['http', 'host'],
    "an address that others can reach needs a 'token'; write token: ${TIDEMARK_TOKEN} beside it",
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

function checkDisk(disk: YamlMapping, report: Report): void {
  const warn = percent(disk['warn'], 80);
  const stop = percent(disk['stop'], 95);
  if (warn !== null && stop !== null && warn >= stop) report.key(['disk'], "'warn' must be below 'stop'");
}

function percent(value: YamlValue | undefined, fallback: number): number | null {
  if (value === undefined) return fallback;
  return typeof value === 'string' && /^[0-9]{1,3}%$/.test(value) ? Number(value.slice(0, -1)) : null;
}

function tableName(entry: YamlValue): string | null {
  if (typeof entry === 'string') return entry;
  const { name } = mapping(entry);
  return typeof name === 'string' ? name : null;
}

function mapping(value: YamlValue | undefined): YamlMapping {
  return isMapping(value) ? value : {};
}

function list(value: YamlValue | undefined): readonly YamlValue[] {
  return Array.isArray(value) ? value : [];
}
