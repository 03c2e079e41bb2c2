import type * as z from 'zod';
import type { Finding } from './findings.ts';
import { nearest } from './nearest.ts';
import { knownKeys } from './json-schema.ts';
import { isMapping } from './yaml-tree.ts';
import type { Path, YamlTree, YamlValue } from './yaml-tree.ts';

type Issue = z.core.$ZodIssue;

/** What the contract names and this version does not do yet, by the path with names left out. */
const laterKeys: Readonly<Record<string, readonly string[]>> = {
  'sources.*': ['mask', 'max_slot_lag', 'server_id', 'brokers', 'topics'],
  'sources.*.tables.*': ['mask'],
  http: ['tls'],
};
const laterTypes: Readonly<Record<string, readonly string[]>> = {
  'sources.*.type': ['mysql', 'kafka'],
  'log.type': ['kafka'],
};

const examples: Readonly<Record<string, string>> = {
  version: 'version: 1',
  name: 'name: shop',
  sources: 'sources: { shop: { type: postgres, url: "${DATABASE_URL}", tables: [public.orders] } }',
  url: 'url: postgres://user:password@host:5432/database',
  tables: 'tables: [public.orders]',
  'sources.*.type': 'type: postgres',
  'sinks.*.type': 'type: sqlite',
  'sources.*.tables.*.name': 'name: public.orders',
  path: 'path: ./data/search.db',
  'sources.*.path': 'path: ./clicks.ndjson',
  'sinks.*.url of redis': 'url: redis://127.0.0.1:6379',
  'sinks.*.url of opensearch': 'url: http://127.0.0.1:9200',
  'sinks.*.url of elasticsearch': 'url: http://127.0.0.1:9200',
  'sinks.*.url of http': 'url: http://127.0.0.1:8088/hook',
  'sources.*.tables of ndjson': 'tables: { clicks: { columns: { id: bigint, url: text }, key: [id] } }',
  columns: 'columns: { id: bigint, url: text }',
  from: 'from: public.orders',
  sql: 'sql: SELECT id, name FROM customers',
};

/** What the schema found, in words, at its places. */
export function findingsOfIssues(issues: readonly Issue[], tree: YamlTree): Finding[] {
  const findings: Finding[] = [];
  // An object whose `type` is wrong was held against the wrong keys: only its type is worth telling.
  const mistyped = issues.filter(({ path }) => path.at(-1) === 'type').map(({ path }) => prefix(path.slice(0, -1)));
  for (const issue of issues) {
    const path = pathOf(issue);
    const inMistyped = mistyped.some((start) => prefix(path).startsWith(start) || prefix(path) === start);
    if (path.at(-1) === 'type' || !inMistyped) describe(issue, path, tree, findings);
  }
  return findings;
}

function describe(issue: Issue, path: Path, tree: YamlTree, into: Finding[]): void {
  if (tree.isBroken(path)) return;
  // Beyond what a number holds exactly: every number of the file has a bound of its own below that, which is told.
  if ((issue.code === 'too_big' || issue.code === 'too_small') && issue.origin === 'int') return;
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) into.push({ ...tree.keyPlace([...path, key]), message: unknownKey(path, key, tree) });
    return;
  }
  if (issue.code === 'invalid_key') {
    into.push({ ...tree.keyPlace(path), message: issue.issues[0]?.message ?? issue.message });
    return;
  }
  const value = tree.at(path);
  if (value === undefined) {
    into.push({ ...tree.keyPlace(path.slice(0, -1)), message: missing(path, tree) });
    return;
  }
  if (value === null) {
    into.push({ ...tree.keyPlace(path), message: `${quoted(path)} is empty; give it a value or remove it` });
    return;
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const branch = issue.errors.find(
      (errors) => !errors.some(({ code, path: at }) => code === 'invalid_type' && at.length === 0),
    );
    if (branch) {
      for (const inner of branch) describe(inner, [...path, ...pathOf(inner)], tree, into);
      return;
    }
  }
  into.push({ ...tree.valuePlace(path), message: wrongValue(issue, path, value) });
}

