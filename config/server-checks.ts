import { parseKeyTemplate } from '../model/key-template.ts';
import type { KeyTemplatePart } from '../model/key-template.ts';
import { defaultKeyTemplate } from './build-sink.ts';
import { tableOf, writtenColumns } from './column-checks.ts';
import type { Written } from './column-checks.ts';
import { isIndexName } from './index-name.ts';
import { nearest } from './nearest.ts';
import { list, mapping } from './report.ts';
import type { Report } from './report.ts';
import { lastPart } from './table-name.ts';
import type { Path, YamlMapping, YamlValue } from './yaml-tree.ts';

type Named = readonly (readonly [string, YamlValue])[];

/** Sinks on servers: names that the servers take, columns that exist, and places that no two sinks share. */
export function checkServers(
  root: YamlMapping,
  sources: readonly [string, YamlValue][],
  sinks: Named,
  report: Report,
): void {
  const views = mapping(root['views']);
  const taken = new Map<string, string>();
  const logins = new Map<string, Login>();
  for (const [name, value] of sinks) {
    const sink = mapping(value);
    const path: Path = ['sinks', name];
    const written = writtenColumns(sink['columns']);
    const known = knownShape(sink, views, sources, written, report);
    if (sink['type'] === 'redis') {
      checkKey(sink, path, known, report);
      checkLogin(logins, sink, name, [...path, 'url'], report);
      tellShared(taken, `redis ${serverOf(sink, '6379')} ${patternOf(sink)}`, name, [...path, 'key'], report);
    } else if (sink['type'] === 'opensearch' || sink['type'] === 'elasticsearch') {
      checkIndex(sink, path, report);
      checkFields(sink, path, known, report);
      tellShared(taken, `index ${serverOf(sink, '9200')} ${indexOf(sink)}`, name, [...path, 'index'], report);
    }
  }
}

/** What the file tells of the rows that a sink takes, by the sink's names; null for what only the database or the query knows. */
interface KnownShape {
  readonly columns: readonly string[] | null;
  readonly key: readonly string[] | null;
}

function knownShape(
  sink: YamlMapping,
  views: YamlMapping,
  sources: readonly [string, YamlValue][],
  written: readonly Written[] | null,
  report: Report,
): KnownShape {
  const { from } = sink;
  const view = typeof from === 'string' ? views[from.replace(/^views\./, '')] : undefined;
  const entry = view === undefined ? (tableOf(from, sources, report)?.entry ?? {}) : mapping(view);
  const declared = view === undefined ? Object.keys(mapping(entry['columns'])) : [];
  const key = list(entry['key']).filter((column) => typeof column === 'string');
  const nameOf = (column: string): string => written?.find((one) => one.column === column)?.as ?? column;
  return {
    columns: written?.map(({ as }) => as) ?? (declared.length > 0 ? declared : null),
    key: key.length > 0 ? key.map(nameOf) : null,
  };
}

function checkKey(sink: YamlMapping, path: Path, known: KnownShape, report: Report): void {
  const at = [...path, 'key'];
  const { key } = sink;
  const template = typeof key === 'string' && key !== '' ? parseKeyTemplate(key) : null;
  if (template === null) return;
  const used = template.flatMap((part) => ('column' in part ? [part.column] : []));
  if (used.length === 0) {
    report.value(at, "all rows would go under one key; name the columns of the table's key, as in customer:{id}");
    return;
  }
  const named = used.filter((column) => column !== null);
  const unknown = named.find((column) => known.columns !== null && !known.columns.includes(column));
  if (unknown !== undefined) {
    report.value(at, `the sink has no column {${unknown}}; write ${suggestion(unknown, known.columns ?? [])}`);
    return;
  }
  if (known.key === null) return;
  const other = named.find((column) => known.key?.includes(column) === false);
  const missing = used.includes(null) ? [] : known.key.filter((column) => !named.includes(column));
  const right = known.key.map((column) => `{${column}}`).join(':');
  if (other !== undefined)
    report.value(at, `{${other}} is no part of the key, and deletes tell the key alone; write ${right}`);
  else if (missing.length > 0)
    report.value(at, `rows that differ in ${missing.join(', ')} alone would share a key; add ${right}`);
}

