import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Alias, Document, Node, Pair, Scalar, YAMLError, YAMLMap } from 'yaml';
import type { Environment } from './config.ts';
import type { Finding } from './findings.ts';
import { interpolate } from './interpolate.ts';
import { offsetInSource } from './scalar-place.ts';
import type { WrittenScalar } from './scalar-place.ts';

export type YamlValue = null | boolean | number | string | YamlValue[] | YamlMapping;
export interface YamlMapping {
  [key: string]: YamlValue;
}
export type Path = readonly (string | number)[];

/** The file's values, and where each stands in the text. */
export interface YamlTree {
  readonly value: YamlValue;
  /** Mistakes of the text itself. */
  readonly findings: readonly Finding[];
  /** False when the text is so broken that `value` says nothing. */
  readonly usable: boolean;
  /** Where the key of `path` stands; an item of a list, which has none, begins at its value; what is not there, at its parent's. */
  keyPlace(path: Path): { line: number; column: number };
  /** Where the value of `path` begins; what is empty or not there, at its key's. */
  valuePlace(path: Path): { line: number; column: number };
  /** Where a character of the text at `path` stands in the file; null where that cannot be told. */
  textPlace(path: Path, index: number): { line: number; column: number } | null;
  /** The value at `path`; undefined when there is none. */
  at(path: readonly PropertyKey[]): YamlValue | undefined;
  /** Turns a text of digits that came from the environment into a number; false when it is not one. */
  makeNumber(path: readonly PropertyKey[]): boolean;
  /** Whether a mistake was found in the value already, so that what else is wrong with it is noise. */
  isBroken(path: Path): boolean;
}

/** Enough for any real file; an alias that holds itself, or a bomb of aliases, ends here. */
const depthMax = 32;
const nodesMax = 50_000;
const textLengthMax = 1024 * 1024;

export function readYaml(text: string, environment: Environment): YamlTree {
  const reader = new Reader(text, environment);
  reader.read();
  return reader;
}

interface Place {
  readonly key: number | null;
  readonly value: number | null;
  interpolated: boolean;
  broken: boolean;
  scalar: Scalar | null;
}

class Reader implements YamlTree {
  value: YamlValue = null;
  usable = false;
  readonly findings: Finding[] = [];
  readonly #text: string;
  readonly #environment: Environment;
  readonly #lines = new LineCounter();
  readonly #places = new Map<string, Place>();
  readonly #protected: boolean;
  #nodes = 0;

  constructor(text: string, environment: Environment) {
    this.#text = text;
    this.#environment = environment;
    this.#protected = !stand.test(text);
  }

  read(): void {
    if (this.#text.length > textLengthMax) {
      this.#find(0, 'the file is over 1 MiB; that is no configuration');
      return;
    }
    const document = this.#parse();
    if (document === null) return;
    const problems = [...document.errors, ...document.warnings];
    for (const problem of tellable(problems)) this.#find(problem.pos[0], syntaxMessage(problem));
    if (problems.some(({ code }) => !localMistakes.includes(code))) return;
    if (document.contents === null) {
      this.#find(0, 'the file is empty; `tidemark init` writes one to begin with');
      return;
    }
    if (!isMap(document.contents)) {
      this.#find(document.contents.range?.[0] ?? 0, 'the file must be a mapping of keys, such as `version: 1`');
      return;
    }
    this.value = this.#node(document.contents, [], null, document);
    this.usable = this.#nodes <= nodesMax;
  }

  keyPlace(path: Path): { line: number; column: number } {
    const { key, value } = this.#closest(path);
    return this.#position(key ?? value ?? 0);
  }

  valuePlace(path: Path): { line: number; column: number } {
    const { key, value } = this.#closest(path);
    return this.#position(value ?? key ?? 0);
  }

