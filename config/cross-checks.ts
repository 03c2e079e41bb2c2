import { dirname, resolve } from 'node:path';
import { defaultSlot } from './build.ts';
import { checkColumns } from './column-checks.ts';
import type { Finding } from './findings.ts';
import { couldName, fullName, isPattern, knownTables } from './known-tables.ts';
import type { KnownTable } from './known-tables.ts';
import { nearest } from './nearest.ts';
import { Report, list, mapping, tableName } from './report.ts';
import { checkServers } from './server-checks.ts';
import { parseName } from './table-name.ts';
import { checkTargets } from './target-checks.ts';
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
  checkLines(sources, sinks, file, report);
  checkViews(root, report);
  checkFrom(root, sources, sinks, report);
  for (const [name, sink] of sinks) checkColumns(name, mapping(sink), sources, report);
  checkTargets(root, sinks, file, report);
  checkServers(root, sources, sinks, report);
  checkHttp(mapping(root['http']), report);
  checkDisk(mapping(root['disk']), report);
  return report.findings;
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

/** Columns of sources that are lines, and who reads what. */
function checkLines(
  sources: readonly [string, YamlValue][],
  sinks: readonly [string, YamlValue][],
  file: string,
  report: Report,
): void {
  const folder = dirname(file);
  const written = new Map(
    sinks.flatMap(([name, sink]) => {
      const { path } = mapping(sink);
      return typeof path === 'string' && path !== '-' ? [[resolve(folder, path), name] as const] : [];
    }),
  );
  let stdin: string | null = null;
  for (const [name, source] of sources) {
    const { type, path, tables } = mapping(source);
    if (type !== 'ndjson') continue;
    const at: Path = ['sources', name];
    for (const [table, entry] of Object.entries(mapping(tables))) {
      const { columns, key } = mapping(entry);
      const known = Object.keys(mapping(columns));
      list(key).forEach((column, index) => {
        if (typeof column !== 'string' || known.length === 0) return;
        const place = [...at, 'tables', table, 'key', index];
        const meant = nearest(column, known);
        if (!known.includes(column))
          report.value(
            place,
            `no such column is declared; ${meant === null ? `they are ${known.join(', ')}` : `write ${meant}`}`,
          );
        else if (list(key).indexOf(column) < index)
          report.value(place, 'this column is already there; remove one of the two');
      });
    }
    if (typeof path !== 'string') continue;
    if (path === '-' && stdin !== null)
      report.value([...at, 'path'], `source '${stdin}' reads standard input already; give this one a file`);
    if (path === '-') stdin ??= name;
    const sink = written.get(resolve(folder, path));
    if (sink !== undefined && path !== '-')
      report.value([...at, 'path'], `sink '${sink}' writes this file; give one of the two another`);
  }
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
    const { hostname, port } = new URL(url);
    const identity = `${hostname}\0${port || '5432'}\0${slot}`;
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

/** All views of a file share one store. */
function checkViews(root: YamlMapping, report: Report): void {
  const views = Object.entries(mapping(root['views']));
  const states = views.map(([, view]) => mapping(view)['state'] ?? 'disk');
  for (const [index, [name]] of views.entries()) {
    if (states[index] === states[0]) continue;
    report.key(['views', name], "'state' is the same for all views of a file; give each the same or leave it out");
    return;
  }
}

function checkFrom(
  root: YamlMapping,
  sources: readonly [string, YamlValue][],
  sinks: readonly [string, YamlValue][],
  report: Report,
): void {
  const tables = knownTables(sources, report);
  const views = Object.keys(mapping(root['views']));
  for (const [name, value] of sinks) {
    const { from } = mapping(value);
    const wanted = typeof from === 'string' ? parseName(from) : null;
    if (wanted === null || typeof from !== 'string') continue;
    const path = ['sinks', name, 'from'];
    const matches = tables.list.filter((table) => couldName(wanted, table));
    const exact = [...new Set(matches.filter((table) => !isPattern(table)).map(fullName))];
    if (views.includes(from) && exact.length > 0) {
      report.value(path, `this could be views.${from} or ${exact.join(' or ')}; write the one that is meant`);
    } else if (views.some((view) => from === view || from === `views.${view}`)) {
      continue;
    } else if (exact.length > 1) {
      report.value(path, `this could be ${exact.join(' or ')}; write the one that is meant`);
    } else if (matches.length === 0 && tables.isWhole) {
      const meant = nearest(from, views) ?? nearestTable(from, tables.list);
      report.value(
        path,
        `no source has this table${views.length > 0 ? ', and no view this name' : ''}${meant === null ? "; add it to a source's 'tables'" : `; write ${meant}`}`,
      );
    }
  }
}

/** The table that `from` was probably meant to be, in the form (with or without schema and source) that it was written in. */
function nearestTable(from: string, tables: readonly KnownTable[]): string | null {
  const count = parseName(from)?.length ?? 1;
  const names = tables
    .filter((table) => !isPattern(table))
    .map((table) => fullName(table).split('.').slice(-count).join('.'));
  return nearest(from, names);
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