function unknownKey(path: Path, key: string, tree: YamlTree): string {
  const shown = shownWord(key);
  if (shown === null) return 'this key is not known; is a colon or a line break missing?';
  if (laterKeys[general(path)]?.includes(key)) return `'${shown}' is not supported by this version; remove it`;
  const known = knownKeys(path, tree);
  const meant = nearest(key, known);
  if (meant !== null) return `unknown key '${shown}'; write '${meant}'`;
  return known.length > 0
    ? `unknown key '${shown}'; the keys here are ${known.join(', ')}`
    : `unknown key '${shown}'; remove it`;
}

function missing(path: Path, tree: YamlTree): string {
  const type = tree.at([...path.slice(0, -1), 'type']);
  const ofType = typeof type === 'string' ? examples[`${general(path)} of ${type}`] : undefined;
  const example = ofType ?? examples[general(path)] ?? examples[String(path.at(-1))];
  return `${quoted(path)} is missing; ${example === undefined ? 'add it' : `add, for example, \`${example}\``}`;
}

function wrongValue(issue: Issue, path: Path, value: YamlValue): string {
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(path, issue.expected, value);
    case 'invalid_value':
      return wrongChoice(path, issue.values.map(String), value);
    case 'invalid_union': {
      if ('options' in issue && issue.options) return wrongChoice(path, issue.options.map(String), value);
      return `${quoted(path)} must be ${path.at(-2) === 'tables' ? 'a name or a mapping' : 'a list or a mapping'}, not ${kindOf(value)}`;
    }
    case 'too_small':
      return issue.origin === 'number' ? `${quoted(path)} must be at least ${issue.minimum}` : issue.message;
    case 'too_big':
      return issue.origin === 'number' ? `${quoted(path)} must be at most ${issue.maximum}` : issue.message;
    default:
      return issue.message;
  }
}

const expectations: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  object: 'a mapping of keys',
  record: 'a mapping of names',
  array: 'a list',
};

/** Keys whose values are durations. */
const durations: ReadonlySet<string> = new Set(['heartbeat', 'ttl', 'refresh']);

function wrongType(path: Path, expected: string, value: YamlValue): string {
  const wanted = `${quoted(path)} must be ${expectations[expected] ?? expected}, not ${kindOf(value)}`;
  const bare = typeof value === 'number' || typeof value === 'boolean';
  if (expected === 'string' && bare) {
    return durations.has(String(path.at(-1))) ? `${wanted}; add a unit: 10s` : `${wanted}; put quotes around it`;
  }
  if (expected === 'array' && typeof value === 'string') return `${wanted}; put it in brackets: [ … ]`;
  return wanted;
}

function wrongChoice(path: Path, choices: readonly string[], value: YamlValue): string {
  const shown = typeof value === 'string' ? shownWord(value) : null;
  if (shown !== null && laterTypes[general(path)]?.includes(shown)) {
    return `type '${shown}' is not supported by this version; this version has ${choices.join(', ')}`;
  }
  const meant = shown === null ? null : nearest(shown, choices);
  const wanted =
    choices.length === 1
      ? `${quoted(path)} must be ${choices[0]}`
      : `${quoted(path)} must be one of ${choices.join(', ')}`;
  return meant === null || choices.length === 1 ? wanted : `${wanted}; write ${meant}`;
}

function kindOf(value: YamlValue): string {
  if (Array.isArray(value)) return 'a list';
  if (isMapping(value)) return 'a mapping';
  if (typeof value === 'string') return 'a text';
  return typeof value === 'number' ? 'a number' : 'true or false';
}

function quoted(path: Path): string {
  const last = path.at(-1);
  if (typeof last === 'string') return shownWord(last) === null ? 'this' : `'${last}'`;
  return last === undefined ? 'the file' : 'each entry';
}

/** Words are shown; anything longer or stranger may be a URL, a password or a token in the wrong place, and is not. */
function shownWord(text: string): string | null {
  return /^[A-Za-z][A-Za-z_-]{0,39}$/.test(text) ? text : null;
}

/** A path with the names and numbers that people chose replaced by `*`. */
function general(path: Path): string {
  const named = ['sources', 'views', 'sinks'];
  return path
    .map((step, index) => (typeof step === 'number' || (index === 1 && named.includes(String(path[0]))) ? '*' : step))
    .join('.');
}

function prefix(path: readonly PropertyKey[]): string {
  return path.map((step) => `${String(step)}\0`).join('');
}

function pathOf(issue: Issue): Path {
  return issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
}