  textPlace(path: Path, index: number): { line: number; column: number } | null {
    const value = this.at(path);
    const scalar = this.#places.get(JSON.stringify(path))?.scalar ?? null;
    if (scalar === null || !scalar.range || typeof value !== 'string') return null;
    const [start, end] = scalar.range;
    const offset = offsetInSource({ source: this.#text.slice(start, end), style: styleOf(scalar) }, value, index);
    return offset === null ? null : this.#position(start + offset);
  }

  at(path: readonly PropertyKey[]): YamlValue | undefined {
    let value: YamlValue | undefined = this.value;
    for (const step of path) value = member(value, step);
    return value;
  }

  makeNumber(path: readonly PropertyKey[]): boolean {
    const value = this.at(path);
    const parent = this.at(path.slice(0, -1));
    const last = path.at(-1);
    if (typeof value !== 'string' || typeof last !== 'string' || !/^-?[0-9]{1,15}$/.test(value)) return false;
    if (!this.#places.get(JSON.stringify(path))?.interpolated || !isMapping(parent)) return false;
    parent[last] = Number(value);
    return true;
  }

  isBroken(path: Path): boolean {
    return this.#places.get(JSON.stringify(path))?.broken ?? false;
  }

  /** The library recurses with the text's nesting: a text made to exhaust the stack is a mistake of the file too. */
  #parse(): Document | null {
    try {
      return parseDocument(this.#protected ? protect(this.#text) : this.#text, {
        lineCounter: this.#lines,
        prettyErrors: false,
        version: '1.2',
        logLevel: 'silent',
      });
    } catch {
      this.#find(0, 'the file cannot be read as YAML');
      return null;
    }
  }

  #node(node: Node | null, path: Path, key: number | null, document: Document): YamlValue {
    const place: Place = { key, value: startOf(node), interpolated: false, broken: false, scalar: null };
    this.#places.set(JSON.stringify(path), place);
    if (++this.#nodes > nodesMax || path.length > depthMax) {
      if (this.#nodes === nodesMax + 1 || path.length > depthMax) {
        this.#find(place.value ?? place.key ?? 0, 'the file is nested too deeply, or its aliases multiply without end');
      }
      place.broken = true;
      return null;
    }
    if (isAlias(node)) return this.#alias(node, path, key, document);
    if (isMap(node)) return this.#mapping(node, path, document);
    if (isSeq(node))
      return node.items.map((item, index) => this.#node(item as Node | null, [...path, index], null, document));
    return isScalar(node) ? this.#scalar(node, place) : null;
  }

  #alias(node: Alias, path: Path, key: number | null, document: Document): YamlValue {
    const target = node.resolve(document);
    return target ? this.#node(target, path, key, document) : null;
  }

  #mapping(map: YAMLMap, path: Path, document: Document): YamlValue {
    const entries: [string, YamlValue][] = [];
    for (const pair of map.items as Pair<Node | null, Node | null>[]) {
      const at = startOf(pair.key) ?? startOf(map) ?? 0;
      const name = isScalar(pair.key) ? this.#restore(pair.key.source ?? String(pair.key.value)) : '';
      if (name === '<<') {
        this.#find(at, 'merge keys are no part of YAML 1.2; write the keys out');
        continue;
      }
      // `__proto__` would silently be left out further on: objects of JavaScript do not hold it as others.
      if (name === '' || name === '__proto__') {
        this.#find(at, 'this cannot be a key; write a name, then a colon');
        continue;
      }
      entries.push([name, this.#node(pair.value, [...path, name], at, document)]);
    }
    return Object.fromEntries(entries);
  }

  #scalar(scalar: Scalar, place: Place): YamlValue {
    place.scalar = scalar;
    const value = typeof scalar.value === 'string' ? this.#restore(scalar.value) : scalar.value;
    if (typeof value !== 'string') {
      return typeof value === 'number' || typeof value === 'boolean' ? value : null;
    }
    if (!value.includes('${')) return value;
    const { text, mistakes } = interpolate(value, this.#environment);
    place.interpolated = true;
    place.broken = mistakes.length > 0;
    for (const { offset, message } of mistakes) this.#find(this.#offsetInText(scalar, value, offset), message);
    return text;
  }

  /** Where a character of a scalar stands in the file. Quotes, escapes and folding move characters, so it is looked for by its count. */
  #offsetInText(scalar: Scalar, value: string, offset: number): number {
    const [start, end] = scalar.range ?? [0, 0];
    const source = this.#text.slice(start, end);
    let at = -1;
    for (let from = 0; from <= offset; from = value.indexOf('${', from) + 1) {
      const next = source.indexOf('${', at + 1);
      if (next < 0) return start;
      at = next;
      if (value.indexOf('${', from) === offset) break;
    }
    return start + Math.max(0, at);
  }