function suggestion(word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  return meant === null ? `one of ${known.map((column) => `{${column}}`).join(', ')}` : `{${meant}}`;
}

function checkIndex(sink: YamlMapping, path: Path, report: Report): void {
  const { from, index } = sink;
  if (index !== undefined || typeof from !== 'string') return;
  const own = lastPart(from);
  if (isIndexName(own)) return;
  report.value([...path, 'from'], `no index can have the name '${own}'; add one that can: index: ${legalIndex(own)}`);
}

function legalIndex(name: string): string {
  const legal = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.-]+/g, '_')
    .replace(/^[-_+.]+/, '')
    .slice(0, 60);
  return isIndexName(legal) ? legal : 'orders';
}

function checkFields(sink: YamlMapping, path: Path, { columns }: KnownShape, report: Report): void {
  const fields = Object.keys(mapping(sink['mapping']));
  if (fields.length === 1 && fields[0] === 'properties' && columns?.includes('properties') !== true) {
    report.key([...path, 'mapping', 'properties'], "write the fields right under 'mapping', without 'properties'");
    return;
  }
  if (columns === null) return;
  for (const field of fields) {
    if (columns.includes(field)) continue;
    report.key(
      [...path, 'mapping', field],
      `the sink has no column of this name; write ${nearest(field, columns) ?? `one of ${columns.join(', ')}`}`,
    );
  }
  const { routing } = sink;
  if (typeof routing === 'string' && routing !== '' && !columns.includes(routing))
    report.value(
      [...path, 'routing'],
      `the sink has no column of this name; write ${nearest(routing, columns) ?? `one of ${columns.join(', ')}`}`,
    );
}

/** Whether another sink has the place already, told at the key that says it, or would. */
function tellShared(taken: Map<string, string>, place: string, name: string, at: Path, report: Report): void {
  const other = taken.get(place);
  taken.set(place, name);
  if (other === undefined || report.isBroken(at) || report.isBroken([...at.slice(0, -1), 'url'])) return;
  const key = String(at.at(-1));
  report.key(at, `sinks '${other}' and '${name}' would write to the same place; give each its own '${key}'`);
}

/** How the first sink of a server reaches it. */
interface Login {
  readonly name: string;
  readonly words: string;
}

/** Sinks on one database of a Redis are written together, through one connection. */
function checkLogin(logins: Map<string, Login>, sink: YamlMapping, name: string, at: Path, report: Report): void {
  const { url } = sink;
  if (typeof url !== 'string' || !URL.canParse(url) || report.isBroken(at)) return;
  const { protocol, username, password, search } = new URL(url);
  const login = { name, words: JSON.stringify([protocol, username, password, search]) };
  const server = serverOf(sink, '6379');
  const first = logins.get(server) ?? login;
  logins.set(server, first);
  if (first.words === login.words) return;
  report.value(
    at,
    `sinks '${first.name}' and '${name}' share a connection to this Redis and log in otherwise, or one without TLS; give both the same url`,
  );
}

/** Host, port and database, which two spellings of one place have in common; the text where it is no URL. */
function serverOf({ url }: YamlMapping, port: string): string {
  if (typeof url !== 'string' || !URL.canParse(url)) return '';
  const { hostname, port: written, pathname } = new URL(url);
  // What Redis sinks of one server share (sinks/place.ts) must not depend on how this machine is called.
  const host = hostname === 'localhost' || hostname === '[::1]' ? '127.0.0.1' : hostname;
  return `${host}:${written || port}${pathname === '/0' || pathname === '' ? '/' : pathname}`;
}

function indexOf({ index, from }: YamlMapping): string {
  if (typeof index === 'string') return index;
  return typeof from === 'string' ? lastPart(from) : '';
}

/** The texts of a template with `*` for what changes from row to row. */
function patternOf({ key, from }: YamlMapping): string {
  const written = typeof key === 'string' ? key : typeof from === 'string' ? defaultKeyTemplate(from) : '';
  return (parseKeyTemplate(written) ?? []).map(withoutColumn).join('');
}

function withoutColumn(part: KeyTemplatePart): string {
  return 'text' in part ? part.text : '*';
}
