import type { Finding } from './findings.ts';
import { isMapping } from './yaml-tree.ts';
import type { Path, YamlMapping, YamlTree, YamlValue } from './yaml-tree.ts';

/** Collects what the conditions between keys find; what is broken already is not told again. */
export class Report {
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

/** The value as a mapping; an empty one for anything else. */
export function mapping(value: YamlValue | undefined): YamlMapping {
  return isMapping(value) ? value : {};
}

/** The value as a list; an empty one for anything else. */
export function list(value: YamlValue | undefined): readonly YamlValue[] {
  return Array.isArray(value) ? value : [];
}

/** The name in an entry of `tables`, or null when it has none. */
export function tableName(entry: YamlValue): string | null {
  if (typeof entry === 'string') return entry;
  const { name } = mapping(entry);
  return typeof name === 'string' ? name : null;
}