  #restore(text: string): string {
    return this.#protected
      ? text.replaceAll(standAll, (character) => String.fromCharCode(character.charCodeAt(0) - standBase))
      : text;
  }

  #closest(path: Path): { key: number | null; value: number | null } {
    for (let length = path.length; length >= 0; length--) {
      const place = this.#places.get(JSON.stringify(path.slice(0, length)));
      if (place) return length === path.length ? place : { key: place.key, value: place.key ?? place.value };
    }
    return { key: null, value: null };
  }

  #find(offset: number, message: string): void {
    this.findings.push({ ...this.#position(offset), message });
  }

  #position(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

/**
 * Inside `{ }` and `[ ]` YAML gives the brackets and colons of `${NAME:-default}` a meaning of its own. So the parser is shown each
 * of its ASCII characters as another that means nothing to it (from Unicode's private use area), of the same length: no place in
 * the text moves. A text that holds such characters itself is parsed as it is.
 */
const standBase = 0xe000;
const stand = /[\ue000-\ue07f]/;
const standAll = /[\ue000-\ue07f]/g;

function protect(text: string): string {
  return text.replaceAll(/\$?\$\{[^}\n]*\}/g, (reference) =>
    // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
    reference.replaceAll(/[\x00-\x7f]/g, (character) => String.fromCharCode(character.charCodeAt(0) + standBase)),
  );
}

export function isMapping(value: YamlValue | undefined): value is YamlMapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function member(value: YamlValue | undefined, step: PropertyKey): YamlValue | undefined {
  if (Array.isArray(value)) return typeof step === 'number' ? value[step] : undefined;
  return isMapping(value) && typeof step === 'string' && Object.hasOwn(value, step) ? value[step] : undefined;
}

function styleOf({ type }: Scalar): WrittenScalar['style'] {
  if (type === 'QUOTE_DOUBLE') return 'double';
  if (type === 'QUOTE_SINGLE') return 'single';
  return type === 'BLOCK_LITERAL' || type === 'BLOCK_FOLDED' ? 'block' : 'plain';
}

/** An empty value has a range too, but nothing to point at. */
function startOf(node: Node | null): number | null {
  if (!node?.range) return null;
  const [start, end] = node.range;
  return isScalar(node) && start === end ? null : start;
}

/** The library's own messages can quote the text, which may hold a password: only these are shown. */
const syntaxMessages: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'this alias has no anchor before it; put quotes around a text that begins with *',
  BAD_DQ_ESCAPE: 'this is no escape sequence; in double quotes write \\\\ for a backslash',
  BAD_INDENT: 'the indentation does not fit the lines above; align keys of one mapping with each other',
  BAD_SCALAR_START: 'a plain text cannot begin with this character; put quotes around it',
  BLOCK_AS_IMPLICIT_KEY: 'a mapping cannot begin here; put it on a line of its own, indented',
  BLOCK_IN_FLOW: 'a block cannot stand inside { } or [ ]',
  DUPLICATE_KEY: 'this key is already there above; remove one of the two',
  MISSING_CHAR: 'something is missing here: a closing bracket or quote, a comma, or a space after a colon',
  MULTILINE_IMPLICIT_KEY: 'a key must be on one line; is a colon missing?',
  MULTIPLE_DOCS: 'the file must hold one document; remove everything from this `---` on',
  TAB_AS_INDENT: 'tabs cannot indent; use spaces',
  TAG_RESOLVE_FAILED: 'this tag is not known; put quotes around a text that begins with !',
  UNEXPECTED_TOKEN: 'this is not expected here; is a colon, a quote or a line break missing?',
};

/** Mistakes that leave the shape of everything around them as it was meant: the rest of the file can still be judged. */
const localMistakes: readonly string[] = ['DUPLICATE_KEY', 'BAD_DQ_ESCAPE', 'TAG_RESOLVE_FAILED'];

/** Any other makes the parser stumble over what comes after it: of those only the first says something. */
function tellable(problems: readonly YAMLError[]): YAMLError[] {
  const first = problems.find(({ code }) => !localMistakes.includes(code));
  return problems.filter((problem) => problem === first || localMistakes.includes(problem.code));
}

function syntaxMessage(problem: YAMLError): string {
  return syntaxMessages[problem.code] ?? 'this is not valid YAML';
}
